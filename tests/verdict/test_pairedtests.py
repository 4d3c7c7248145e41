"""The tests against published numbers and other libraries; their values are written out here.

scipy 1.17's ttest_1samp is called directly. The cluster-robust errors were computed with statsmodels
0.15 (`OLS(d, ones).fit(cov_type="cluster", cov_kwds={"groups": families}, use_t=True)`), which the
project does not depend on.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.verdict.intervals import t_interval
from harness.verdict.pairedtests import (
    PairedDifference,
    augmented,
    holm,
    p_above,
    p_augmented,
    p_below,
    p_tango,
    paired_difference,
    pool,
    tango_score,
)

GRADED = ((np.arange(30) * 7) % 9 - 3) / 10
FAMILIES = np.repeat(np.arange(12), [3, 4, 5] * 4)
scores = st.lists(st.integers(-10, 10).map(lambda tenth: tenth / 10), min_size=2, max_size=60).map(np.array)


def of(differences: np.ndarray, families: np.ndarray | None = None) -> PairedDifference:
    difference = paired_difference(differences, families=families)
    assert difference is not None
    return difference


def test_paired_t_agrees_with_scipy() -> None:
    expected = stats.ttest_1samp(GRADED, 0, alternative="greater").pvalue
    assert p_above(of(GRADED)) == pytest.approx(expected, rel=1e-9)
    assert p_below(of(GRADED)) == pytest.approx(1 - expected, rel=1e-9)
    assert p_above(of(GRADED), 0.05) == pytest.approx(
        stats.ttest_1samp(GRADED, 0.05, alternative="greater").pvalue, rel=1e-9
    )


def test_equal_differences_are_not_certainty() -> None:
    few = of(np.full(3, 1.0))
    assert p_above(few) > 0.05
    assert p_above(of(np.full(20, 1.0))) < 1e-6
    assert p_above(of(np.zeros(20))) == pytest.approx(0.5)


@given(scores)
def test_augmented_t_is_the_t_of_the_data_with_one_value_at_each_end(differences: np.ndarray) -> None:
    extended = np.append(differences, [1.0, -1.0])
    total = len(extended)
    made = augmented(of(differences))
    assert made.mean == pytest.approx(extended.sum() / total, abs=1e-12)
    assert made.error == pytest.approx(math.sqrt(extended.var() / total), rel=1e-9)
    assert made.freedom == len(differences) - 1


@pytest.mark.parametrize(("margin", "most"), [(0.02, 0.069), (0.05, 0.07), (0.10, 0.072)])
def test_cases_lost_whole_are_never_easily_missed(margin: float, most: float) -> None:
    """Each case is lost with the chance `margin`, none is gained: how often is the loss called smaller? Exact, of every size."""
    lost = 0
    for cases in range(20, 301):
        while p_augmented(of(-(np.arange(cases) < lost).astype(float)), -margin) <= 0.05:
            lost += 1
        while lost and p_augmented(of(-(np.arange(cases) < lost - 1).astype(float)), -margin) > 0.05:
            lost -= 1
        assert stats.binom.cdf(lost - 1, cases, margin) < most, cases


def test_cluster_error_agrees_with_statsmodels() -> None:
    differences = (FAMILIES % 5 - 1) / 5 + ((np.arange(48) * 3) % 4) / 40
    clustered = of(differences, FAMILIES)
    assert clustered.mean == pytest.approx(0.17916666666666675)
    assert clustered.error == pytest.approx(0.08297310081438578, rel=1e-9)
    assert clustered.freedom == 11
    assert p_above(clustered) == pytest.approx(0.02688328, abs=1e-8)


def test_families_that_cancel_out_do_not_shrink_the_error() -> None:
    differences = ((np.arange(48) * 7 + FAMILIES * 5) % 11 - 4) / 10  # cluster error 0.0213, plain 0.0450
    assert of(differences, FAMILIES).error == pytest.approx(0.044958609806628594, rel=1e-9)


def test_few_families_are_compared_by_their_means() -> None:
    families = np.array([0, 0, 0, 1, 1, 2, 3, 4])
    difference = of(np.array([1.0, 1.0, 1.0, 0.0, 0.5, 0.0, 0.25, 0.5]), families)
    expected = stats.ttest_1samp([1.0, 0.25, 0.0, 0.25, 0.5], 0, alternative="greater")
    assert difference.units == 5
    assert p_above(difference) == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("units", [2, 3, 4])
def test_a_few_cases_that_agree_are_luck_however_closely_they_agree(units: int) -> None:
    """All of four better happens by luck in (1/2)^4, more than one time in twenty; a t test would say p < .001."""
    alike = of(np.linspace(0.98, 1.0, units))
    assert stats.ttest_1samp(np.linspace(0.98, 1.0, units), 0, alternative="greater").pvalue < 0.005
    assert p_above(alike) > 0.05
    assert t_interval(alike)[0] < 0
    assert p_above(of(np.linspace(0.98, 1.0, 5))) < 0.05


@pytest.mark.parametrize("differences", [[], [1.0]])
def test_fewer_than_two_cases_support_no_test(differences: list[float]) -> None:
    assert paired_difference(np.array(differences)) is None
    assert paired_difference(np.array(differences), families=np.arange(len(differences))) is None


def test_one_family_supports_no_test() -> None:
    assert paired_difference(np.array([0.0, 1.0, 1.0]), families=np.array([7, 7, 7])) is None


@pytest.mark.parametrize(("margin", "cases"), [(0.10, 25), (0.05, 52), (0.02, 133), (0.01, 268)])
def test_tango_needs_this_many_unchanged_cases(margin: float, cases: int) -> None:
    assert p_tango(-margin, better=0, worse=0, cases=cases) < 0.05
    assert p_tango(-margin, better=0, worse=0, cases=cases - 1) > 0.05


def test_tango_at_zero_is_mcnemar() -> None:
    assert tango_score(0.0, better=14, worse=5, cases=60) == pytest.approx((14 - 5) / math.sqrt(14 + 5))


@given(st.integers(1, 80), st.data())
def test_swapping_the_models_mirrors_tangos_score(cases: int, data: st.DataObject) -> None:
    better = data.draw(st.integers(0, cases))
    worse = data.draw(st.integers(0, cases - better))
    threshold = data.draw(st.sampled_from([-0.3, -0.05, 0.02, 0.4]))
    score = tango_score(threshold, better=better, worse=worse, cases=cases)
    mirrored = tango_score(-threshold, better=worse, worse=better, cases=cases)
    assert score == pytest.approx(-mirrored, rel=1e-6, abs=1e-9)


def test_tango_equals_a_search_of_the_likelihood() -> None:
    better, worse, cases, threshold = 3, 5, 50, -0.05
    grid = np.linspace(0.0501, 0.9, 400_001)  # the rate of "worse" under H0; "better" is 0.05 less
    log_likelihood = (
        better * np.log(grid + threshold)
        + worse * np.log(grid)
        + (cases - better - worse)
        * np.log(1 - 2 * grid - threshold, where=2 * grid + threshold < 1, out=np.full_like(grid, -np.inf))
    )
    lost = grid[np.argmax(log_likelihood)]
    expected = (better - worse - cases * threshold) / math.sqrt(cases * (2 * lost + threshold - threshold**2))
    assert tango_score(threshold, better=better, worse=worse, cases=cases) == pytest.approx(
        expected, abs=1e-4
    )


def test_holm_stops_at_the_first_that_misses_its_share() -> None:
    # statsmodels' multipletests(method="holm") rejects the first and the last here.
    assert holm([0.01, 0.04, 0.03, 0.005], level=0.05) == [True, False, False, True]
    assert holm([], level=0.05) == []
    assert holm([0.05], level=0.05) == [True]


def test_pooling_one_suite_changes_nothing() -> None:
    alone = of(GRADED)
    pooled = pool([alone], weights=[3.0])
    assert pooled.mean == pytest.approx(alone.mean)
    assert pooled.error == pytest.approx(alone.error)
    assert pooled.units == pytest.approx(alone.units)
    assert pooled.freedom == pytest.approx(alone.freedom)


def test_pooling_equal_suites_multiplies_the_units() -> None:
    pooled = pool([of(GRADED)] * 4, weights=[1.0] * 4)
    assert pooled.units == pytest.approx(120)
    assert pooled.error == pytest.approx(of(GRADED).error / 2)
    assert pooled.freedom == pytest.approx(4 * 29)


def test_a_small_noisy_suite_keeps_its_few_degrees_of_freedom() -> None:
    quiet = PairedDifference(mean=0.0, error=0.0, units=500, freedom=499)
    noisy = PairedDifference(mean=0.0, error=0.1, units=5, freedom=4)
    assert pool([quiet, noisy], weights=[1, 1]).freedom == pytest.approx(4)
    assert pool([quiet, quiet], weights=[1, 1]).freedom == pytest.approx(998)


def test_pooling_gives_a_large_suite_no_more_say_than_its_weight() -> None:
    small, large = of(np.array([-0.2, -0.4] * 5)), of(np.array([0.1, 0.3] * 500))
    assert pool([small, large], weights=[1, 1]).mean == pytest.approx(-0.05)
    assert pool([small, large], weights=[1, 3]).mean == pytest.approx(0.075)


@given(scores)
def test_a_smaller_claim_is_never_harder_to_prove(differences: np.ndarray) -> None:
    difference = of(differences)
    assert p_augmented(difference, -0.10) <= p_augmented(difference, -0.05) <= p_augmented(difference, -0.01)
