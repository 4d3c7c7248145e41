from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dataset.splitting import Placed, share_of


def rows(*groups: tuple[str, int]) -> list[Placed]:
    """So many rows, each a group of its own, of each stratum."""
    return [Placed(group=(stratum, n), stratum=stratum) for stratum, count in groups for n in range(count)]


def test_every_stratum_has_its_share() -> None:
    placed = rows(("a", 100), ("b", 50), ("c", 10))
    chosen = share_of(placed, fraction=0.2, seed=0)
    assert Counter(placed[index].stratum for index in chosen) == {"a": 20, "b": 10, "c": 2}


def test_smaller_shares_are_part_of_larger_ones() -> None:
    placed = rows(("a", 33), ("b", 21), ("c", 5))
    shares = [set(share_of(placed, fraction=fraction, seed=3)) for fraction in (0.1, 0.25, 0.5, 0.9, 1)]
    for smaller, larger in pairwise(shares):
        assert smaller < larger


def test_another_seed_chooses_others_and_the_same_seed_the_same() -> None:
    placed = rows(("a", 100))
    assert share_of(placed, fraction=0.5, seed=0) == share_of(placed, fraction=0.5, seed=0)
    assert share_of(placed, fraction=0.5, seed=0) != share_of(placed, fraction=0.5, seed=1)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=80),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_groups_stay_together_shares_nest_and_are_near_what_was_asked(
    drawn: list[tuple[int, int]], one: float, other: float, seed: int
) -> None:
    placed = [Placed(group=group, stratum=stratum) for group, stratum in drawn]
    low, high = sorted((one, other))
    smaller = set(share_of(placed, fraction=low, seed=seed))
    assert smaller <= set(share_of(placed, fraction=high, seed=seed))
    inside = {placed[index].group for index in smaller}
    assert inside.isdisjoint(placed[index].group for index in range(len(placed)) if index not in smaller)
    largest = max(Counter(row.group for row in placed).values())
    assert abs(len(smaller) - low * len(placed)) <= largest


@pytest.mark.parametrize(("fraction", "size"), [(0, 0), (1, 4), (0.01, 1), (0.99, 3)])
def test_edges(fraction: float, size: int) -> None:
    assert len(share_of(rows(("a", 4)), fraction=fraction, seed=0)) == size
