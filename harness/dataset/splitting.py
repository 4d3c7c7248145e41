"""Which rows validate, and which are a share of the whole? Stratified, seeded, families and duplicates never parted.

Groups that must stay together are put in one order for each seed, in which every beginning is a fair sample of all strata; a share is
a beginning of it. So a smaller share is part of every larger one of the same seed.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate

from harness.records import record


@record
class Placed:
    """One row for the splitter: the group it must stay with, and the stratum whose share it counts for."""

    group: Hashable
    stratum: Hashable


def share_of(rows: Sequence[Placed], *, fraction: float, seed: int) -> list[int]:
    """The indices, in file order, of about `fraction` (0..1) of the rows.

    Never more than half a group away from it; a share asked to be something is never empty, and one asked to leave
    something never whole, where there are two groups.
    """
    groups = _ordered(rows, seed)
    wanted = fraction * len(rows)
    ends = list(accumulate(len(group) for group in groups))
    # The beginning whose size is nearest: a group goes in when at least half of it does.
    taken = sum(end - len(group) / 2 <= wanted for end, group in zip(ends, groups, strict=True))
    if len(groups) > 1 and 0 < fraction < 1:
        taken = min(max(taken, 1), len(groups) - 1)
    return sorted(row for group in groups[:taken] for row in group)


def _ordered(rows: Sequence[Placed], seed: int) -> list[list[int]]:
    """The groups, as the indices of their rows, in the seed's order."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[row.group].append(index)
    strata: dict[Hashable, list[list[int]]] = defaultdict(list)
    for members in groups.values():
        strata[_stratum(rows[index].stratum for index in members)].append(members)
    placed: list[tuple[float, bytes, list[int]]] = []
    for stratum in strata.values():
        mixed = sorted(stratum, key=lambda members: _draw(seed, members))
        total = sum(map(len, mixed))
        done = 0
        for members in mixed:
            # Where the group's middle lies in its stratum: a beginning then holds the same share of each.
            placed.append(((done + len(members) / 2) / total, _draw(seed, members), members))
            done += len(members)
    return [members for _, _, members in sorted(placed)]


def _stratum(strata: Iterable[Hashable]) -> Hashable:
    """The commonest among a group's rows, the first of several."""
    return Counter(strata).most_common(1)[0][0]


def _draw(seed: int, members: Sequence[int]) -> bytes:
    """A group's lot: from the seed and the place of its first row, the same on every machine."""
    return hashlib.blake2b(f"{seed}:{members[0]}".encode(), digest_size=8).digest()
