"""How often do the intervals of macro-F1 hold the truth? Simulated suites, labels of equal size.

    python benchmarks/macro_f1_intervals.py [RUNS]

Two models answer the same cases; a case is hard for both. Printed are the shares of runs in which the
95 % interval of the candidate's macro-F1 and the 90 % interval of the difference hold what the models
have on endlessly many cases.
"""

import sys

import numpy as np

from harness.verdict.f1_scores import LabelReadings, macro_f1, parts_of, percentiles, resampled_macro_f1
from harness.verdict.intervals import CONFIDENCE, RATE_CONFIDENCE
from harness.verdict.pairedtests import Floats, Ints

RUNS = 300
ENDLESS = 200_000
INVALID_SHARE = 0.2
_DRAWS = np.random.default_rng(1).random((2, 400_000))
SORTED = np.sort(0.6 * _DRAWS[0] + 0.4 * _DRAWS[1])
# labels, cases of each, share right of the candidate and of the base
SETTINGS = (
    (2, 10, 0.8, 0.7),
    (3, 10, 0.8, 0.8),
    (6, 5, 0.8, 0.6),
    (6, 10, 0.8, 0.6),
    (6, 12, 0.9, 0.9),
    (6, 20, 0.8, 0.7),
    (3, 50, 0.9, 0.8),
    (10, 10, 0.8, 0.6),
    (3, 20, 0.98, 0.95),
)


def parts(
    expected: Ints, right: float, hardness: Floats, *, labels: int, generator: np.random.Generator
) -> Floats:
    """The answers of a model that is right on this share of the cases, less on later labels and hard cases."""
    chance = right + np.linspace(0.05, -0.05, labels)[expected]
    is_right = 0.6 * hardness + 0.4 * generator.random(len(expected)) < _threshold(chance)
    wrong = np.where(
        generator.random(len(expected)) < INVALID_SHARE,
        labels,
        (expected + generator.integers(1, labels, len(expected))) % labels,
    )
    shares = np.eye(labels + 1)[np.where(is_right, expected, wrong)]
    return parts_of(LabelReadings(expected=expected, shares=shares, missing=np.zeros(len(expected))))


def _threshold(chance: Floats) -> Floats:
    """The quantile of 0.6 U + 0.4 V at `chance`, from a fixed large sample."""
    return SORTED[(np.clip(chance, 0, 1) * (len(SORTED) - 1)).astype(int)]


def covered(
    labels: int, cases: int, candidate: float, base: float, *, runs: int
) -> tuple[float, float, float]:
    """Coverage of the value and of the difference, and the mean width of the first."""
    generator = np.random.default_rng(7)
    truth = truths(labels, candidate, base)
    expected = np.repeat(np.arange(labels), cases)
    held, widths = np.zeros(2), []
    for _ in range(runs):
        hardness = generator.random(len(expected))
        sides = np.stack(
            [
                parts(expected, right, hardness, labels=labels, generator=generator)
                for right in (candidate, base)
            ],
            axis=1,
        )
        draws = resampled_macro_f1(sides, families=None)
        value = percentiles(draws[:, 0], confidence=RATE_CONFIDENCE)
        change = percentiles(draws[:, 0] - draws[:, 1], confidence=CONFIDENCE)
        held += [
            value is not None and value[0] <= truth[0] <= value[1],
            change is not None and change[0] <= truth[0] - truth[1] <= change[1],
        ]
        widths.append(np.ptp(value) if value else np.nan)
    return held[0] / runs, held[1] / runs, float(np.nanmean(widths))


def truths(labels: int, candidate: float, base: float) -> Floats:
    """The two models' macro-F1 on endlessly many cases."""
    generator = np.random.default_rng(3)
    expected = np.arange(ENDLESS) % labels
    hardness = generator.random(ENDLESS)
    return np.array(
        [
            macro_f1(parts(expected, right, hardness, labels=labels, generator=generator).sum(axis=0))
            for right in (candidate, base)
        ]
    )


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    print(f"{runs} runs each\nlabels  cases each  right  base   95 % value  90 % difference  mean width")
    for labels, cases, candidate, base in SETTINGS:
        value, change, width = covered(labels, cases, candidate, base, runs=runs)
        print(
            f"{labels:>6}  {cases:>10}  {candidate:>5}  {base:>4}   {value:>10.3f}  {change:>15.3f}  {width:>10.3f}",
            flush=True,
        )
