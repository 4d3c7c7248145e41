"""Is it safe to follow the advice of an undecided verdict? Simulated suites, truth known.

    python benchmarks/topping_up.py [RUNS]

A run is judged; where it is undecided and cases are advised, so many new ones are added, once, and it is judged again.
Printed are the shares of runs that are promoted at first, that are advised to add up to five times their cases,
and that are promoted in the end, of models that did not change and of models that improved.
"""

import math
import sys

import numpy as np
from scipy.special import ndtri

from harness.verdict import SuiteScores, decide
from harness.verdict.pairedtests import Floats

RUNS = 2000
FOLLOWED = 5
"""More than so many times the cases nobody writes."""
BASE = 0.8
# How far both models find the same cases hard, and how much of an outcome is chance: outcomes correlate at .43.
SHARED, NOISE = 0.9, 0.5
SETTINGS = ((50, 0.0), (100, 0.0), (200, 0.0), (50, 0.05), (100, 0.05), (200, 0.05))


def outcomes(cases: int, change: float, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Right and wrong answers of a candidate and its reference, shape (cases, 1)."""
    old = generator.standard_normal(cases)
    new = SHARED * old + math.sqrt(1 - SHARED**2) * generator.standard_normal(cases)

    def answers(ability: Floats, rate: float) -> Floats:
        noise = NOISE * generator.standard_normal((cases, 1))
        right: Floats = (math.sqrt(1 - NOISE**2) * ability[:, None] + noise < ndtri(rate)).astype(np.float64)
        return right

    return answers(new, BASE + change), answers(old, BASE)


def suite(candidate: Floats, reference: Floats) -> SuiteScores:
    """A target made of these outcomes."""
    return SuiteScores(name="target", role="target", margin=None, candidate=candidate, reference=reference)


def followed(cases: int, change: float, *, runs: int, generator: np.random.Generator) -> tuple[float, ...]:
    """The shares promoted at first, advised, promoted in the end."""
    at_first = advised = later = 0
    for _ in range(runs):
        seen = outcomes(cases, change, generator)
        verdict = decide([suite(*seen)])
        needed = verdict.suites["target"].cases_needed
        if verdict.outcome == "promote":
            at_first += 1
        elif needed is not None and needed <= FOLLOWED * cases:
            advised += 1
            added = outcomes(needed - cases, change, generator)
            both = [np.vstack(pair) for pair in zip(seen, added, strict=True)]
            later += decide([suite(*both)]).outcome == "promote"
    return at_first / runs, advised / runs, (at_first + later) / runs


def main() -> None:
    """Print a line for each setting."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    generator = np.random.default_rng(7)
    print(f"{'cases':>5} {'change':>6}  {'at first':>8} {'advised':>8} {'in the end':>10}")
    for cases, change in SETTINGS:
        at_first, advised, end = followed(cases, change, runs=runs, generator=generator)
        print(f"{cases:>5} {change:>6.2f}  {at_first:>8.3f} {advised:>8.3f} {end:>10.3f}")


if __name__ == "__main__":
    main()
