from hypothesis import given
from hypothesis import strategies as st

from harness.dataset.quality.samples import RowSample


def sampled(lines: range, size: int) -> RowSample:
    sample = RowSample(size)
    for line in lines:
        sample.add(line, 10 * line)
    return sample


def test_few_rows_are_all_kept_in_file_order() -> None:
    assert list(sampled(range(1, 5), 9)) == [(1, 10), (2, 20), (3, 30), (4, 40)]


def test_of_many_rows_chance_keeps_as_many_as_asked_for() -> None:
    kept = [line for line, _ in sampled(range(1, 10_001), 1_000)]
    assert len(kept) == 1_000
    assert 400 < sum(line <= 5_000 for line in kept) < 600
    assert 400 < sum(line % 2 for line in kept) < 600


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 20))
def test_parts_merged_are_the_whole(rows: int, cut: int, size: int) -> None:
    first, later = sampled(range(min(cut, rows)), size), sampled(range(min(cut, rows), rows), size)
    first.merge(later)
    assert list(first) == list(sampled(range(rows), size))
    assert first.offered == rows
