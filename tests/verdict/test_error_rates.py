"""How often the rules are wrong, measured by simulation on models whose truth is known.

Latent difficulty: a case's outcome under each model follows a normal threshold model, with the two
models' outcomes correlated at .43, as real models' outcomes on the same prompts are.
"""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from harness.records import SuiteRole
from harness.verdict import SuiteScores, decide

RUNS = 500
SHARED = 0.9
NOISE = 0.5


def draw(
    rng: np.random.Generator, role: SuiteRole, *, cases: int, base: float, change: float, trials: int
) -> SuiteScores:
    """One suite of a model whose true rate differs from the base's by `change`."""
    old = rng.standard_normal(cases)
    new = SHARED * old + math.sqrt(1 - SHARED**2) * rng.standard_normal(cases)

    def outcomes(ability: np.ndarray, rate: float) -> np.ndarray:
        noise = NOISE * rng.standard_normal((cases, trials))
        seen = math.sqrt(1 - NOISE**2) * ability[:, None] + noise < ndtri(rate)
        return np.asarray(seen, dtype=float)

    return SuiteScores(
        name="s",
        role=role,
        margin=None,
        candidate=outcomes(new, base + change),
        reference=outcomes(old, base),
    )


@pytest.mark.parametrize("trials", [1, 3])
def test_an_unchanged_model_is_promoted_in_at_most_seven_percent(trials: int) -> None:
    rng = np.random.default_rng(20)
    made = (draw(rng, "target", cases=50, base=0.8, change=0.0, trials=trials) for _ in range(RUNS))
    promoted = sum(decide([suite]).outcome == "promote" for suite in made)
    assert 0.02 <= promoted / RUNS <= 0.07


@pytest.mark.parametrize(("base", "trials"), [(0.8, 1), (0.95, 1), (0.95, 3)])
def test_a_model_that_lost_the_margin_is_proved_in_at_most_eight_percent(base: float, trials: int) -> None:
    rng = np.random.default_rng(21)
    made = (draw(rng, "guard", cases=50, base=base, change=-0.05, trials=trials) for _ in range(RUNS))
    proved = sum(decide([suite]).suites["s"].decision == "pass" for suite in made)
    assert proved / RUNS <= 0.08


def test_a_model_that_gained_ten_points_is_found_as_often_as_planned() -> None:
    """Power of the paired t at +10 points on 100 cases of base .8, one trial: .82 in 3,000 simulated runs."""
    rng = np.random.default_rng(22)
    made = (draw(rng, "target", cases=100, base=0.8, change=0.10, trials=1) for _ in range(RUNS))
    found = sum(decide([suite]).outcome == "promote" for suite in made)
    assert 0.76 <= found / RUNS <= 0.88
