"""How far could the truth be from what was seen? One interval per test, each the test turned around."""

import math
from collections.abc import Callable

from scipy.special import gammaincinv, ndtri, stdtrit

from harness.verdict.pairedtests import PairedDifference, augmented, tango_score

Interval = tuple[float, float]

CONFIDENCE = 0.90
"""Two-sided level of a difference's interval: its lower end is the bound of a one-sided test at .05."""
RATE_CONFIDENCE = 0.95
"""Two-sided level of a single rate's interval."""
_SMALL, _FEW_OF_SMALL, _FEW = 50, 2, 3
"""Up to how many events Wilson's interval is mended, in up to 50 cases and in more (Brown, Cai & DasGupta 2001)."""
_BISECTIONS = 60


def t_interval(difference: PairedDifference, *, confidence: float = CONFIDENCE) -> Interval:
    """The paired t interval, within -1..1; of the augmented form when their spread says nothing about chance."""
    return _t_interval(augmented(difference) if difference.spread_unknown else difference, confidence)


def _t_interval(used: PairedDifference, confidence: float) -> Interval:
    reach = float(stdtrit(used.freedom, (1 + confidence) / 2)) * used.error
    return max(used.mean - reach, -1.0), min(used.mean + reach, 1.0)


def augmented_interval(difference: PairedDifference, *, confidence: float = CONFIDENCE) -> Interval:
    """The augmented t interval, within -1..1: the differences that the test cannot reject."""
    used = augmented(difference)
    low, high = _t_interval(used, confidence)
    spread = float(stdtrit(used.freedom, (1 + confidence) / 2)) ** 2 / (used.units + 2)
    return min(low, -_one_way(used.mean, spread)), max(high, _one_way(-used.mean, spread))


def _one_way(mean: float, spread: float) -> float:
    """The largest loss a with `mean` + a <= √(`spread` a(1 - a)), below 0 without any.

    That is where the least error which the augmented t allows decides: Wilson's bound of a rate, for a rate of -`mean`.
    """
    linear = spread - 2 * mean
    square = linear**2 - 4 * (1 + spread) * mean**2
    return (linear + math.sqrt(square)) / (2 * (1 + spread)) if square >= 0 else -1.0


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


def wilson(successes: float, cases: float, *, confidence: float = RATE_CONFIDENCE) -> Interval:
    """Wilson's score interval of one rate (Wilson 1927); 0..1 when there are no cases.

    With one to three cases on the rarer side its nearer end is too bold: 95 % intervals hold a rate of .995 only 84 % of
    the time at 35 cases. There that end is the exact bound of a rare event's count (Brown, Cai & DasGupta 2001, section 4.1.1),
    and the lowest of 20 to 500 cases and rates from .5 is 91.6 %.
    """
    if cases == 0:
        return 0.0, 1.0
    critical = float(ndtri((1 + confidence) / 2))
    rate, shrink = successes / cases, critical**2 / cases
    centre = (rate + shrink / 2) / (1 + shrink)
    reach = critical / (1 + shrink) * math.sqrt(rate * (1 - rate) / cases + shrink / (4 * cases))
    low, high = max(centre - reach, 0.0), min(centre + reach, 1.0)
    return (
        min(low, _rare_bound(successes, cases, confidence=confidence)),
        max(high, 1 - _rare_bound(cases - successes, cases, confidence=confidence)),
    )


def _rare_bound(events: float, cases: float, *, confidence: float) -> float:
    """The lower bound of the rate of few events, all of the doubt on this side; 1 when they are not few, or none."""
    few = _FEW_OF_SMALL if cases <= _SMALL else _FEW
    return float(gammaincinv(events, 1 - confidence)) / cases if 1 <= events <= few else 1.0
