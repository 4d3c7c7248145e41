import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from harness.verdict.boundaries import WHOLE, Look, spending, spent_levels

QUARTERS = (0.25, 0.5, 0.75, 1.0)


def bounds(shares: tuple[float, ...], level: float) -> list[float]:
    return [-float(ndtri(one)) for one in spent_levels(shares, level)]


@pytest.mark.parametrize(
    ("shares", "level", "published"),
    [
        (QUARTERS, 0.05, (3.75, 2.54, 2.02, 1.72)),
        # Reboussin, DeMets, Kim & Lan (2000), Controlled Clinical Trials 21:190-207, O'Brien-Fleming type.
        ((0.2, 0.4, 0.6, 0.8, 1.0), 0.025, (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
        ((0.5, 1.0), 0.025, (2.9626, 1.9686)),
    ],
)
def test_bounds_are_the_published_ones(
    shares: tuple[float, ...], level: float, published: tuple[float, ...]
) -> None:
    assert bounds(shares, level) == pytest.approx(published, abs=6e-3 if level == 0.05 else 1e-3)


@pytest.mark.parametrize("shares", [QUARTERS, (0.07, 0.5, 0.52, 1.0), (0.34, 0.34, 0.67, 1.0)])
@pytest.mark.parametrize("level", [0.1, 0.05, 0.0125])
def test_looking_often_is_wrong_as_often_as_looking_once(shares: tuple[float, ...], level: float) -> None:
    runs = 200_000
    steps = np.sqrt(np.diff((0.0, *shares)))
    sums = np.cumsum(np.random.default_rng(5).standard_normal((runs, len(shares))) * steps, axis=1)
    wrong = np.mean((ndtr(-sums / np.sqrt(shares)) <= spent_levels(shares, level)).any(axis=1))
    assert wrong == pytest.approx(level, abs=3 * math.sqrt(level / runs))


def test_one_look_at_everything_has_the_whole_level() -> None:
    assert WHOLE.level(0.05) == 0.05
    assert spending(1.0, 0.05) == pytest.approx(0.05)


def test_a_look_that_saw_nothing_new_has_the_level_of_the_one_before() -> None:
    first, second, *_ = spent_levels((0.5, 0.5, 1.0), 0.05)
    assert first == second
    assert spent_levels((0.5, 0.5, 1.0), 0.05)[-1] == pytest.approx(spent_levels((0.5, 1.0), 0.05)[-1])


def test_levels_rise_with_what_may_be_spent() -> None:
    look = Look(shares=QUARTERS[:2])
    levels = [look.level(level) for level in (0.001, 0.01, 0.025, 0.05, 0.1, 0.2)]
    assert levels == sorted(levels)
    assert 0 < levels[0] < levels[-1] < 0.2


def test_a_tiny_first_look_never_shows_anything() -> None:
    first, last = spent_levels((0.001, 1.0), 0.05)
    assert first == pytest.approx(0.0, abs=1e-12)
    assert last == pytest.approx(0.05, abs=1e-6)


def test_only_the_look_at_all_cases_is_the_last() -> None:
    assert Look(shares=(0.5, 1.0)).is_last
    assert not Look(shares=(0.5,)).is_last
    assert Look(shares=(0.5, 0.75)).number == 2
