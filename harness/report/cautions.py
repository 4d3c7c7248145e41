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
    by_day: dict[tuple[str, str, bool], list[Retirement]] = {}
    for one in sorted(retirements, key=lambda known: known.day):
        by_day.setdefault((one.day, one.told_by, one.role in _NOT_ASKED), []).append(one)
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
    if left < 0:
        when = f"was to be shut down on {first.day}, {counted(-left, 'day')} before this run"
    elif left == 0:
        when = f"is shut down on {first.day}, the day of this run"
    else:
        when = f"is shut down on {first.day}, {counted(left, 'day')} after this run"
    when = when.replace("is ", "are ", 1).replace("was ", "were ", 1) if len(named) > 1 else when
    return f"{who} {when} ({_told_by(first.told_by)}): {_advice(first.role)}"


def _told_by(teller: str) -> str:
    words: Mapping[str, str] = {
        "configuration": "your configuration says so",
        "endpoint": "its endpoint says so",
    }
    return words.get(teller, f"as of {teller}")


def _advice(role: Role) -> str:
    if role in _NOT_ASKED:
        return f"name another {role} model before then and run again: what two of them score does not compare"
    return f"train a replacement elsewhere and compare it with --goal migration; {GUIDE} has the steps"
