"""What must a test show when it is taken several times? Levels that keep the chance of ever being wrong.

Cases are asked in parts, and after each part the tests are taken: a look. Taken at full level every
time, four looks let a model that is no better win 11 % of the time instead of 5. The levels here are
spent as O'Brien and Fleming's are (Lan & DeMets 1983, Biometrika 70:659-663): almost nothing early, nearly all
at the end. They hold whether or not runs without hope are stopped before.
"""

import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from harness.records import record
from harness.verdict.pairedtests import Floats

_NODES = 256
"""Points of a look at which its density is known."""
_FURTHEST = 8.0
"""Standard errors beyond which a normal value is not met (chance 6e-16)."""
_BISECTIONS = 60
_SAME = 1e-9


@record
class Look:
    """How often a suite has been looked at, and how much of it had been seen each time.

    `shares` are the shares of its cases at the looks so far, rising, the last one that of this look. A
    suite that is judged once, with all of its cases, has `WHOLE`.
    """

    shares: tuple[float, ...]

    @property
    def number(self) -> int:
        """Which look this is, from 1."""
        return len(self.shares)

    @property
    def is_last(self) -> bool:
        """Whether all cases have been seen."""
        return self.shares[-1] >= 1 - _SAME

    def level(self, level: float) -> float:
        """The level of a test at this look, so that over all looks it is wrong with the chance `level` (one-sided)."""
        return spent_levels(self.shares, level)[-1]


WHOLE = Look(shares=(1.0,))


def spending(share: float, level: float) -> float:
    """How much of a one-sided `level` may be spent when a `share` of the evidence has been seen.

    2 - 2 Φ(z / √share) with z the upper level/2 quantile (Lan & DeMets 1983, their α1).
    """
    return float(2 * ndtr(ndtri(level / 2) / math.sqrt(share)))


@lru_cache(maxsize=4096)
def spent_levels(shares: tuple[float, ...], level: float) -> tuple[float, ...]:
    """The one-sided nominal level of each look; at .05 and quarters their z are 3.75 2.54 2.02 1.72.

    Computed for the very shares that were seen, by integrating over all ways on which no earlier look
    stopped (Armitage, McPherson & Rowe 1969). A look that saw nothing new has the level of the one before.
    """
    if shares == WHOLE.shares:
        return (level,)
    levels: list[float] = []
    before, spent = 0.0, 0.0
    # The paths that are still on: where their sum of evidence may be, and how likely it is there.
    places, chances = np.zeros(1), np.ones(1)
    for share in shares:
        step = math.sqrt(max(share - before, 0.0))
        if step <= math.sqrt(_SAME):
            levels.append(levels[-1])
            continue
        allowed = spending(min(share, 1.0), level)
        bound = _bound(places, chances, step=step, chance=allowed - spent)
        levels.append(float(ndtr(-bound / math.sqrt(share))))
        places, chances = _going_on(places, chances, step=step, reach=math.sqrt(share), bound=bound)
        before, spent = share, allowed
    return tuple(levels)


def _bound(places: Floats, chances: Floats, *, step: float, chance: float) -> float:
    """The sum of evidence that the paths pass with the given chance."""
    low, high = -_FURTHEST, _FURTHEST
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        passed = float(chances @ ndtr((places - middle) / step))
        low, high = (middle, high) if passed > chance else (low, middle)
    return high


def _going_on(
    places: Floats, chances: Floats, *, step: float, reach: float, bound: float
) -> tuple[Floats, Floats]:
    """Where the paths that stay below the bound may be one look later, and how likely that is."""
    bottom = -_FURTHEST * reach
    top = min(bound, _FURTHEST * reach)
    half = (top - bottom) / 2
    nodes, weights = _quadrature()
    later = bottom + half * (nodes + 1)
    apart = (later[:, None] - places[None, :]) / step
    density = np.exp(-0.5 * apart**2) @ chances / (step * math.sqrt(2 * math.pi))
    return later, density * weights * half


@lru_cache(maxsize=1)
def _quadrature() -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss and Legendre, shape (_NODES,) each; finding them takes some time, so not at import."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights
