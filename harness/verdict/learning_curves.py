"""How does a score go on with more data? A prior of learning curves, and what remains of it after some sizes were measured.

A curve is its log error (ln of one minus the score) at n, and that error's change at each of the doublings n/8 to n/4 to n/2 to
n to 2n. Curves come in three kinds, each a Gaussian: flat, steady, and leaping. Between doublings the log error is
taken as straight in the logarithm of the size.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from harness.records import record

PAST_DOUBLINGS = 3
"""How far back measured sizes count: to n/8."""
SEED_SD = 0.05
"""How far one training's log error lies from its mean over seeds; with `CHURN`, as the splits of the prior's curves show."""
CHURN = 0.001
"""Further, single answers turn by the seed, which matters where errors are few: variance of the log error, per odds of being right."""
NOISE_CORRELATION = 0.6
"""Between the suite noise of two models on the same prompts, where it is not measured (people's labels: .4 to .7)."""
_LEVEL_MEAN, _LEVEL_SD = -1.6, 10.0  # of the log error at n: nothing is said about it
_BISECTIONS = 32
_NORMAL = NormalDist()


@record
class Kind:
    """One kind of curve: its share, and mean and covariance of the log error's four changes; the last is the future one."""

    share: float
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


# Fitted by scripts/doubling_prior.py to 2,464 accuracy curves of seven classic learners on 102 data sets (from the Learning
# Curve Database, LCDB 0.1.0, MIT). Held out by data set, three kinds err a seventh less than one: docs/experiments.md.
KINDS = (
    Kind(  # flat: 4 to 7 % of the error goes with a doubling
        share=0.524,
        mean=(-0.0683, -0.0562, -0.0473, -0.041),
        covariance=(
            (0.0042, 0.0025, 0.00183, 0.0012),
            (0.0025, 0.00284, 0.00177, 0.00134),
            (0.00183, 0.00177, 0.0022, 0.00137),
            (0.0012, 0.00134, 0.00137, 0.00194),
        ),
    ),
    Kind(  # steady: a fifth of it
        share=0.387,
        mean=(-0.2407, -0.2385, -0.2276, -0.2111),
        covariance=(
            (0.02264, 0.0139, 0.00806, 0.00432),
            (0.0139, 0.01868, 0.01303, 0.00933),
            (0.00806, 0.01303, 0.01768, 0.01415),
            (0.00432, 0.00933, 0.01415, 0.01883),
        ),
    ),
    Kind(  # leaping: a third of it, but nobody knows when
        share=0.09,
        mean=(-0.2398, -0.299, -0.3602, -0.365),
        covariance=(
            (0.07297, 0.0218, 0.00609, 0.01085),
            (0.0218, 0.0934, 0.01408, 0.00605),
            (0.00609, 0.01408, 0.10109, 0.02717),
            (0.01085, 0.00605, 0.02717, 0.10322),
        ),
    ),
)


@record
class Measured:
    """Scores of nested sizes.

    `doublings` are how many doublings each size is below the largest, 0 to 3; `scores` are means over a suite of `cases`
    prompts and over `seeds` trainings; `covariance`, of shape (sizes, sizes), is that of the scores by the choice of prompts, or None.
    """

    doublings: tuple[float, ...]
    scores: tuple[float, ...]
    cases: int
    seeds: int = 1
    covariance: NDArray[np.float64] | None = None


@record
class Foreseen:
    """What is believed after measuring, kind by kind: its weight, and mean and covariance of (log error at n, four changes)."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    def gain(self, shares: Sequence[float]) -> list[float]:
        """What twice the data brings, in score: the quantiles at these shares (0..1)."""
        level, change = self.means[:, 0], self.means[:, -1]
        error, later = np.exp(level), np.exp(level + change)
        by_level, by_change = error - later, -later
        variances = (
            by_level**2 * self.covariances[:, 0, 0]
            + 2 * by_level * by_change * self.covariances[:, 0, -1]
            + by_change**2 * self.covariances[:, -1, -1]
        )
        spreads = np.sqrt(variances)
        return [_quantile(share, self.weights, error - later, spreads) for share in shares]

    def score(self, doublings: float) -> float:
        """The score at so many doublings below n."""
        level = float(self.weights @ (self.means @ _row(doublings)))
        return 1 - min(math.exp(level), 1.0)


def foresee(measured: Measured) -> Foreseen:
    """The prior, after the measured scores: for each kind a Gaussian's update in closed form."""
    rows = np.array([_row(doublings) for doublings in measured.doublings])
    logs, noise = _log_errors(measured)
    means, covariances, likelihoods = [], [], []
    for kind in KINDS:
        mean = np.array([_LEVEL_MEAN, *kind.mean])
        covariance = np.zeros((len(mean), len(mean)))
        covariance[0, 0] = _LEVEL_SD**2
        covariance[1:, 1:] = kind.covariance
        seen = rows @ covariance @ rows.T + noise
        pull = np.linalg.solve(seen, rows @ covariance).T
        rest = logs - rows @ mean
        means.append(mean + pull @ rest)
        covariances.append(covariance - pull @ rows @ covariance)
        fit = -(rest @ np.linalg.solve(seen, rest) + np.linalg.slogdet(seen).logabsdet) / 2
        likelihoods.append(math.log(kind.share) + fit)
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    return Foreseen(weights=weights / weights.sum(), means=np.array(means), covariances=np.array(covariances))


def _row(doublings: float) -> NDArray[np.float64]:
    """What a size's log error is made of: the one at n, less the changes between them."""
    steps = [min(max(doublings - past, 0.0), 1.0) for past in range(PAST_DOUBLINGS)]
    return np.array([1.0, *(-step for step in reversed(steps)), 0.0])


def _log_errors(measured: Measured) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The log errors, and the covariance of their noise: of prompts and of trainings."""
    cases, scores = measured.cases, np.array(measured.scores)
    errors = np.maximum(1 - scores, 1 / (2 * cases))
    if measured.covariance is None:
        # Half a wrong and half a right answer more, so that a perfect score is not a certain one.
        rates = ((1 - scores) * cases + 0.5) / (cases + 1)
        spread = np.sqrt(rates * (1 - rates) / cases) / errors
        noise = NOISE_CORRELATION * np.outer(spread, spread) + (1 - NOISE_CORRELATION) * np.diag(spread**2)
    else:
        least = 0.5 / cases**2
        noise = (measured.covariance + least * np.eye(len(scores))) / np.outer(errors, errors)
    by_seed = SEED_SD**2 + CHURN * (1 - errors) / errors
    return np.log(errors), noise + np.diag(by_seed / measured.seeds)


def _quantile(
    share: float, weights: NDArray[np.float64], means: NDArray[np.float64], spreads: NDArray[np.float64]
) -> float:
    """Of a mixture of normal distributions, by bisection."""
    reach = _NORMAL.inv_cdf(share)
    ends = means + reach * spreads
    low, high = float(ends.min()), float(ends.max())
    parts = [
        (float(weight), NormalDist(float(mean), max(float(spread), 1e-12)))
        for weight, mean, spread in zip(weights, means, spreads, strict=True)
    ]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = sum(weight * part.cdf(middle) for weight, part in parts)
        low, high = (middle, high) if below < share else (low, middle)
    return (low + high) / 2
