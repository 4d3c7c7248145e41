"""Which checkpoint of a training is to be taken, and how good is it where that choice did not look?

The rule, over the suites' scores at each checkpoint:

1. Targets are pooled, suites by their weights. The best checkpoint on them stays, and with it every one that is shown to
   lose less than `POOLED_MARGIN` to it.
2. Of these, the same on the guards and critical suites pooled: the best stays, and what is shown to lose less than the
   margin to it.
3. The earliest of these is taken: less training, and a smaller chance that it has learnt its rows by heart.

"Shown" is the test of the verdict's own guards: paired by cases, augmented t, one-sided at .05, families kept together. With
few cases little is shown, and the rule is that the best on the targets is taken. Suites for information take no part.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from harness.records import SuiteRole, record
from harness.verdict.pairedtests import TINY, Floats, Ints, p_augmented, paired_difference, pool
from harness.verdict.pooled import POOLED_MARGIN
from harness.verdict.sentences import points

Booleans: TypeAlias = npt.NDArray[np.bool_]

LEVEL = 0.05
"""The chance that a checkpoint which loses the margin is called as good as the best."""
SPLITS = 20
"""In how many ways the cases are halved: one alone makes the figure depend on its seed."""
CHOOSING: tuple[tuple[SuiteRole, ...], ...] = (("target",), ("guard", "critical"))
"""The roles that take part in the choice, by the pool they are in; the first pool decides first."""
NAMES = ("targets", "guards")


@record
class CheckpointScores:
    """One suite at every checkpoint of a job, in the order of their steps.

    `scores` has shape (checkpoints, cases): each case's mean over its trials, NaN without one. `families` has shape
    (cases,): cases with the same number are not independent.
    """

    name: str
    role: SuiteRole
    scores: Floats
    families: Ints | None = None
    weight: float = 1.0


@record
class Pick:
    """The checkpoint that was chosen, by its place in the order of steps, and why, in a sentence."""

    index: int
    why: str


def takes_part(role: SuiteRole) -> bool:
    """Whether suites of a role take part in the choice."""
    return any(role in roles for roles in CHOOSING)


def pick_checkpoint(suites: Sequence[CheckpointScores]) -> Pick | None:
    """The checkpoint to take, by the rule above; None where no target, guard or critical suite has a score."""
    pools = [pooled for roles in CHOOSING if (pooled := [suite for suite in suites if suite.role in roles])]
    if not pools:
        return None
    left = [index for index in range(len(suites[0].scores)) if _is_complete(index, pools)]
    clauses: list[tuple[str, int, float]] = []
    for name, pooled in zip(_names(suites), pools, strict=True):
        if not left:
            return None
        kept, best, mean = _as_good_as_best(left, _on_common_cases(pooled, left))
        if len(left) > 1 or not clauses:  # a pool that finds one checkpoint left chooses nothing
            clauses.append((name, best, mean))
        left = kept
    return Pick(index=left[0], why=_sentence(left[0], clauses)) if left else None


def read_elsewhere(suites: Sequence[CheckpointScores], *, seed: str) -> tuple[Floats, ...] | None:
    """Each case's score at the checkpoint that the other half of the cases chooses, a row of shape (cases,) for each suite.

    The cases of every suite are halved, families kept together; each half chooses for the other one, and no case is read
    where it took part in the choice. That is done in `SPLITS` ways and averaged. Of equal checkpoints the mean of what is
    read is on average their score, where the best of three looks 2.5 points better at a standard error of 3.

    None where the halves are too small to choose.
    """
    random = np.random.default_rng(list(seed.encode()))
    read: list[list[Floats]] = [[] for _ in suites]
    for _ in range(SPLITS):
        in_first = [_half(suite, random) for suite in suites]
        for chooses in (True, False):
            own = [half == chooses for half in in_first]
            pick = pick_checkpoint([_part(suite, half) for suite, half in zip(suites, own, strict=True)])
            if pick is None:
                return None
            for rows, suite, half in zip(read, suites, own, strict=True):
                rows.append(np.where(half, np.nan, suite.scores[pick.index]))
    return tuple(_means(np.stack(rows)) for rows in read)


# --- the rule ------------------------------------------------------------------------------------------


def _names(suites: Sequence[CheckpointScores]) -> list[str]:
    roles = {suite.role for suite in suites}
    return [name for name, pool in zip(NAMES, CHOOSING, strict=True) if roles & set(pool)]


def _is_complete(index: int, pools: Sequence[Sequence[CheckpointScores]]) -> bool:
    """Whether a checkpoint has a score in each suite that takes part."""
    return all(not np.isnan(suite.scores[index]).all() for pooled in pools for suite in pooled)


def _on_common_cases(pooled: Sequence[CheckpointScores], left: Sequence[int]) -> list[CheckpointScores]:
    """The suites with the cases that every checkpoint still in question has a score for."""
    parts = (_part(suite, np.all(~np.isnan(suite.scores[list(left)]), axis=0)) for suite in pooled)
    return [suite for suite in parts if suite.scores.shape[1]]


def _as_good_as_best(left: Sequence[int], pooled: Sequence[CheckpointScores]) -> tuple[list[int], int, float]:
    """Those that are shown to lose less than the margin to the best one, the best itself, and its mean."""
    means = {index: _mean(pooled, index) for index in left}
    top = max(means.values(), default=math.nan)
    # Of equals the earliest is the best: what it is compared with must not depend on rounding.
    best = next((index for index in left if means[index] >= top - TINY), left[0])
    kept = [index for index in left if index == best or _is_shown(pooled, index, best)]
    return kept, best, means[best]


def _mean(pooled: Sequence[CheckpointScores], index: int) -> float:
    total = math.fsum(suite.weight for suite in pooled)
    weighted = math.fsum(suite.weight * float(np.mean(suite.scores[index])) for suite in pooled)
    return weighted / total if total else math.nan


def _is_shown(pooled: Sequence[CheckpointScores], index: int, best: int) -> bool:
    found = [
        (suite.weight, difference)
        for suite in pooled
        if (
            difference := paired_difference(suite.scores[index] - suite.scores[best], families=suite.families)
        )
        is not None
    ]
    if not found:
        return False
    together = pool([part for _, part in found], weights=[weight for weight, _ in found])
    return p_augmented(together, -POOLED_MARGIN) <= LEVEL


def _sentence(chosen: int, clauses: Sequence[tuple[str, int, float]]) -> str:
    said = []
    for name, best, mean in clauses:
        if math.isnan(mean):
            continue
        score = f"{mean * 100:.1f} %"
        said.append(
            f"the best on the {name} ({score})"
            if best == chosen
            else f"on the {name} shown to lose less than {points(POOLED_MARGIN)} to the best of them ({score})"
        )
    return "the earliest that is " + " and ".join(said) if said else "the earliest"


# --- halves --------------------------------------------------------------------------------------------


def _half(suite: CheckpointScores, random: np.random.Generator) -> Booleans:
    """Which cases are in the first half, shape (cases,): about as many as not, each family on one side."""
    cases = suite.scores.shape[1]
    families = np.arange(cases) if suite.families is None else suite.families
    names, member_of = np.unique(families, return_inverse=True)
    side = np.arange(len(names)) % 2 == random.integers(2)
    half: Booleans = random.permutation(side)[member_of]
    return half


def _part(suite: CheckpointScores, cases: Booleans) -> CheckpointScores:
    families = None if suite.families is None else suite.families[cases]
    return replace(suite, scores=suite.scores[:, cases], families=families)


def _means(rows: Floats) -> Floats:
    known = np.sum(~np.isnan(rows), axis=0)
    means: Floats = np.where(known > 0, np.nansum(rows, axis=0) / np.maximum(known, 1), np.nan)
    return means
