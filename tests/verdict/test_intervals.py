"""Intervals against published examples and other libraries' values, written out here."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.verdict.intervals import augmented_interval, t_interval, tango_interval, wilson
from harness.verdict.pairedtests import p_augmented, p_tango, paired_difference


def test_tango_interval_of_the_published_example() -> None:
    """Tango (1998): one pair of 44 got worse, 95 % interval."""
    low, high = tango_interval(better=0, worse=1, cases=44, confidence=0.95)
    assert low == pytest.approx(-0.118, abs=5e-4)
    assert high == pytest.approx(0.059, abs=5e-4)


@given(st.integers(1, 120), st.data())
def test_tango_interval_is_the_test_turned_around(cases: int, data: st.DataObject) -> None:
    better = data.draw(st.integers(0, cases))
    worse = data.draw(st.integers(0, cases - better))
    low, high = tango_interval(better=better, worse=worse, cases=cases)
    assert -1 <= low <= (better - worse) / cases <= high <= 1
    if low > -0.999:
        assert p_tango(low, better=better, worse=worse, cases=cases) == pytest.approx(0.05, abs=1e-4)


def test_t_interval_agrees_with_scipy() -> None:
    values = ((np.arange(30) * 7) % 9 - 3) / 10
    difference = paired_difference(values)
    assert difference is not None
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.90)
    assert t_interval(difference) == pytest.approx((expected.low, expected.high))


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=2, max_size=50))
def test_intervals_stay_on_the_scale_and_hold_the_difference(values: list[float]) -> None:
    difference = paired_difference(np.array(values))
    assert difference is not None
    for low, high in (t_interval(difference), augmented_interval(difference)):
        assert -1 <= low <= difference.mean + 1e-12
        assert difference.mean - 1e-12 <= high <= 1


@given(
    st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.0, 0.0, 0.5, 1.0]), min_size=3, max_size=120),
    st.sampled_from([0.9, 0.95]),
)
def test_the_augmented_interval_is_the_test_turned_around(values: list[float], confidence: float) -> None:
    difference = paired_difference(np.array(values))
    assert difference is not None
    low, _ = augmented_interval(difference, confidence=confidence)
    level = (1 - confidence) / 2
    if -0.999 < low < 0:
        assert p_augmented(difference, low) == pytest.approx(level, abs=1e-6)
        assert p_augmented(difference, low - 0.001) < level


@pytest.mark.parametrize(
    ("successes", "cases", "expected"),
    [
        # statsmodels 0.15: proportion_confint(successes, cases, method="wilson")
        (0, 20, (0.0, 0.1611251580528194)),
        (18, 25, (0.5242339480963842, 0.8571614614904344)),
        (50, 50, (0.9286524008666412, 1.0)),
        (87, 100, (0.7901964855992356, 0.9224283257275949)),
    ],
)
def test_wilson_agrees_with_statsmodels(successes: int, cases: int, expected: tuple[float, float]) -> None:
    assert wilson(successes, cases) == pytest.approx(expected, abs=1e-12)


def test_a_rare_failure_has_the_exact_bound_of_a_rare_event() -> None:
    """Brown, Cai & DasGupta (2001): half the 5 % point of chi-squared with 2x degrees of freedom, here -ln .95, over n."""
    low, high = wilson(19, 20)
    assert low == pytest.approx(0.7638688065532577, abs=1e-12), (
        "the far end is Wilson's, as statsmodels has it"
    )
    assert high == pytest.approx(1 + math.log(0.95) / 20, abs=1e-12)
    assert wilson(1, 20) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert wilson(3, 51)[0] == pytest.approx(stats.chi2.ppf(0.05, 6) / 2 / 51)
    assert wilson(3, 50)[0] == pytest.approx(0.020615, abs=1e-6), "three of fifty are Wilson's again"


@pytest.mark.parametrize("cases", [20, 26, 27, 35, 50, 51, 100, 200])
def test_a_rates_interval_holds_it_almost_as_often_as_it_says(cases: int) -> None:
    counts = np.arange(cases + 1)
    low, high = np.array([wilson(int(number), cases) for number in counts]).T
    for rate in np.arange(100, 200) / 200:
        held = stats.binom.pmf(counts, cases, rate)[(low <= rate) & (rate <= high)].sum()
        assert held > 0.915, rate


def test_no_cases_leave_a_rate_anywhere() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
