"""Curves for the tests of what is read from them."""

import math

import numpy as np
import pandas as pd

from harness.training import TrainingCurve
from harness.training.measures import COLUMNS


def curve(*, closing_tokens: int = 0, at: list[int] | None = None, **columns: object) -> TrainingCurve:
    """A curve with these columns, from step 1 unless `at` names the steps; what is not given is not measured."""
    length = len(next(iter(columns.values())))
    table = pd.DataFrame({"step": at or range(1, length + 1)})
    for name in COLUMNS:
        table[name] = np.asarray(columns.get(name, [math.nan] * length), dtype=float)
    return TrainingCurve(steps=table, extras=table[["step"]].copy(), closing_tokens=closing_tokens)


def loss_course(points: int, *, factor: float = 1.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Losses that fall at once to 1, move by a factor over the last two thirds, and carry noise (of their logarithm)."""
    time = np.arange(1, points + 1) / points
    late = np.clip((time - 1 / 3) * 1.5, 0, 1)
    level = 0.8 * np.exp(-12 * time) + math.log(factor) * late
    return np.exp(level + noise * np.random.default_rng([seed, points]).normal(size=points))
