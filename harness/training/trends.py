"""Does a series of measurements rise or fall, by more than its noise? Kendall's test and the Theil-Sen slope."""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from harness.records import record

Floats = npt.NDArray[np.float64]

MOST_POINTS = 400
"""Longer series are cut to the medians of so many stretches: both methods look at every pair of points."""
EXACT_UP_TO = 40
"""Points up to which the test counts orders, instead of taking their number for normal."""
SIGMA_OF_MAD = 1.4826
"""A normal distribution's standard deviation in median absolute deviations."""


@record
class Trend:
    """How a series moves.

    Attributes:
        change: Along the fitted line from the first point to the last, in units of the values.
        rising: The one-sided p value of "it does not rise".
        falling: The one-sided p value of "it does not fall".
        noise: Standard deviation around the line, estimated from the median deviation.
        points: How many there were.
    """

    change: float
    rising: float
    falling: float
    noise: float
    points: int


def trend(at: Floats, values: Floats) -> Trend:
    """The trend of `values` (points,) measured at the growing positions `at` (points,); two points at least.

    Both methods go by pairs of points, so a few wild ones change little (Kendall 1938; Theil 1950, Sen 1968).
    """
    points = len(values)
    at, values = _thinned(at), _thinned(values)
    i, j = np.triu_indices(len(values), k=1)
    rises = values[j] - values[i]
    slope = float(np.median(rises / (at[j] - at[i])))
    line = values - slope * at
    score = int(np.sign(rises).sum())
    is_tied = bool((rises == 0).any())
    return Trend(
        change=slope * float(at[-1] - at[0]),
        rising=_chance(score, values, is_tied=is_tied),
        falling=_chance(-score, values, is_tied=is_tied),
        noise=SIGMA_OF_MAD * float(np.median(np.abs(line - np.median(line)))),
        points=points,
    )


def _thinned(values: Floats) -> Floats:
    if len(values) <= MOST_POINTS:
        return values
    return np.array([np.median(part) for part in np.array_split(values, MOST_POINTS)])


def _chance(score: int, values: Floats, *, is_tied: bool) -> float:
    """How likely a series without a trend has at least this many more rising pairs than falling ones."""
    points = len(values)
    if points <= EXACT_UP_TO and not is_tied:
        pairs = points * (points - 1) // 2
        return float(_orders(points)[: (pairs - score) // 2 + 1].sum())
    _, counts = np.unique(values, return_counts=True)
    variance = (_spread(points) - float(_spread(counts).sum())) / 18
    if variance <= 0:
        return 1.0
    # Half a step towards no trend: the score moves in steps of two.
    return float(ndtr(-(score - 1) / math.sqrt(variance)))


def _spread(counts: npt.ArrayLike) -> Floats:
    n: Floats = np.asarray(counts, dtype=np.float64)
    spread: Floats = n * (n - 1) * (2 * n + 5)
    return spread


@lru_cache(maxsize=EXACT_UP_TO + 1)
def _orders(points: int) -> Floats:
    """The share of all orders of some points that have k falling pairs, for each k."""
    shares = np.ones(1)
    for size in range(2, points + 1):
        shares = np.convolve(shares, np.full(size, 1 / size))
    return shares
