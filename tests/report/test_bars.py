"""Intervals on a shared scale."""

from itertools import pairwise

import pytest

from harness.report.bars import EDGE, LEAST_SPAN, WIDTH, scale


def test_scale_holds_zero_and_every_value() -> None:
    measure = scale([0.6, 0.9, -0.05])
    assert measure.low < -0.05
    assert measure.high > 0.9
    assert EDGE < measure.at(0) < measure.at(0.6) < measure.at(0.9) < WIDTH - EDGE


def test_small_differences_do_not_fill_the_scale() -> None:
    measure = scale([-0.001, 0.001])
    assert measure.high - measure.low >= LEAST_SPAN


def test_scale_of_nothing_is_still_a_scale() -> None:
    measure = scale([])
    assert measure.low < 0 < measure.high


def test_values_that_are_no_numbers_are_ignored() -> None:
    assert scale([float("nan"), float("inf")]) == scale([])


@pytest.mark.parametrize("values", [[0.687, 1.027], [-0.16, 0.16], [-0.004, 0.03], [-1.0, 1.0], [0.12]])
def test_ticks_are_few_round_evenly_spaced_and_include_zero(values: list[float]) -> None:
    ticks = scale(values).ticks()
    assert 2 <= len(ticks) <= 6
    assert "0" in [tick.label for tick in ticks]
    gaps = [after.x - before.x for before, after in pairwise(ticks)]
    assert max(gaps) - min(gaps) < 0.5


def test_bar_puts_the_margin_left_of_zero_and_the_point_between_the_ends() -> None:
    bar = scale([-0.1, 0.2]).bar(0.05, (-0.02, 0.12), margin=0.1)
    assert bar.margin < bar.low < bar.zero < bar.point < bar.high


def test_a_value_beyond_the_scale_stays_in_the_drawing() -> None:
    assert scale([0.1]).at(5.0) == WIDTH - EDGE
