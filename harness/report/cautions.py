"""What a reader must know of a run's models before relying on it: a judge of the same kind, a day of retirement."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from harness.records import Manifest, Retirement, Role
from harness.report.notation import counted, moment

HORIZON_DAYS = 90
"""How long before a model's last day it is warned of: time to export, train, compare and switch."""
GUIDE = "docs/migration.md"
_NOT_ASKED: tuple[Role, ...] = ("judge", "embedding")


def warnings_of(manifest: Manifest) -> tuple[str, ...]:
    """The run's warnings, as sentences; days are counted from the day it began, whenever they are read."""
    began = moment(manifest.created)
    retiring = retirement_warnings(manifest.retirements, on=began.date()) if began else ()
    return (*retiring, *manifest.warnings)


def retirement_warnings(retirements: Iterable[Retirement], *, on: date) -> tuple[str, ...]:
    """A sentence for each last day within `HORIZON_DAYS` of `on`, or past, the nearest first.

    Args:
        retirements: What is known of the models of a run.
        on: The day to count from.
    """
    by_day: dict[tuple[str, str, str], list[Retirement]] = {}
    for one in sorted(retirements, key=lambda known: known.day):
        kind = one.role if one.role in _NOT_ASKED else ""
        by_day.setdefault((one.day, one.told_by, kind), []).append(one)
    near = ((group, days) for group in by_day.values() if (days := _days_left(group[0], on)) is not None)
    return tuple(_sentence(group, days) for group, days in near if days <= HORIZON_DAYS)


def _days_left(retirement: Retirement, on: date) -> int | None:
    try:
        return (date.fromisoformat(retirement.day) - on).days
    except ValueError:  # a manifest that was edited by hand
        return None


def _sentence(group: Sequence[Retirement], left: int) -> str:
    first = group[0]
    named: dict[str, list[Role]] = {}
    for one in group:
        behind = f", tuned from {one.tuned_from}," if one.tuned_from else ""
        named.setdefault(f"{one.model}{behind}", []).append(one.role)
    who = " and ".join(f"the {'/'.join(roles)} model {model}" for model, roles in named.items())
    several = len(named) > 1
    if left < 0:
        when = f"{'were' if several else 'was'} to be shut down on {first.day}, {counted(-left, 'day')} before this run"
    else:
        after = f"{counted(left, 'day')} after this run" if left else "the day of this run"
        when = f"{'are' if several else 'is'} shut down on {first.day}, {after}"
    return f"{who} {when} ({_told_by(first.told_by)}): {_advice([one.role for one in group])}"


def _told_by(teller: str) -> str:
    words: Mapping[str, str] = {
        "configuration": "says your configuration",
        "endpoint": "says the endpoint",
    }
    return words.get(teller, f"says the price table of {teller}")


def _advice(roles: Sequence[Role]) -> str:
    if roles[0] in _NOT_ASKED:
        return f"name another {roles[0]} model before then and run again: what two of them score does not compare"
    if "candidate" in roles:
        return f"train a replacement elsewhere and compare it with --goal migration; {GUIDE} has the steps"
    return f"switch before then; --goal migration asks whether the candidate can replace it, {GUIDE} has the steps"
