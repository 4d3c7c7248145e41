"""What became of each case: its score, whether that is good, and the change against the reference."""

import math
from collections.abc import Iterable

from harness.records import Change, Result, Suite

ROUNDING = 1e-9
"""A mean of thirds may miss its mark by this much and still meet it."""


def case_score(suite: Suite, result: Result) -> float | None:
    """One answer's score: the mean of its scorers by their weights, unscored ones left out.

    None when nothing was scored, which includes every Failure.
    """
    weighted = [
        (spec.weight, score.value)
        for spec in suite.scorers
        if (score := result.scores.get(spec.name)) is not None and score.value is not None
    ]
    total = math.fsum(weight for weight, _ in weighted)
    if total <= 0:
        return None
    return math.fsum(weight * value for weight, value in weighted) / total


def mean_score(suite: Suite, results: Iterable[Result]) -> float | None:
    """The mean of the scored trials among `results`, all of one case and role; None without any."""
    scores = [score for result in results if (score := case_score(suite, result)) is not None]
    return math.fsum(scores) / len(scores) if scores else None


def is_good(suite: Suite, score: float | None) -> bool:
    """Whether a score (a mean over trials) reaches the suite's pass mark; no score does not."""
    return score is not None and score >= suite.pass_mark - ROUNDING


def change_of(suite: Suite, *, candidate: float | None, reference: float | None) -> Change | None:
    """Kept, improved, regressed or missed; None where either side has no score."""
    if candidate is None or reference is None:
        return None
    if is_good(suite, candidate):
        return "kept" if is_good(suite, reference) else "improved"
    return "regressed" if is_good(suite, reference) else "missed"
