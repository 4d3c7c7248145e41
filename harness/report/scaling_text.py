"""A scaling study in a terminal: a line an arm, a line an estimate, what would make it tell, what to beware of."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from harness.records import Arm, DoublingEstimate, ScalingStudy, SuiteMark
from harness.report.notation import MISSING, counted, dollars, interval, points, signed_points

POOLED = "all targets together"
_LARGEST_DENOMINATOR = 1000


def scaling_lines(study: ScalingStudy) -> Iterator[str]:
    """The study, line by line; scores and gains in points."""
    if not study.arms:
        yield f"{study.id}: no arm is done"
        return
    yield f"{study.id}: {counted(len(study.arms), 'arm')}, {counted(study.epochs, 'epoch')} each; scores with 90 % intervals"
    yield from _table(_arm_rows(study))
    yield ""
    yield f"What would twice the {rows_of(study):,} rows bring?"
    if study.by_suite:
        yield from _table(_estimate_rows(study))
        yield "  same again: the literal reading, what the last doubling (half to full) brought"
        for name, estimate in estimates_of(study):
            if estimate.to_tell:
                yield f"  to tell, {name}: {estimate.to_tell}"
    else:
        yield "  no estimate: it takes two sizes or more, and two cases or more that all of them were scored on"
    yield ""
    yield cost_sentence(study)
    for caution in cautions_of(study):
        yield f"beware: {caution}"


def estimates_of(study: ScalingStudy) -> list[tuple[str, DoublingEstimate]]:
    """The estimates by suite, and the pooled one where it is of more than one of them."""
    found = list(study.by_suite.items())
    if study.pooled is not None and study.pooled not in study.by_suite.values():
        found.append((POOLED, study.pooled))
    return found


def cautions_of(study: ScalingStudy) -> list[str]:
    """What weakens the study, each sentence once."""
    of_suites = [
        f"{name}: {caution}" for name, estimate in estimates_of(study) for caution in estimate.cautions
    ]
    return list(dict.fromkeys((*study.cautions, *of_suites)))


def cost_sentence(study: ScalingStudy) -> str:
    """What the arms cost, and what a training on twice the data would."""
    costs = [arm.cost_usd for arm in study.arms]
    known = [cost for cost in costs if cost is not None]
    arms = f"at least {dollars(sum(known))}" if len(known) < len(costs) else dollars(sum(known))
    if not known:
        arms = "an unknown amount (no price is known)"
    twice = study.doubling_cost_usd
    if known == costs and twice == sum(known) == 0:
        return "The arms were trained and asked on this machine; twice the data costs nothing but time, and collecting it."
    next_one = "costs an unknown amount" if twice is None else f"costs about {dollars(twice)}"
    return f"The arms cost {arms}, judging left out; a training on twice the data {next_one}, collecting it left out."


def rows_of(study: ScalingStudy) -> int:
    """The rows of the largest share."""
    return max((arm.rows for arm in study.arms), default=0)


def share_text(arm: Arm) -> str:
    """A share as it was typed: `1/4`."""
    return str(Fraction(arm.share).limit_denominator(_LARGEST_DENOMINATOR))


def mark_text(mark: SuiteMark | None) -> str:
    """A score with its interval: `61.3 (52.0 to 70.1)`."""
    if mark is None or mark.mean is None or mark.low is None or mark.high is None:
        return MISSING
    return f"{points(mark.mean)} ({points(mark.low)} to {points(mark.high)})"


def suites_of(study: ScalingStudy) -> list[str]:
    """The suites that arms were asked, in their order."""
    return list(dict.fromkeys(mark.suite for arm in study.arms for mark in arm.marks))


def _arm_rows(study: ScalingStudy) -> list[Sequence[str]]:
    suites = suites_of(study)
    return [
        ("share", "rows", "seed", *suites),
        *((share_text(arm), f"{arm.rows:,}", str(arm.seed), *_marks(arm, suites)) for arm in study.arms),
    ]


def _marks(arm: Arm, suites: Sequence[str]) -> list[str]:
    marks: Mapping[str, SuiteMark] = {mark.suite: mark for mark in arm.marks}
    return [mark_text(marks.get(suite)) for suite in suites]


def _estimate_rows(study: ScalingStudy) -> list[Sequence[str]]:
    return [
        ("suite", "gain", "80 % band", "more data", "same again"),
        *(
            (
                name,
                signed_points(estimate.gain),
                interval((estimate.low, estimate.high)),
                estimate.word,
                signed_points(estimate.last_gain),
            )
            for name, estimate in estimates_of(study)
        ),
    ]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
