"""How far could the truth be from what was seen? One interval per test, each the test turned around."""

import math
from collections.abc import Callable

from scipy.special import ndtri, stdtrit

from harness.verdict.pairedtests import PairedDifference, augmented, tango_score

Interval = tuple[float, float]

CONFIDENCE = 0.90
"""Two-sided level of a difference's interval: its lower end is the bound of a one-sided test at .05."""
RATE_CONFIDENCE = 0.95
"""Two-sided level of a single rate's interval."""
_BISECTIONS = 60


def t_interval(difference: PairedDifference, *, confidence: float = CONFIDENCE) -> Interval:
    """The paired t interval, within -1..1; of the augmented form when all units differ by the same."""
    used = augmented(difference) if difference.constant else difference
    reach = float(stdtrit(used.freedom, (1 + confidence) / 2)) * used.error
    return max(used.mean - reach, -1.0), min(used.mean + reach, 1.0)


def augmented_interval(difference: PairedDifference, *, confidence: float = CONFIDENCE) -> Interval:
    """The augmented t interval, within -1..1."""
    return t_interval(augmented(difference), confidence=confidence)


def tango_interval(*, better: int, worse: int, cases: int, confidence: float = CONFIDENCE) -> Interval:
    """Tango's score interval of a paired difference of rates: the thresholds the test cannot reject."""
    critical = float(ndtri((1 + confidence) / 2))
    seen = (better - worse) / cases

    def score(threshold: float) -> float:
        return tango_score(threshold, better=better, worse=worse, cases=cases)

    low = _boundary(lambda threshold: score(threshold) > critical, outside=-1.0, inside=seen)
    high = _boundary(lambda threshold: score(threshold) < -critical, outside=1.0, inside=seen)
    return low, high


def _boundary(rejected: Callable[[float], bool], *, outside: float, inside: float) -> float:
    for _ in range(_BISECTIONS):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if rejected(middle) else (outside, middle)
    return inside


def wilson(successes: float, cases: int, *, confidence: float = RATE_CONFIDENCE) -> Interval:
    """Wilson's score interval of one rate (Wilson 1927); 0..1 when there are no cases."""
    if cases == 0:
        return 0.0, 1.0
    critical = float(ndtri((1 + confidence) / 2))
    rate, shrink = successes / cases, critical**2 / cases
    centre = (rate + shrink / 2) / (1 + shrink)
    reach = critical / (1 + shrink) * math.sqrt(rate * (1 - rate) / cases + shrink / (4 * cases))
    return max(centre - reach, 0.0), min(centre + reach, 1.0)
