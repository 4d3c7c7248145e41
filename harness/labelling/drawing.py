"""Which cases people label: a seeded draw, denser where the judge's findings are rare."""

import math
import random
from collections.abc import Mapping, Sequence

from harness.verdict import FEWEST_LABELS


def drawn(strata: Sequence[int], cases: int, *, seed: int) -> list[int]:
    """Indices of at most `cases` cases, in random order.

    From each stratum as many as its square root's share: drawn in proportion, a rare finding of the judge might get no label at all;
    drawn in equal numbers, each label of a common one stands for too many cases (`benchmarks/judge_calibration.py` compares them).
    The same seed draws the same cases and, for a larger number, some more.
    """
    members: dict[int, list[int]] = {}
    for index, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(index)
    generator = random.Random(seed)  # noqa: S311 - a draw that can be repeated, not a secret
    for stratum in sorted(members):
        generator.shuffle(members[stratum])
    shares = allotted({stratum: len(inside) for stratum, inside in members.items()}, cases)
    chosen = [index for stratum, inside in members.items() for index in inside[: shares[stratum]]]
    generator.shuffle(chosen)
    return chosen


def allotted(sizes: Mapping[int, int], cases: int) -> dict[int, int]:
    """How many cases to draw from each stratum: none more than it has, two of each where that is possible."""
    left = min(cases, sum(sizes.values()))
    given = dict.fromkeys(sizes, 0)
    # One by one to the stratum that is furthest behind its share; few enough for that to be quick.
    for _ in range(left):
        open_ones = [stratum for stratum, size in sizes.items() if given[stratum] < size]
        behind = min(open_ones, key=lambda stratum: (_fill(given[stratum], sizes[stratum]), stratum))
        given[behind] += 1
    return given


def _fill(given: int, size: int) -> float:
    """How full a stratum's share is; the first labels come before any share."""
    return given - FEWEST_LABELS if given < FEWEST_LABELS else given / math.sqrt(size)
