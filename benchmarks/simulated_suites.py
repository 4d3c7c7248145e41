"""Suites of models whose truth is known: what would the harness have measured?

Latent difficulty: whether an answer is good follows a normal threshold model. Cases differ in how hard they are, the candidate finds
mostly the same cases hard, and asking again gives mostly the same answer. The rates of candidate and reference over
all cases that could be drawn are exactly the ones asked for.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from harness.records import SuiteRole
from harness.verdict import SuiteScores

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FAMILY_SIZES = (5, 10)
"""Paraphrases of one case, from and to."""
FAMILY_SHARES = (0.5, 0.9)
"""How much of a case's difficulty, and of how the candidate changed on it, its family shares; drawn anew for each suite."""
LEVELS = (-0.9, -0.3, 0.3, 0.9)
"""Where the latent answer of a graded score passes from one of five levels to the next, around their middle."""


class Regime(NamedTuple):
    """How alike answers are: latent correlation of two answers of one model to a case, and of the two models' abilities."""

    name: str
    own: float
    shared: float


NOISY = Regime("noisy", own=0.445, shared=0.528)
TYPICAL = Regime("typical", own=0.849, shared=0.817)
LIGHT = Regime("light", own=0.956, shared=0.953)
"""Chosen so that, where four in five answers are good, the two models' outcomes correlate by .125, .45 and .705, and at one trial 15, 30
and 30 % of the variance of a difference lies between cases: what models asked the same questions show."""
ONE_WAY = Regime("one way", own=1.0, shared=1.0)
"""A candidate that repeats the reference, word for word, but for the cases it newly fails: the hardest loss to notice."""
REGIMES = (NOISY, TYPICAL, LIGHT)


class Setting(NamedTuple):
    """One suite: its size, the reference's true mean score, the candidate's change, and how answers come about."""

    cases: int
    base: float
    change: float = 0.0
    trials: int = 1
    regime: Regime = TYPICAL
    families: bool = False
    graded: bool = False

    def __str__(self) -> str:
        kind = "graded" if self.graded else "yes/no"
        related = ", families of 5-10" if self.families else ""
        return f"n {self.cases}, base {self.base:g}, k {self.trials}, {self.regime.name}, {kind}{related}"


def draw(
    rng: np.random.Generator,
    setting: Setting,
    *,
    role: SuiteRole,
    name: str = "s",
    margin: float | None = None,
) -> SuiteScores:
    """One suite as it could have been measured."""
    families = _families(rng, setting.cases) if setting.families else None
    if setting.regime is ONE_WAY:
        candidate, reference = _one_way(rng, setting, families)
    else:
        candidate, reference = _both_ways(rng, setting, families)
    return SuiteScores(
        name=name, role=role, margin=margin, candidate=candidate, reference=reference, families=families
    )


def _both_ways(rng: np.random.Generator, setting: Setting, families: Ints | None) -> tuple[Floats, Floats]:
    shared = setting.regime.shared
    share = rng.uniform(*FAMILY_SHARES)
    old = _abilities(rng, setting.cases, families, share)
    new = shared * old + math.sqrt(1 - shared**2) * _abilities(rng, setting.cases, families, share)
    return (
        _answers(rng, setting, new, rate=setting.base + setting.change),
        _answers(rng, setting, old, rate=setting.base),
    )


def _one_way(rng: np.random.Generator, setting: Setting, families: Ints | None) -> tuple[Floats, Floats]:
    share = rng.uniform(*FAMILY_SHARES)
    reference = _answers(
        rng, setting, _abilities(rng, setting.cases, families, share), rate=setting.base, steady=True
    )
    fails = _abilities(rng, setting.cases, families, share) < ndtri(-setting.change / setting.base)
    return np.where(fails[:, None], 0.0, reference), reference


def _families(rng: np.random.Generator, cases: int) -> Ints:
    least, most = FAMILY_SIZES
    sizes = rng.integers(least, most + 1, size=cases // least + 1)
    return np.repeat(np.arange(len(sizes)), sizes)[:cases].astype(np.int64)


def _abilities(rng: np.random.Generator, cases: int, families: Ints | None, share: float) -> Floats:
    """A standard normal number a case, alike within a family; shape (cases,)."""
    alone = rng.standard_normal(cases)
    if families is None:
        return alone
    common = rng.standard_normal(int(families[-1]) + 1)[families]
    return math.sqrt(share) * common + math.sqrt(1 - share) * alone


def _answers(
    rng: np.random.Generator, setting: Setting, abilities: Floats, *, rate: float, steady: bool = False
) -> Floats:
    """Scores of shape (cases, trials) whose expected mean is `rate`; a steady model says the same every time."""
    own = setting.regime.own
    noise = 0.0 if steady else rng.standard_normal((setting.cases, setting.trials))
    latent = math.sqrt(own) * abilities[:, None] + math.sqrt(1 - own) * noise
    latent = np.broadcast_to(latent, (setting.cases, setting.trials))
    levels = _thresholds(rate, graded=setting.graded)
    return (len(levels) - np.searchsorted(levels, latent)) / len(levels)


@cache
def _thresholds(rate: float, *, graded: bool) -> Floats:
    """The latent levels whose mean chance to be undercut is `rate`."""
    offsets = np.array(LEVELS if graded else (0.0,))
    middle = brentq(lambda z: float(np.mean(ndtr(z + offsets))) - rate, -12.0, 12.0, xtol=1e-12)
    return middle + offsets
