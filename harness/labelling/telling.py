"""What labels show about a judge, in a terminal."""

from collections.abc import Iterator, Sequence

from harness.labelling.findings import Figure, SuiteFinding
from harness.labelling.sheets import Reading
from harness.verdict import PREFERENCE, Agreement


def told_reading(reading: Reading) -> Iterator[str]:
    """What was read from the sheets."""
    people = ", ".join(reading.annotators) or "nobody"
    yield f"read {reading.items} labelled rows by {people}; {reading.empty} without a label"


def told(found: Sequence[SuiteFinding], *, judge: str) -> Iterator[str]:
    """Each suite: agreement, figures, what it means; shares in percent, differences in points."""
    for one in found:
        yield ""
        yield f"{one.suite}: {one.cases} of {one.of_cases} cases labelled on both sides, judge {judge}"
        for agreement in one.agreements:
            yield from _agreement(agreement)
        if one.figures:
            yield f"  {'':<11} {'judge alone':>11} {'corrected':>10}  {'90 % interval':<17} {'the judge is off by':<20}"
            yield from (_figure(figure) for figure in one.figures)
            yield f"  the judge counts {one.trust:.2f} beside people's labels (PPI++, 1 is fully)"
        yield f"  {one.means}"
        yield from (f"  warning: {warning}" for warning in one.warnings)


def _agreement(one: Agreement) -> Iterator[str]:
    name = one.scorer if one.question in ("", PREFERENCE) else f"{one.scorer}, {one.question}"
    interval = f" ({one.interval[0]:.2f} to {one.interval[1]:.2f})" if one.interval else ""
    unsure = f", cannot say {one.cannot_say}" if one.cannot_say else ""
    yield (
        f"  {name}: judge and people on {one.answers} answers: kappa {_number(one.kappa)}, "
        f"weighted {_number(one.weighted)}{interval}, alpha {_number(one.alpha)}{unsure}"
    )
    if one.people > 1:
        yield (
            f"    {one.people} people among each other on {one.shared} answers: kappa {_number(one.people_kappa)}, "
            f"alpha {_number(one.people_alpha)}"
        )


def _figure(figure: Figure) -> str:
    is_difference = figure.name == "difference"
    low, high = (_points(bound, signed=is_difference) for bound in figure.interval)
    off = " .. ".join(_points(bound, signed=True) for bound in figure.judge_error_interval)
    return (
        f"  {figure.name:<11} {_points(figure.judge_alone, signed=is_difference):>11} "
        f"{_points(figure.corrected, signed=is_difference):>10}  {low + ' .. ' + high:<17} "
        f"{_points(figure.judge_error, signed=True)} ({off})"
    )


def _points(share: float, *, signed: bool) -> str:
    return f"{100 * share:{'+' if signed else ''}.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
