"""The prior and what measuring makes of it, against Bayes' rule in its other form: precisions instead of covariances."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from harness.verdict.learning_curves import (
    CHURN,
    KINDS,
    NOISE_CORRELATION,
    SEED_SD,
    Measured,
    foresee,
)

CLIMB = Measured(doublings=(2.0, 1.0, 0.0), scores=(0.5, 0.58, 0.65), cases=100, seeds=2)
# Log error at n, then the changes n/8 to n/4 to n/2 to n to 2n. The error at n/4 is that at n less the two changes between.
ROWS = np.array([[1, 0, -1, -1, 0], [1, 0, 0, -1, 0], [1, 0, 0, 0, 0]], dtype=float)


def noise_by_hand(measured: Measured) -> np.ndarray:
    """How far log errors lie from the truth: by prompts, of which models share six tenths, and by the seeds of training."""
    size = len(measured.scores)
    noise = np.zeros((size, size))
    for one in range(size):
        for other in range(size):
            wrong = [1 - measured.scores[index] for index in (one, other)]
            rates = [(error * measured.cases + 0.5) / (measured.cases + 1) for error in wrong]
            sds = [
                math.sqrt(rate * (1 - rate) / measured.cases) / error
                for rate, error in zip(rates, wrong, strict=True)
            ]
            noise[one, other] = sds[0] * sds[1] * (1.0 if one == other else NOISE_CORRELATION)
        error = 1 - measured.scores[one]
        noise[one, one] += (SEED_SD**2 + CHURN * (1 - error) / error) / measured.seeds
    return noise


def test_what_remains_of_the_prior_is_bayes_rule() -> None:
    found, noise = foresee(CLIMB), noise_by_hand(CLIMB)
    logs = np.log(1 - np.array(CLIMB.scores))
    likelihoods = []
    for kind, mean, covariance in zip(KINDS, found.means, found.covariances, strict=True):
        prior = np.zeros((5, 5))
        prior[0, 0], prior[1:, 1:] = 10.0**2, kind.covariance
        before = np.array([-1.6, *kind.mean])
        precision = np.linalg.inv(prior) + ROWS.T @ np.linalg.inv(noise) @ ROWS
        after = np.linalg.solve(
            precision, np.linalg.solve(prior, before) + ROWS.T @ np.linalg.solve(noise, logs)
        )
        assert mean == pytest.approx(after, rel=1e-6)
        assert covariance == pytest.approx(np.linalg.inv(precision), rel=1e-6, abs=1e-12)
        seen = multivariate_normal(ROWS @ before, ROWS @ prior @ ROWS.T + noise)
        likelihoods.append(kind.share * seen.pdf(logs))
    assert found.weights == pytest.approx(np.array(likelihoods) / sum(likelihoods), rel=1e-6)


def test_a_measured_covariance_takes_the_place_of_the_assumed_one() -> None:
    covariance = np.array([[0.004, 0.001, 0.001], [0.001, 0.003, 0.002], [0.001, 0.002, 0.002]])
    measured = Measured(
        doublings=CLIMB.doublings, scores=CLIMB.scores, cases=100, seeds=1, covariance=covariance
    )
    errors = 1 - np.array(CLIMB.scores)
    # As much noise as half a prompt of a hundred remains where prompts tell none.
    noise = (covariance + 0.5 / 100**2 * np.eye(3)) / np.outer(errors, errors)
    noise += np.diag(SEED_SD**2 + CHURN * (1 - errors) / errors)
    found = foresee(measured)
    prior = np.zeros((5, 5))
    prior[0, 0], prior[1:, 1:] = 10.0**2, KINDS[0].covariance
    precision = np.linalg.inv(prior) + ROWS.T @ np.linalg.inv(noise) @ ROWS
    assert found.covariances[0] == pytest.approx(np.linalg.inv(precision), rel=1e-6, abs=1e-12)


def test_a_perfect_score_is_surer_the_more_prompts_it_has_and_never_certain() -> None:
    few, many = (
        foresee(Measured(doublings=(1.0, 0.0), scores=(0.9, 1.0), cases=cases)).score(0)
        for cases in (50, 50_000)
    )
    assert 0.85 < few < many < 1.0


def test_many_prompts_and_trainings_leave_the_scores_as_they_are() -> None:
    sure = Measured(doublings=(3.0, 2.0, 1.0, 0.0), scores=(0.4, 0.5, 0.6, 0.7), cases=10**9, seeds=10**9)
    found = foresee(sure)
    for doublings, score in zip(sure.doublings, sure.scores, strict=True):
        assert found.score(doublings) == pytest.approx(score, abs=1e-4)
    # Straight in the log error: between 0.6 and 0.7 the error is the geometric mean of 0.4 and 0.3.
    assert found.score(0.5) == pytest.approx(1 - math.sqrt(0.4 * 0.3), abs=1e-4)
    assert found.score(2.5) == pytest.approx(1 - math.sqrt(0.6 * 0.5), abs=1e-4)


def test_no_score_is_below_zero() -> None:
    falling = Measured(doublings=(1.0, 0.0), scores=(0.0, 0.0), cases=10**6, seeds=10**6)
    assert foresee(falling).score(3.0) == 0.0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_gain_is_a_quantile_of_the_three_kinds_together(share: float) -> None:
    found = foresee(CLIMB)
    (gain,) = found.gain([share])
    below = 0.0
    for weight, mean, covariance in zip(found.weights, found.means, found.covariances, strict=True):

        def brought(level: float, change: float) -> float:
            return math.exp(level) - math.exp(level + change)

        step = 1e-6
        level, change = mean[0], mean[-1]
        slopes = np.array(
            [
                (brought(level + step, change) - brought(level - step, change)) / (2 * step),
                (brought(level, change + step) - brought(level, change - step)) / (2 * step),
            ]
        )
        spread = math.sqrt(slopes @ covariance[np.ix_([0, -1], [0, -1])] @ slopes)
        below += weight * norm.cdf((gain - brought(level, change)) / spread)
    assert below == pytest.approx(share, abs=1e-6)
