import math
from dataclasses import replace

import numpy as np
import pytest

from harness.verdict.pairedtests import PairedDifference, p_augmented, paired_difference
from harness.verdict.planning import (
    Claim,
    cases_needed,
    planning_factor,
    power,
    provable_margin,
    smallest_detectable,
    trials_needed,
)

BETTER = Claim(threshold=0.0, alpha=0.05)
NO_WORSE = Claim(threshold=-0.05, alpha=0.05, test="augmented t")


def seen(*values: float, families: list[int] | None = None) -> PairedDifference:
    found = paired_difference(np.array(values), families=None if families is None else np.array(families))
    assert found is not None
    return found


def test_the_factor_is_that_of_power_80_at_five_percent() -> None:
    assert planning_factor(0.05) == pytest.approx(2.487, abs=1e-3)


def test_smallest_detectable_is_the_factor_times_the_error() -> None:
    values = ((np.arange(30) * 7) % 9 - 3) / 10
    expected = 2.4865 * values.std(ddof=1) / math.sqrt(30)
    assert smallest_detectable(seen(*values), alpha=0.05) == pytest.approx(expected, rel=1e-4)


def test_equal_differences_do_not_detect_everything() -> None:
    assert smallest_detectable(seen(*np.zeros(20)), alpha=0.05) > 0.1


@pytest.mark.parametrize(("margin", "expected"), [(0.10, 25), (0.05, 52), (0.02, 133), (0.01, 268)])
def test_a_score_test_without_a_change_needs_these_cases(margin: float, expected: int) -> None:
    claim = Claim(threshold=-margin, alpha=0.05, test="score")
    assert cases_needed(seen(*np.zeros(10)), claim, cases=10) == expected


def test_an_augmented_t_without_a_change_needs_as_many_cases_as_it_accepts() -> None:
    needed = cases_needed(seen(*np.zeros(10)), NO_WORSE, cases=10)
    assert needed is not None
    enough, short = seen(*np.zeros(needed)), seen(*np.zeros(needed - 1))
    assert p_augmented(enough, -0.05) <= 0.05 < p_augmented(short, -0.05)


def test_more_cases_are_not_promised_to_help_a_model_that_is_no_better() -> None:
    assert cases_needed(seen(-1.0, 0.0, 0.0, 0.5), BETTER, cases=4) is None
    assert cases_needed(seen(0.0, 0.0, 0.0, 0.0), BETTER, cases=4) is None


def test_nobody_is_told_to_write_a_million_cases() -> None:
    hardly = PairedDifference(mean=0.0005, error=0.05, units=60, freedom=59)
    assert cases_needed(hardly, BETTER, cases=60) is None


def test_families_are_counted_in_cases() -> None:
    families = np.repeat(np.arange(20), 5)
    values = (np.arange(100) % 7 - 2) / 10 + (families % 4 - 1) / 5
    difference = seen(*values, families=list(families))
    needed = cases_needed(difference, Claim(threshold=0.1, alpha=0.05), cases=100)
    assert needed is not None
    expected = 100 * (2.48647 * difference.error / (difference.mean - 0.1)) ** 2
    assert expected < needed < 1.1 * expected, "a t test of twenty families needs a little more"


def test_a_stricter_level_needs_more_cases() -> None:
    difference = seen(*[1.0] * 5, *[-1.0] * 2, *[0.0] * 53)
    few = cases_needed(difference, BETTER, cases=60)
    many = cases_needed(difference, replace(BETTER, alpha=0.025), cases=60)
    assert few is not None
    assert many is not None
    assert few < many


def test_power_is_that_of_the_noncentral_t() -> None:
    """One-sided t test of 20 cases, true effect .5 standard deviations: .695 (Cohen 1988, table 2.3.2; R: power.t.test)."""
    assert power(
        PairedDifference(mean=0.5, error=1 / math.sqrt(20), units=20, freedom=19), BETTER
    ) == pytest.approx(0.6951, abs=1e-3)


# --- trials ----------------------------------------------------------------------------------------


def test_trials_are_offered_where_all_of_the_error_is_noise() -> None:
    difference = PairedDifference(mean=0.05, error=0.04, units=400, freedom=399)
    needed = trials_needed(difference, BETTER, noise=0.04**2, trials=3)
    assert needed == math.ceil(3 * (2.487 * 0.04 / 0.05) ** 2)


def test_trials_are_not_offered_where_they_cannot_settle_it() -> None:
    difference = PairedDifference(mean=0.05, error=0.04, units=400, freedom=399)
    cases_alone = math.sqrt(0.04**2 - 0.02**2)
    assert 0.05 / cases_alone < 2.487, "what endless trials would leave is still too much"
    assert trials_needed(difference, BETTER, noise=0.02**2, trials=3) is None
    assert cases_needed(difference, BETTER, cases=400) is not None


@pytest.mark.parametrize("noise", [None, 0.0])
def test_trials_that_nothing_is_known_of_or_that_repeat_themselves_are_not_offered(
    noise: float | None,
) -> None:
    difference = PairedDifference(mean=0.09, error=0.04, units=400, freedom=399)
    assert trials_needed(difference, BETTER, noise=noise, trials=1) is None


# --- margins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cases", [25, 52, 133])
def test_the_margin_that_a_score_test_can_prove_without_any_change(cases: int) -> None:
    margin = provable_margin(seen(*np.zeros(cases)), alpha=0.05, test="score")
    assert margin == pytest.approx(2.7055 / (cases + 2.7055), rel=1e-3)
