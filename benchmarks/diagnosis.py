"""Is the diagnosis of a training curve right? Simulated validation losses whose truth is known.

    python benchmarks/diagnosis.py [--quick] [--runs 300] [--seed 3] [--only batches epochs spikes]

Prints Markdown tables: how often each rule names the truth, beside the rule that calls a curve overfit when its last
loss is more than 3 % above its lowest; and how often a spike is seen where there is none. Log losses fall to a level with
a time constant of a twelfth of the training and carry independent noise; what overfits rises again in a straight line from
a third of the way, what underfits goes on falling. A quarter of an hour of one core.
"""

import argparse
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.training import TrainingCurve, diagnose
from harness.training.curve_faults import spike_places
from harness.training.measures import COLUMNS

RUNS, QUICK_RUNS = 300, 50
NOISES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.6)
LENGTHS = (12, 24, 60, 200)
WHOLE_NOISES = (0.005, 0.01, 0.02)
EPOCHS = (2, 3, 4, 6)
FIRST_FALL, TIME_CONSTANT = 0.8, 1 / 12
RISE = 1.42  # what the two real files that overfit rose to: .632 to .904 and .174 to .245
FALL = 0.7
NAIVE = 1.03
BESIDE = "right by our rule / by 'last above 1.03 x lowest'"

Noise = Callable[[np.random.Generator, int], np.ndarray]


class Course(NamedTuple):
    """The true validation loss: what it does after the first third, as a factor by the end."""

    word: str
    factor: float


PLATEAU, OVERFIT, UNDERFIT = Course("plateau", 1.0), Course("overfit", RISE), Course("underfit", FALL)


def normal(draw: np.random.Generator, points: int) -> np.ndarray:
    return draw.normal(size=points)


def heavy(draw: np.random.Generator, points: int) -> np.ndarray:
    """Student's t with 3 degrees of freedom, of standard deviation 1."""
    return draw.standard_t(3, size=points) / math.sqrt(3)


def log_losses(course: Course, points: int) -> np.ndarray:
    """The true log loss at so many evenly spaced moments, the last one at the end."""
    time = np.arange(1, points + 1) / points
    late = np.clip((time - 1 / 3) * 1.5, 0, 1)
    return FIRST_FALL * np.exp(-time / TIME_CONSTANT) + math.log(course.factor) * late


def curve_of(losses: np.ndarray, *, whole_file: bool) -> TrainingCurve:
    """The curve of a job that measured these validation losses, ten steps apart."""
    measured = "full_valid_loss" if whole_file else "valid_loss"
    columns = {name: losses if name == measured else np.full(len(losses), np.nan) for name in COLUMNS}
    columns["train_loss"] = np.ones(len(losses))
    return TrainingCurve(steps=pd.DataFrame({"step": 10 * np.arange(1, len(losses) + 1), **columns}))


def rates(
    course: Course, *, points: int, noise: float, runs: int, seed: int, kind: Noise = normal
) -> tuple[float, float]:
    """How often our rule and the naive one name the truth, for losses of single batches."""
    draw = np.random.default_rng([seed, points, int(1000 * noise), int(1000 * course.factor)])
    ours = naive = 0
    for _ in range(runs):
        losses = np.exp(log_losses(course, points) + noise * kind(draw, points))
        ours += diagnose(curve_of(losses, whole_file=False)).word == course.word
        says_overfit = losses[-1] > NAIVE * losses.min()
        naive += says_overfit == (course.word == "overfit")
    return ours / runs, naive / runs


def whole_file_rates(
    course: Course, *, epochs: int, noise: float, runs: int, seed: int
) -> tuple[float, float]:
    """The same for losses of the whole validation file, one an epoch."""
    draw = np.random.default_rng([seed, epochs, int(10000 * noise), int(1000 * course.factor), 1])
    ours = naive = 0
    for _ in range(runs):
        losses = np.exp(epoch_ends(course, epochs) + noise * draw.normal(size=epochs))
        ours += diagnose(curve_of(losses, whole_file=True), epochs=epochs).word == course.word
        says_overfit = losses[-1] > NAIVE * losses.min()
        naive += says_overfit == (course.word == "overfit")
    return ours / runs, naive / runs


def epoch_ends(course: Course, epochs: int) -> np.ndarray:
    """The true log loss at the end of each epoch: what overfits or underfits moves by as much in all."""
    return np.linspace(0, math.log(course.factor), epochs)


def false_spikes(points: int, *, kind: Noise, noise: float, runs: int, seed: int) -> float:
    """The share of series without a spike, falling from 1.5 to 0.3, in which one is seen."""
    draw = np.random.default_rng([seed, points, int(1000 * noise), 2])
    level = np.linspace(math.log(1.5), math.log(0.3), points)
    found = sum(bool(len(spike_places(np.exp(level + noise * kind(draw, points))))) for _ in range(runs))
    return found / runs


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def shown(pair: tuple[float, float]) -> str:
    return f"**{pair[0]:.2f}** / {pair[1]:.2f}"


def tell_batches(runs: int, seed: int) -> None:
    for kind in (normal, heavy):
        for course in (PLATEAU, OVERFIT, UNDERFIT):
            rows = [
                [f"{noise:g}"]
                + [
                    shown(rates(course, points=n, noise=noise, runs=runs, seed=seed, kind=kind))
                    for n in LENGTHS
                ]
                for noise in NOISES
            ]
            name = f"{course.word.capitalize()}, {kind.__name__} noise"
            table(f"{name}: {BESIDE}", ["noise of log loss", *(f"{n} points" for n in LENGTHS)], rows)


def tell_epochs(runs: int, seed: int) -> None:
    for course in (PLATEAU, OVERFIT, UNDERFIT):
        rows = [
            [f"{noise:g}"]
            + [shown(whole_file_rates(course, epochs=n, noise=noise, runs=runs, seed=seed)) for n in EPOCHS]
            for noise in WHOLE_NOISES
        ]
        name = f"{course.word.capitalize()}, loss of the whole file by epoch"
        table(f"{name}: {BESIDE}", ["noise of log loss", *(f"{n} epochs" for n in EPOCHS)], rows)


def tell_spikes(runs: int, seed: int) -> None:
    rows = [
        [
            kind.__name__,
            *(f"{false_spikes(n, kind=kind, noise=0.4, runs=runs, seed=seed):.3f}" for n in LENGTHS[1:]),
        ]
        for kind in (normal, heavy)
    ]
    head = ["noise", *(f"{n} points" for n in LENGTHS[1:])]
    table("A spike is seen in a series without one, noise 0.4", head, rows)


PARTS = {"batches": tell_batches, "epochs": tell_epochs, "spikes": tell_spikes}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    for part in options.only:
        PARTS[part](QUICK_RUNS if options.quick else options.runs, options.seed)


if __name__ == "__main__":
    main()
