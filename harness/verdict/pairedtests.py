"""What do paired differences show? The t tests, the Tango score test, families, several tests at once.

Written out here because no installed library has a paired score test, and because library t tests
return p = 0 when all differences are equal. Every function is total: no input makes it warn or
return NaN.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from harness.records import record

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

FEWEST_FAMILIES = 10
"""With fewer families, cluster-robust errors come out too small (Cameron & Miller 2015, section VI)."""
FEWEST_UNITS = 5
"""Fewer units are all better by luck more than one time in twenty, (1/2)^4 = .0625, however alike they are: two answers that
improved by 99 and 100 % would pass a t test."""
TINY = 1e-12
"""Differences of scores in 0..1 below this are rounding."""


@record
class PairedDifference:
    """The mean difference of paired cases and how well it is known.

    `error` is its standard error, `units` how many independent units it rests on (cases, or
    families; an effective number when suites are pooled), `freedom` the t test's degrees of freedom.
    """

    mean: float
    error: float
    units: float
    freedom: float

    @property
    def spread_unknown(self) -> bool:
        """Whether the spread seen says nothing about chance: all units differ by the same, or they are too few."""
        return self.error <= TINY or self.units < FEWEST_UNITS


def paired_difference(differences: Floats, *, families: Ints | None = None) -> PairedDifference | None:
    """The mean difference of one suite, one row per case of shape (cases,); None below two units.

    Cases of one family are not independent: the error is the larger of the cluster-robust and the
    plain one, with families - 1 degrees of freedom; below `FEWEST_FAMILIES` the family means are
    the data (Liang & Zeger 1986; the factor G/(G-1) and the t reference after Cameron & Miller 2015).
    """
    if families is None:
        return _independent(differences)
    _, member_of = np.unique(families, return_inverse=True)
    sizes = np.bincount(member_of)
    count = len(sizes)
    if count < FEWEST_FAMILIES:
        return _independent(np.bincount(member_of, weights=differences) / sizes)
    plain = _independent(differences)
    assert plain is not None
    totals = np.bincount(member_of, weights=differences - plain.mean)
    cluster_error = math.sqrt(count / (count - 1) * float(np.sum(totals**2))) / len(differences)
    error = max(cluster_error, plain.error)
    return PairedDifference(mean=plain.mean, error=error, units=count, freedom=count - 1)


def _independent(values: Floats) -> PairedDifference | None:
    count = len(values)
    if count < 2:
        return None
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    return PairedDifference(mean=float(np.mean(values)), error=error, units=count, freedom=count - 1)


def pool(parts: Sequence[PairedDifference], *, weights: Sequence[float]) -> PairedDifference:
    """The weighted mean of several suites' differences; suites are strata, independent of each other.

    Degrees of freedom after Welch (1947) and Satterthwaite (1946), so that a small noisy suite does
    not borrow certainty from large quiet ones.
    """
    shares = [weight / sum(weights) for weight in weights]
    variances = [(share * part.error) ** 2 for share, part in zip(shares, parts, strict=True)]
    spread = sum(
        variance**2 / part.freedom for variance, part in zip(variances, parts, strict=True) if variance
    )
    return PairedDifference(
        mean=sum(share * part.mean for share, part in zip(shares, parts, strict=True)),
        error=math.sqrt(sum(variances)),
        units=1 / sum(share**2 / part.units for share, part in zip(shares, parts, strict=True)),
        freedom=sum(variances) ** 2 / spread if spread else sum(part.freedom for part in parts),
    )


def augmented(difference: PairedDifference, *, against: float = 0.0) -> PairedDifference:
    """The same with one pseudo-unit at +1 and one at -1 added, to be tested against a true difference of `against`.

    Keeps "not worse than" tests honest near a perfect score, where the observed spread is too small
    (Bonett & Price 2012, their adjustment for paired proportions carried to any score in 0..1).
    For n plain cases this is exactly the mean and √(v/N) of the N = n + 2 values. Families count as
    one unit each: counting their cases let a model that lost the margin pass 14 % of the time
    (simulated, families of 10, rate .97) where this form stays below 5 %.

    The error is never below what it would be if the loss `against` were cases lost whole and none gained,
    √(δ(1-δ)/N), as in a score test: without that such a loss passes up to 10 % of the time at sizes
    where one lost case fewer makes the difference, with it at most 7 % (exact, 20 to 500 cases, δ up to .1).
    """
    units, total = difference.units, difference.units + 2
    squares = units * (units - 1) * difference.error**2 + 2 + 2 * units * difference.mean**2 / total
    least = abs(against) * (1 - abs(against)) / total
    error = math.sqrt(max(squares / total**2, least))
    return replace(difference, mean=difference.mean * units / total, error=error)


def p_above(difference: PairedDifference, threshold: float = 0.0) -> float:
    """One-sided p value that the true difference is above `threshold`: paired t.

    When the spread says nothing about chance, the augmented form answers instead.
    """
    return _p_above(augmented(difference) if difference.spread_unknown else difference, threshold)


def p_below(difference: PairedDifference) -> float:
    """One-sided p value that the true difference is below zero: paired t."""
    return p_above(replace(difference, mean=-difference.mean))


def p_augmented(difference: PairedDifference, threshold: float) -> float:
    """One-sided p value that the true difference is above `threshold`: augmented t."""
    return _p_above(augmented(difference, against=threshold), threshold)


def _p_above(used: PairedDifference, threshold: float) -> float:
    return float(stdtr(used.freedom, (threshold - used.mean) / used.error))


def tango_score(threshold: float, *, better: float, worse: float, cases: float) -> float:
    """The standard normal score of H0: difference = `threshold`, for yes/no outcomes of paired cases.

    Tango (1998), Statistics in Medicine 17:891-908; at threshold 0 it is McNemar's z. Infinite
    where the threshold is impossible.
    """
    distance = better - worse - cases * threshold
    linear = -better - worse + (2 * cases - better + worse) * threshold
    constant = -worse * threshold * (1 - threshold)
    root = math.sqrt(max(linear**2 - 8 * cases * constant, 0.0))
    lost = (root - linear) / (4 * cases)
    variance = cases * (2 * lost + threshold * (1 - threshold))
    if variance <= TINY:
        return 0.0 if abs(distance) <= TINY else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def p_tango(threshold: float, *, better: int, worse: int, cases: int) -> float:
    """One-sided p value that the true difference is above `threshold`: Tango score test."""
    score = tango_score(threshold, better=better, worse=worse, cases=cases)
    return 0.5 * math.erfc(score / math.sqrt(2))


def holm(
    p_values: Sequence[float], *, level: float, at_look: Sequence[Callable[[float], float]] | None = None
) -> list[bool]:
    """Which of several tests hold when the chance of any false one is kept at `level` (Holm 1979).

    `at_look` gives for each test what a level is at the look it is taken at.
    """
    left = dict(enumerate(p_values))
    while left:
        share = level / len(left)
        held = [index for index, p in left.items() if p <= (at_look[index](share) if at_look else share)]
        if not held:
            break
        for index in held:
            del left[index]
    return [index not in left for index in range(len(p_values))]
