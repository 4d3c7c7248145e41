"""What do a few labels by people make of many scores by a judge? Prediction-powered means.

A judge scored every case, people some of them. The judge's mean is cheap and biased, the people's right and noisy:
`mean(t * judge, all) + mean(people - t * judge, labelled)` is as right as the people, and the less noisy the better the
judge (Angelopoulos et al. 2023; the tuned `t` after PPI++, Angelopoulos, Duchi & Zrnic 2023).
"""

import math
from dataclasses import replace

import numpy as np

from harness.records import record
from harness.verdict.pairedtests import TINY, Floats, Ints, PairedDifference, paired_difference

POSITIVE = 0.5
"""From this score on an answer counts as one that the judge found good: strata are cut here."""
UNJUDGED = -1
"""The stratum of cases whose scores are no judgement (an answer that never came): nothing to correct."""
FEWEST_LABELS = 2
"""With fewer labelled cases nothing is known about how far people and judge differ by chance."""
_PSEUDO = 1.0
"""Two pseudo-residuals of weight one half, at plus and minus the largest error a judge can make, add this to the squared
residuals. Without them the interval is too narrow where a good judge made no mistake among the labelled:
`benchmarks/judge_calibration.py` measures it."""


@record
class Readings:
    """A suite's cases as a judge and as people have them; every array has shape (cases,).

    `judged` is each case's score with the judge's values. Of labelled cases, `people` is the score of the labelled answers with people's
    values in the judge's place and `seen` is the score of the same answers with the judge's own (it differs from `judged` where
    a case has several trials); both are NaN where nobody labelled. `strata` says which cases were drawn alike. `reach` is the
    largest error the judge can make in a score: its share among the suite's scorers.
    """

    judged: Floats
    people: Floats
    seen: Floats
    strata: Ints
    reach: float = 1.0


@record
class Corrected:
    """A mean as people would have it. `trust` is how much the judge counts, 0..1; `labels` are the labelled cases."""

    mean: PairedDifference
    trust: float
    labels: int


def strata_of(candidate: Floats, reference: Floats) -> Ints:
    """Each case's stratum, shape (cases,): whether the judge found either side's answer good; scores are means over trials."""
    good: Ints = 2 * (candidate >= POSITIVE) + (reference >= POSITIVE).astype(np.int64)
    return good


def label_weights(readings: Readings) -> Floats:
    """How many cases each labelled one stands for, shape (cases,); 0 where nobody labelled.

    Within a stratum the labelled cases stand for all of it (post-stratification), so it may be drawn from as densely as is
    useful, and labels that somebody left out weigh on their own stratum alone.
    """
    strata = _merged(readings)
    labelled = ~np.isnan(readings.people)
    weights = np.zeros(len(strata))
    for stratum in np.unique(strata[labelled]):
        inside = strata == stratum
        weights[inside & labelled] = inside.sum() / (inside & labelled).sum()
    return weights


def trust_in(readings: Readings) -> float:
    """How much the judge should count: the slope of people's scores on the judge's, within 0..1 (PPI++); 0 where it never varies."""
    weights = label_weights(readings)
    labelled = weights > 0
    if not labelled.any():
        return 0.0
    shares = weights[labelled] / weights[labelled].sum()
    people, seen = readings.people[labelled], readings.seen[labelled]
    seen = seen - shares @ seen
    spread = float(shares @ seen**2)
    return min(max(float(shares @ (people * seen)) / spread, 0.0), 1.0) if spread > TINY else 0.0


def correct(
    readings: Readings, *, trust: float | None = None, families: Ints | None = None
) -> Corrected | None:
    """The mean over all cases as people would have it, and how well it is known; None below two labelled cases.

    The error holds for cases that stand for others like them. It is that of the mean of one value a case: the judge's part, and for a
    labelled case its residual as often as it stands for others. Families of cases are treated as everywhere.

    Args:
        readings: What judge and people say. For a difference, candidate minus reference throughout.
        trust: How much the judge counts; None finds the best.
        families: Cases with the same number are not independent; shape (cases,).
    """
    labels = int(np.sum(~np.isnan(readings.people)))
    if labels < FEWEST_LABELS:
        return None
    trust = trust_in(readings) if trust is None else trust
    values, chance, freedom = _values(readings, trust)
    seen = paired_difference(values, families=families)
    if seen is None:
        return None
    pseudo = _PSEUDO * (readings.reach / _effective(readings)) ** 2
    variance = seen.error**2 + pseudo
    # Welch and Satterthwaite: the labels' part has few degrees of freedom, the cases' part many.
    ours = min(chance + pseudo, variance)
    spread = ours**2 / freedom + (variance - ours) ** 2 / seen.freedom
    joint = min(variance**2 / spread, seen.freedom) if spread > 0 else seen.freedom
    return Corrected(
        mean=replace(seen, error=math.sqrt(variance), freedom=max(joint, 1.0)), trust=trust, labels=labels
    )


def _values(readings: Readings, trust: float) -> tuple[Floats, float, float]:
    """One value a case whose mean is the corrected mean; the variance that the labels bring to it, and its degrees of freedom."""
    strata, labelled = _merged(readings), ~np.isnan(readings.people)
    residuals = readings.people - trust * readings.seen
    values = np.where(strata == UNJUDGED, readings.judged, trust * readings.judged)
    chance, freedom = 0.0, 0.0
    for stratum in np.unique(strata[labelled]):
        inside = strata == stratum
        drawn = inside & labelled
        size, count = int(inside.sum()), int(drawn.sum())
        mean = float(np.mean(residuals[drawn]))
        values[inside] += mean
        if count > 1:
            apart = residuals[drawn] - mean
            # √(n/(n-1)): the mean was taken from the same labels.
            values[drawn] += size / count * math.sqrt(count / (count - 1)) * apart
            chance += (size / len(strata)) ** 2 * float(np.sum(apart**2)) / (count - 1) / count
            freedom += count - 1
    return values, chance, max(freedom, 1.0)


def _effective(readings: Readings) -> float:
    """How many labels drawn at random the labels are worth (Kish 1965)."""
    weights = label_weights(readings)
    return float(weights.sum() ** 2 / np.sum(weights**2))


def _merged(readings: Readings) -> Ints:
    """The strata, each with at least two labelled cases: smaller ones are joined to the one nearest in the judge's eyes."""
    strata: Ints = readings.strata.copy()
    labelled = ~np.isnan(readings.people)
    while True:
        present = [int(stratum) for stratum in np.unique(strata) if stratum != UNJUDGED]
        short = [stratum for stratum in present if np.sum(labelled & (strata == stratum)) < FEWEST_LABELS]
        if not short or len(present) < 2:
            return strata
        first = short[0]
        others = [stratum for stratum in present if stratum != first]
        # Cells are two bits, so the nearest one differs in fewest of them.
        nearest = min(others, key=lambda other: ((first ^ other).bit_count(), other))
        strata[strata == first] = nearest
