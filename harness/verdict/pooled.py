"""What do all guards say together? Alone a guard is too small to prove much; pooled they can."""

from collections.abc import Sequence

from harness.records import Decision, SuiteVerdict
from harness.verdict.boundaries import Look
from harness.verdict.intervals import CONFIDENCE, augmented_interval, t_interval
from harness.verdict.pairedtests import PairedDifference, p_augmented, p_below, pool
from harness.verdict.planning import smallest_detectable
from harness.verdict.rules import Evidence
from harness.verdict.sentences import gain, movement, points, seen

POOLED_MARGIN = 0.03
"""The loss all guards together may have. Asking each of six guards of 100 cases for proof of .05 promotes
3 % of good models; pooled at .03 with the harm rule promotes 73 %, and none that lost 5 points everywhere
(simulated, three trials, one target of 100 cases that gained 10 points)."""
POOLED = "all guards"


def judge_pooled(evidence: Sequence[Evidence], *, alpha: float) -> SuiteVerdict | None:
    """All guards as one, weighted by suite: shown to lose less than `POOLED_MARGIN`?

    None when no guard has anything to test.
    """
    guards = tested_guards(evidence)
    if not guards:
        return None
    weights = [suite.scores.weight for suite in guards]
    total = pooled_difference(guards)
    cases = sum(suite.cases for suite in guards)
    look = look_together(guards)
    decision = _decide(total, alpha=look.level(alpha))
    confidence = 1 - 2 * look.level((1 - CONFIDENCE) / 2)
    interval_of = t_interval if decision == "fail" else augmented_interval
    interval = interval_of(total, confidence=confidence)
    evidence_seen = seen(interval, cases)
    moved = f"{POOLED} together {movement(total.mean, interval)} {evidence_seen}"
    said = "no sign of harm" if total.mean >= 0 else "chance alone could explain that"
    reasons: dict[Decision, str] = {
        "pass": f"{moved}: a loss of {points(POOLED_MARGIN)} is ruled out",
        "fail": f"{POOLED} together {gain(total.mean, interval)} {evidence_seen}: more than chance explains",
        "undecided": f"{moved}: {said}, but a loss of {points(POOLED_MARGIN)} is not ruled out",
    }
    return SuiteVerdict(
        name=POOLED,
        role="guard",
        decision=decision,
        rule="paired t" if decision == "fail" else "augmented t",
        reason=reasons[decision],
        cases=cases,
        candidate=_weighted([suite.means[0] for suite in guards], weights),
        reference=_weighted([suite.means[1] for suite in guards], weights),
        difference=total.mean,
        interval=interval,
        margin=POOLED_MARGIN,
        better=sum(suite.paired.better for suite in guards),
        worse=sum(suite.paired.worse for suite in guards),
        smallest_detectable=smallest_detectable(total, alpha=alpha),
    )


def look_together(guards: Sequence[Evidence]) -> Look:
    """The look of all guards as one: the share of the evidence is the mean of theirs, by weight."""
    weights = [suite.scores.weight for suite in guards]
    shares = zip(*(suite.scores.look.shares for suite in guards), strict=True)
    return Look(shares=tuple(min(_weighted(share, weights), 1.0) for share in shares))


def tested_guards(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The guards that have something to test."""
    return [suite for suite in evidence if suite.scores.role == "guard" and suite.difference is not None]


def pooled_difference(guards: Sequence[Evidence]) -> PairedDifference:
    """The weighted mean difference of some tested guards."""
    parts = [suite.difference for suite in guards if suite.difference is not None]
    return pool(parts, weights=[suite.scores.weight for suite in guards])


def _decide(total: PairedDifference, *, alpha: float) -> Decision:
    if p_augmented(total, -POOLED_MARGIN) <= alpha:
        return "pass"
    return "fail" if p_below(total) <= alpha else "undecided"


def _weighted(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)
