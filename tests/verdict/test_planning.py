import math

import numpy as np
import pytest

from harness.verdict.pairedtests import p_augmented, paired_difference
from harness.verdict.planning import cases_needed, planning_factor, smallest_detectable


def test_the_factor_is_that_of_power_80_at_five_percent() -> None:
    assert planning_factor(0.05) == pytest.approx(2.487, abs=1e-3)


def test_smallest_detectable_is_the_factor_times_the_error() -> None:
    values = ((np.arange(30) * 7) % 9 - 3) / 10
    difference = paired_difference(values)
    assert difference is not None
    expected = 2.4865 * values.std(ddof=1) / math.sqrt(30)
    assert smallest_detectable(difference, alpha=0.05) == pytest.approx(expected, rel=1e-4)


def test_equal_differences_do_not_detect_everything() -> None:
    difference = paired_difference(np.zeros(20))
    assert difference is not None
    assert smallest_detectable(difference, alpha=0.05) > 0.1


@pytest.mark.parametrize(("margin", "expected"), [(0.10, 25), (0.05, 52), (0.02, 133), (0.01, 268)])
def test_a_score_test_without_a_change_needs_these_cases(margin: float, expected: int) -> None:
    difference = paired_difference(np.zeros(10))
    assert difference is not None
    needed = cases_needed(difference, threshold=-margin, alpha=0.05, cases=10, score_test=True)
    assert needed == expected


def test_an_augmented_t_without_a_change_needs_as_many_cases_as_it_accepts() -> None:
    small = paired_difference(np.zeros(10))
    assert small is not None
    needed = cases_needed(small, threshold=-0.05, alpha=0.05, cases=10)
    assert needed is not None
    enough, short = paired_difference(np.zeros(needed)), paired_difference(np.zeros(needed - 1))
    assert enough is not None
    assert short is not None
    assert p_augmented(enough, -0.05) <= 0.05 < p_augmented(short, -0.05)


def test_more_cases_are_not_promised_to_help_a_model_that_is_no_better() -> None:
    difference = paired_difference(np.array([-1.0, 0.0, 0.0, 0.5]))
    assert difference is not None
    assert cases_needed(difference, threshold=0.0, alpha=0.05, cases=4) is None


def test_families_are_counted_in_cases() -> None:
    families = np.repeat(np.arange(20), 5)
    values = (np.arange(100) % 7 - 2) / 10 + (families % 4 - 1) / 5
    difference = paired_difference(values, families=families)
    assert difference is not None
    needed = cases_needed(difference, threshold=0.1, alpha=0.05, cases=100)
    assert needed == math.ceil(100 * (2.48647 * difference.error / (difference.mean - 0.1)) ** 2)
