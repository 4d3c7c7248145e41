"""How much evidence is enough: the smallest detectable difference, the cases that would settle it."""

import math

from scipy.special import ndtri

from harness.verdict.pairedtests import TINY, PairedDifference, augmented, p_augmented

POWER = 0.8
"""The chance of success that sizes are planned for (Cohen 1988)."""
_MOST_UNITS = 10**6


def planning_factor(alpha: float) -> float:
    """Standard errors between the null and a difference found with 80 % power: 2.487 at .05."""
    return float(ndtri(1 - alpha) + ndtri(POWER))


def smallest_detectable(difference: PairedDifference, *, alpha: float) -> float:
    """The true difference this many units would find with 80 % power, one-sided at `alpha`; at most 1."""
    used = augmented(difference) if difference.constant else difference
    return min(planning_factor(alpha) * used.error, 1.0)


def cases_needed(
    difference: PairedDifference, *, threshold: float, alpha: float, cases: int, score_test: bool = False
) -> int | None:
    """How many cases like these would show the difference seen to be above `threshold`.

    ((z_{1-alpha} + z_{.8}) s / (mean - threshold))², and never fewer than the test could ever accept:
    for Tango's score test (`score_test`) z²(1-δ)/δ. None when the mean is not above the threshold:
    more of the same would not help.
    """
    gap = difference.mean - threshold
    if gap <= TINY:
        return None
    units = difference.units * (planning_factor(alpha) * difference.error / gap) ** 2
    if score_test:
        units = max(units, float(ndtri(1 - alpha)) ** 2 * (1 + threshold) / -threshold)
    elif difference.constant or threshold < 0:
        units = max(units, _fewest_units(difference.mean, threshold=threshold, alpha=alpha))
    if units > _MOST_UNITS:
        return None
    return max(math.ceil(units * cases / difference.units), cases + 1)


def _fewest_units(mean: float, *, threshold: float, alpha: float) -> int:
    """The fewest units on which the augmented t test accepts when every one differs by `mean`."""

    def accepts(units: int) -> bool:
        constant = PairedDifference(mean=mean, error=0.0, units=units, freedom=units - 1)
        return p_augmented(constant, threshold) <= alpha

    low, high = 1, 2
    while not accepts(high) and high <= _MOST_UNITS:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if accepts(middle) else (middle, high)
    return high
