"""Kendall's test and the Theil-Sen slope, beside scipy's."""

import numpy as np
import pytest
from scipy.stats import kendalltau, theilslopes

from harness.training.trends import EXACT_UP_TO, MOST_POINTS, trend


@pytest.mark.parametrize("points", [2, 3, 5, 12, 25, EXACT_UP_TO])
@pytest.mark.parametrize("drift", [-0.05, 0.0, 0.05])
def test_short_series_get_the_exact_chances_of_scipy(points: int, drift: float) -> None:
    at = np.arange(points, dtype=float)
    values = np.random.default_rng(points).normal(size=points) + drift * at
    found = trend(at, values)
    for chance, side in ((found.rising, "greater"), (found.falling, "less")):
        assert chance == pytest.approx(kendalltau(at, values, alternative=side, method="exact").pvalue)
    assert found.change == pytest.approx(theilslopes(values, at).slope * (points - 1))


@pytest.mark.parametrize("decimals", [0, 5])
def test_long_and_tied_series_are_within_a_step_of_scipy(decimals: int) -> None:
    at = np.arange(120, dtype=float)
    values = np.round(np.random.default_rng(1).normal(size=120) + 0.01 * at, decimals)
    found = trend(at, values)
    assert found.rising == pytest.approx(kendalltau(at, values, alternative="greater").pvalue, abs=0.003)


def test_a_constant_series_has_no_trend() -> None:
    found = trend(np.arange(50.0), np.zeros(50))
    assert (found.rising, found.falling, found.change, found.noise) == (1.0, 1.0, 0.0, 0.0)


def test_noise_is_told_and_a_few_wild_points_change_neither_it_nor_the_trend() -> None:
    at = np.arange(200.0)
    values = 0.01 * at + np.random.default_rng(3).normal(scale=0.2, size=200)
    calm = trend(at, values)
    assert calm.noise == pytest.approx(0.2, rel=0.15)
    values[::20] += 100
    wild = trend(at, values)
    assert wild.noise == pytest.approx(calm.noise, rel=0.25)
    assert wild.change == pytest.approx(calm.change, rel=0.1)


def test_a_series_of_a_hundred_thousand_points_is_cut_to_medians() -> None:
    at = np.arange(100_000.0)
    found = trend(at, 1e-5 * at + np.random.default_rng(0).normal(size=100_000))
    assert found.points == 100_000
    assert found.change == pytest.approx(1.0, abs=0.15)
    assert found.rising < 1e-6
    assert MOST_POINTS < 1000
