"""How far may a judge be trusted, and what do its scores become once people checked some of them?"""

from dataclasses import replace
from typing import Literal

import numpy as np

from harness.records import record
from harness.reliability import kappa
from harness.verdict.corrections import (
    UNJUDGED,
    Corrected,
    Readings,
    correct,
    label_weights,
    strata_of,
    trust_in,
)
from harness.verdict.labelled import PeopleScores
from harness.verdict.pairedtests import Floats, Ints
from harness.verdict.scores import PairedScores

Trust = Literal["none", "corrected", "good", "human"]

USELESS_KAPPA = 0.4
"""Below this agreement a judge decides nothing, corrected or not."""
GOOD_KAPPA = 0.6
"""Below this agreement a judge's figures hold only once they are corrected."""
HUMAN_KAPPA = 0.8
"""Above this agreement a judge is as good as another person."""
ENOUGH_LABELS = 50
"""Labelled cases from which on the corrected interval was seen to hold and to be narrow enough to use."""


@record
class Calibration:
    """A suite's means as people would have them, candidate, reference and difference; they add up.

    `kappa` is the agreement of judge and people (quadratic-weighted, each label as often as it stands for others); None
    where both always gave the same value, so that nothing could disagree. `bias` is how much better than people the judge finds the
    candidate, the reference, and the one than the other. `raw` are the three means as the judge has them.
    """

    candidate: Corrected
    reference: Corrected
    difference: Corrected
    candidate_bias: Corrected
    reference_bias: Corrected
    difference_bias: Corrected
    raw: tuple[float, float, float]
    kappa: float | None

    @property
    def labels(self) -> int:
        """Labelled cases."""
        return self.difference.labels

    @property
    def trust(self) -> Trust:
        """What the agreement allows."""
        return trust_by(self.kappa)


def trust_by(agreement: float | None) -> Trust:
    """What a kappa of judge and people allows a gate to do."""
    if agreement is None or agreement > HUMAN_KAPPA:
        return "human"
    if agreement < USELESS_KAPPA:
        return "none"
    return "corrected" if agreement < GOOD_KAPPA else "good"


def calibrate(
    candidate: Floats, reference: Floats, *, people: PeopleScores, families: Ints | None = None
) -> Calibration | None:
    """Correct a suite's means by people's labels; None below two labelled cases.

    All three means trust the judge equally much, as the difference does best, so that they add up.

    Args:
        candidate: The judge's scores, means over trials, shape (cases,); no NaN.
        reference: The same of the reference.
        people: What people say, row by row.
        families: Cases with the same number are not independent; shape (cases,).
    """
    difference = _difference(candidate, reference, people=people)
    new = replace(difference, judged=candidate, people=people.candidate, seen=people.candidate_seen)
    old = replace(difference, judged=reference, people=people.reference, seen=people.reference_seen)
    trust = trust_in(difference)
    means = [correct(part, trust=trust, families=families) for part in (new, old, difference)]
    biases = [correct(_error_of(part), trust=0.0, families=families) for part in (new, old, difference)]
    if any(mean is None for mean in (*means, *biases)):
        return None
    known = [mean for mean in (*means, *biases) if mean is not None]
    return Calibration(
        candidate=known[0],
        reference=known[1],
        difference=known[2],
        candidate_bias=known[3],
        reference_bias=known[4],
        difference_bias=known[5],
        raw=(
            float(np.mean(candidate)),
            float(np.mean(reference)),
            float(np.mean(candidate - reference)),
        ),
        kappa=_kappa(people, difference),
    )


def case_weights(paired: PairedScores) -> Floats:
    """How many cases each labelled one stands for, a row for each paired case; 0 where nobody labelled."""
    if paired.people is None:
        return np.zeros(len(paired.candidate))
    return label_weights(_difference(paired.candidate, paired.reference, people=paired.people))


def _difference(candidate: Floats, reference: Floats, *, people: PeopleScores) -> Readings:
    return Readings(
        judged=candidate - reference,
        people=people.candidate - people.reference,
        seen=people.candidate_seen - people.reference_seen,
        strata=np.where(people.judged, strata_of(candidate, reference), UNJUDGED),
        reach=people.reach,
    )


def _error_of(part: Readings) -> Readings:
    """What the judge gives too much, read as a score of its own of which nobody but people knows anything."""
    nothing = np.zeros_like(part.judged)
    return Readings(
        judged=nothing,
        people=part.seen - part.people,
        seen=np.where(np.isnan(part.people), np.nan, nothing),
        strata=part.strata,
        reach=part.reach,
    )


def _kappa(people: PeopleScores, readings: Readings) -> float | None:
    weights = label_weights(readings)[people.pair_cases]
    return kappa(people.pairs[:, 0], people.pairs[:, 1], weights=weights, quadratic=True)
