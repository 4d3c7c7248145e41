"""How good is a model at telling labels apart? Macro-F1 of arrays, and how far chance could move it.

Resampling is by cases, or by families where cases are not independent (percentile bootstrap, Efron 1979). In
simulated suites of 2 to 10 labels with 10 to 50 cases each the 95 % interval holds the truth 89 to 97 % of
the time, the 90 % interval of a difference 85 to 93 %; near a perfect score both are too narrow (83 % at 0.98
right on 60 cases). `benchmarks/macro_f1_intervals.py` prints these figures.
"""

import numpy as np
import numpy.typing as npt

from harness.records import record
from harness.verdict.intervals import Interval
from harness.verdict.pairedtests import TINY, Floats, Ints

Flags = npt.NDArray[np.bool_]

RESAMPLES = 2_000
SEED = 0
"""The resamples are the same each time, so that a verdict can be recomputed from its run."""
_MOST_DRAWS = 4_000_000
"""How many numbers of a chunk of resamples stand in memory at once."""


@record
class LabelReadings:
    """What was read of each case of a suite, by one model.

    `expected` has shape (cases,): the place of the case's label; `shares` has shape (cases, labels + 1): the
    share of the case's answered trials read as each label, invalid last, 0 throughout without any; `missing`
    has shape (cases,): the share of trials without a reading.
    """

    expected: Ints
    shares: Floats
    missing: Floats

    @property
    def known(self) -> Flags:
        """Which cases have a reading, shape (cases,)."""
        answered: Flags = self.missing < 1 - TINY
        return answered


def confusion_of(readings: LabelReadings) -> Floats:
    """Cases by expected label and reading, shape (labels, labels + 1)."""
    matrix = np.zeros((readings.shares.shape[1] - 1, readings.shares.shape[1]))
    np.add.at(matrix, readings.expected, readings.shares)
    return matrix


def parts_of(readings: LabelReadings) -> Floats:
    """What F1 needs of each case, shape (cases, 3 × labels): right, read and expected by label; sums of it add up."""
    labels = readings.shares.shape[1] - 1
    read = readings.shares[:, :labels]
    expected = np.eye(labels)[readings.expected] * readings.known[:, None]
    return np.concatenate([read * expected, read, expected], axis=1)


def macro_f1(sums: Floats) -> Floats:
    """The mean F1 of the labels that have cases, of sums of `parts_of` in the last axis; NaN without any.

    A label without cases is left out whatever a model answers, so that two models are always compared on the same labels.
    """
    right, read, expected = np.split(sums, 3, axis=-1)
    present = expected > TINY
    scores = np.where(present, 2 * right / np.maximum(read + expected, TINY), 0.0)
    count = present.sum(axis=-1)
    means: Floats = np.where(count > 0, scores.sum(axis=-1) / np.maximum(count, 1), np.nan)
    return means


def macro_f1_bounds(readings: LabelReadings) -> Interval:
    """What macro-F1 over all cases could be, whatever the missing answers are.

    At best each is right. At worst each is a miss of its own label and, for every other label, wrongly that
    one: no answer does worse, so the truth cannot be below.
    """
    labels = readings.shares.shape[1] - 1
    answered = (1 - readings.missing)[:, None]
    indicator = np.eye(labels)[readings.expected]
    right = (readings.shares[:, :labels] * indicator * answered).sum(axis=0)
    read = (readings.shares[:, :labels] * answered).sum(axis=0)
    expected = indicator.sum(axis=0)
    lost = (indicator * readings.missing[:, None]).sum(axis=0)
    worst = np.concatenate([right, read + lost.sum() - lost, expected])
    best = np.concatenate([right + lost, read + lost, expected])
    return float(macro_f1(worst)), float(macro_f1(best))


def resampled_macro_f1(parts: Floats, *, families: Ints | None) -> Floats:
    """Macro-F1 of each of `RESAMPLES` draws of the cases with replacement, shape (resamples,).

    Args:
        parts: One row per case, of `parts_of`; several models' side by side in an axis before the last
            are drawn together: shape (cases, 3 × labels) or (cases, models, 3 × labels).
        families: Cases with the same number are drawn together; shape (cases,).
    """
    units = parts if families is None else _summed(parts, families)
    generator = np.random.default_rng(SEED)
    number = len(units)
    flat = units.reshape(number, -1)
    chunk = max(1, _MOST_DRAWS // number)
    found = []
    for start in range(0, RESAMPLES, chunk):
        size = min(chunk, RESAMPLES - start)
        times = generator.multinomial(number, np.full(number, 1 / number), size=size)
        sums = (times.astype(np.float64) @ flat).reshape(size, *units.shape[1:])
        found.append(macro_f1(sums))
    return np.concatenate(found)


def percentiles(values: Floats, *, confidence: float) -> Interval | None:
    """The middle of the resampled values; None when they do not differ, which says nothing about chance."""
    if np.ptp(values) <= TINY:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _summed(parts: Floats, families: Ints) -> Floats:
    names, member_of = np.unique(families, return_inverse=True)
    sums = np.zeros((len(names), *parts.shape[1:]))
    np.add.at(sums, member_of, parts)
    return sums
