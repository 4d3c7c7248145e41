from hypothesis import given
from hypothesis import strategies as st

from harness.dataset.histograms import MOST_BARS, histogram


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=300))
def test_every_row_is_in_one_bar_or_beyond_and_bars_stay_few(values: list[int]) -> None:
    bars = histogram(values)
    assert len(bars.counts) <= MOST_BARS
    assert sum(bars.counts) + bars.beyond == len(values)
    for place, count in enumerate(bars.counts):
        low = bars.start + place * bars.width
        assert count == sum(low <= value < low + bars.width for value in values)
    assert bars.beyond == sum(value >= bars.end for value in values)
    assert bars.greatest == max(values)
    assert bars.start <= min(values)


def test_bars_begin_and_end_at_round_numbers() -> None:
    bars = histogram([26, 45, 333, 208])
    assert (bars.start, bars.width, bars.end) == (20, 20, 340)


def test_few_rows_far_beyond_all_others_do_not_press_those_into_one_bar() -> None:
    bars = histogram([*range(100, 200), *range(100, 200), 8000])
    assert (bars.end, bars.beyond, bars.greatest) == (200, 1, 8000)
    assert len(bars.counts) == 20


def test_equal_rows_are_one_bar() -> None:
    bars = histogram([3, 3, 3])
    assert (bars.start, bars.width, bars.counts, bars.beyond) == (3, 1, (3,), 0)
