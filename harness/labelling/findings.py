"""A run's labels weighed suite by suite, and what that means for the gate."""

from collections.abc import Iterator, Mapping

from harness.records import Run, record
from harness.verdict import (
    ENOUGH_LABELS,
    FEWEST_LABELS,
    GOOD_KAPPA,
    HUMAN_KAPPA,
    USELESS_KAPPA,
    Agreement,
    Calibration,
    Corrected,
    agreements,
    calibrate,
    pair_scores,
    reference_of,
    scores_of,
    t_interval,
)

MEANINGS: Mapping[str, str] = {
    "none": f"do not gate on it: kappa is below {USELESS_KAPPA}, and the suite proves nothing; make the question clearer or take another judge",
    "corrected": f"gate only on the corrected figures: kappa is below {GOOD_KAPPA}",
    "good": "the judge is good; the gate uses the corrected figures",
    "human": f"the judge agrees as well as another person would: kappa is above {HUMAN_KAPPA}; the gate uses the corrected figures",
}

MOST_OPEN = 0.1
"""From this share of `cannot say` on, the answers that are left stand for themselves, and no longer for all."""


@record
class Figure:
    """One mean as the judge alone has it and corrected, with its 90 % interval and the judge's error; shares of 1."""

    name: str
    judge_alone: float
    corrected: float
    interval: tuple[float, float]
    judge_error: float
    judge_error_interval: tuple[float, float]


@record
class SuiteFinding:
    """What people's labels say about the judge of one suite.

    `cases` are those labelled on both sides, of `of_cases`; `trust` how much the judge counts in the corrected figures (PPI++).
    `figures` is empty, and `means` says why, where there are too few labels.
    """

    suite: str
    cases: int
    of_cases: int
    agreements: tuple[Agreement, ...]
    figures: tuple[Figure, ...]
    trust: float | None
    kappa: float | None
    means: str
    warnings: tuple[str, ...] = ()


def judge_findings(run: Run) -> tuple[SuiteFinding, ...]:
    """A finding for each suite that people labelled answers of."""
    labelled = {label.suite for label in run.labels}
    reference = reference_of(run)
    found: list[SuiteFinding] = []
    for scores in scores_of(run, reference=reference):
        if scores.name not in labelled:
            continue
        paired = pair_scores(scores)
        calibration = None
        if paired.people is not None:
            calibration = calibrate(
                paired.candidate, paired.reference, people=paired.people, families=paired.families
            )
        agreed = agreements(run, scores.name, paired=paired)
        found.append(
            _finding(scores.name, calibration, agreed, of_cases=len(paired.candidate), reference=reference)
        )
    return tuple(found)


def _finding(
    suite: str,
    calibration: Calibration | None,
    agreed: tuple[Agreement, ...],
    *,
    of_cases: int,
    reference: str,
) -> SuiteFinding:
    if calibration is None:
        return SuiteFinding(
            suite=suite,
            cases=0,
            of_cases=of_cases,
            agreements=agreed,
            figures=(),
            trust=None,
            kappa=None,
            means=f"too few labels to correct anything: at least {FEWEST_LABELS} cases with a label for both answers are needed",
        )
    return SuiteFinding(
        suite=suite,
        cases=calibration.labels,
        of_cases=of_cases,
        agreements=agreed,
        figures=tuple(_figures(calibration, reference)),
        trust=calibration.difference.trust,
        kappa=calibration.kappa,
        means=MEANINGS[calibration.trust],
        warnings=tuple(_warnings(calibration, agreed, of_cases=of_cases)),
    )


def _figures(calibration: Calibration, reference: str) -> Iterator[Figure]:
    new, old, difference = calibration.raw
    yield _figure("candidate", new, calibration.candidate, error=calibration.candidate_bias)
    yield _figure(reference, old, calibration.reference, error=calibration.reference_bias)
    yield _figure("difference", difference, calibration.difference, error=calibration.difference_bias)


def _figure(name: str, raw: float, corrected: Corrected, *, error: Corrected) -> Figure:
    return Figure(
        name=name,
        judge_alone=raw,
        corrected=corrected.mean.mean,
        interval=t_interval(corrected.mean),
        judge_error=error.mean.mean,
        judge_error_interval=t_interval(error.mean),
    )


def _warnings(calibration: Calibration, agreed: tuple[Agreement, ...], *, of_cases: int) -> Iterator[str]:
    if calibration.labels < min(ENOUGH_LABELS, of_cases):
        yield (
            f"only {calibration.labels} labelled cases: the intervals hold but are wide, and kappa is uncertain; "
            f"{ENOUGH_LABELS} are advised"
        )
    for one in agreed:
        open_share = one.cannot_say / (one.cannot_say + one.labelled) if one.cannot_say else 0.0
        if open_share > MOST_OPEN:
            yield (
                f"people cannot say on {open_share:.0%} of {one.question or one.scorer}: the corrected figures are those of the "
                "other answers; make clearer what is asked"
            )
