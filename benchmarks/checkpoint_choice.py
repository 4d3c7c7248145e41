"""How often is the best of three checkpoints chosen, and is the score it is said to have its own? Simulated.

    python benchmarks/checkpoint_choice.py [--draws 400]

Every case is right or wrong at each checkpoint, independently. "Looks" is the chosen one's score on the cases that chose it;
"other cases" and "fresh trials" are the two ways of testing it again. Both are given as points above its true score, with the
standard error of the simulation.
"""

import argparse

import numpy as np

from harness.verdict import CheckpointScores, pick_checkpoint, read_elsewhere

BEST = 0.9
# How much worse than the best (the second) the first and the third are, in points of score.
WORLDS = ((0.0, 0.0), (0.03, 0.03), (0.06, 0.03), (0.12, 0.06))
SIZES = (50, 100, 300)


def main() -> None:
    """Print a line for each world and number of cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=400)
    draws = parser.parse_args().draws
    print("losses   cases  best chosen  looks        other cases  fresh trials")
    for world in WORLDS:
        for cases in SIZES:
            print(line(world, cases=cases, draws=draws))


def line(world: tuple[float, float], *, cases: int, draws: int) -> str:
    """One line of the table."""
    random = np.random.default_rng([cases, round(1000 * world[0]), draws])
    rates = np.array([BEST - world[0], BEST, BEST - world[1]])
    hits, errors = 0, np.empty((3, draws))
    for draw in range(draws):
        scores = (random.random((3, cases)) < rates[:, None]).astype(np.float64)
        suite = CheckpointScores(name="simulated", role="target", scores=scores)
        pick = pick_checkpoint([suite])
        read = read_elsewhere([suite], seed=f"{draw}")
        assert pick is not None
        assert read is not None
        true = rates[pick.index]
        hits += true == BEST
        fresh = (random.random(cases) < true).mean()
        errors[:, draw] = scores[pick.index].mean() - true, np.nanmean(read[0]) - true, fresh - true
    shown = "  ".join(
        f"{100 * error.mean():+5.2f} ± {100 * error.std() / draws**0.5:.2f}" for error in errors
    )
    return f"{100 * world[0]:2.0f}, {100 * world[1]:1.0f}   {cases:6d}  {hits / draws:11.2f}  {shown}"


if __name__ == "__main__":
    main()
