"""How far off is the estimate of what twice the data brings, and how often are its band and its word right?

    python benchmarks/doubling.py CURVES.jsonl.gz [--built-in] [--curves 600] [--seed 0]
    python benchmarks/doubling.py CURVES.jsonl.gz --to-tell        # is what would make it tell enough?

A row of the file is one learning curve: `dataset`, and `scores` of shape (5 sizes n/8, n/4, n/2, n, 2n; splits). The truth is
the gain from n to 2n of the splits' mean; seen are the sizes up to n, of as many splits as there are seeds, on so many
prompts: of each prompt it is drawn whether it is answered well, and six in ten are the same draw at all sizes (a
correlation of .6). The prior is fitted anew without the data sets that are predicted (five folds); --built-in takes
the harness's own, as is right for curves it was not fitted to.
"""

import argparse
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from harness.records import DoublingEstimate
from harness.verdict import estimate_doubling, learning_curves
from harness.verdict.doubling import WORTHWHILE
from harness.verdict.learning_curves import NOISE_CORRELATION, Kind

Floats = NDArray[np.float64]
FOLDS = 5
KINDS, RIDGE, STARTS, LEAST_ERROR = 3, 3e-4, 3, 0.0005  # as scripts/doubling_prior.py
# Of a score without noise of prompts.
MANY_PROMPTS = 1_000_000
SIZES = (1, 2, 4, 8)


def seen_scores(truth: Floats, *, prompts: int | None, seeds: int, random: np.random.Generator) -> Floats:
    """What an experiment shows of a curve: scores of shape (4,) on so many prompts (None: without noise)."""
    splits = random.permutation(truth.shape[1])[:seeds]
    means = truth[:4, splits].mean(axis=1)
    if prompts is None:
        return means
    common = random.random(prompts) < NOISE_CORRELATION
    draws = np.where(common, random.random(prompts), random.random((4, prompts)))
    return (draws < means[:, None]).mean(axis=1)


def kinds_of(curves: Floats) -> tuple[Kind, ...]:
    """The prior fitted to curves, shape (curves, 5)."""
    changes = np.diff(np.log(np.maximum(1 - curves, LEAST_ERROR)), axis=1)
    mixture = GaussianMixture(KINDS, n_init=STARTS, random_state=0, reg_covar=RIDGE).fit(changes)
    return tuple(
        Kind(share=float(share), mean=tuple(mean), covariance=tuple(map(tuple, covariance)))
        for share, mean, covariance in zip(
            mixture.weights_, mixture.means_, mixture.covariances_, strict=True
        )
    )


@contextmanager
def believing(kinds: tuple[Kind, ...]) -> Iterator[None]:
    """The estimator with another prior."""
    own = learning_curves.KINDS
    learning_curves.KINDS = kinds
    try:
        yield
    finally:
        learning_curves.KINDS = own


def told(name: str, gains: Floats, truth: Floats) -> str:
    return f"  {name:<28} MAE {np.abs(gains - truth).mean() * 100:5.2f}  bias {(gains - truth).mean() * 100:+5.2f}"


def told_estimates(name: str, found: Sequence[DoublingEstimate], truth: Floats) -> str:
    low, high = (np.array([getattr(one, end) for one in found]) for end in ("low", "high"))
    line = told(name, np.array([one.gain for one in found]), truth)
    line += (
        f"  band covers {np.mean((low <= truth) & (truth <= high)):.3f}, {(high - low).mean() * 100:.1f} wide"
    )
    for word, right in (("likely helps", truth >= WORTHWHILE), ("unlikely", truth < WORTHWHILE)):
        says = np.array([one.word == word for one in found])
        line += (
            f"  {word} {says.mean():.0%}, right {right[says].mean():.0%}" if says.any() else f"  {word} 0%"
        )
    return line


MOST_PROMPTS, MOST_SEEDS = 1600, 10


def seen_with(truth: Floats, random: np.random.Generator) -> Callable[[int, int], Floats]:
    """The scores of one curve by prompts and seeds, of which more contain the fewer."""
    splits = random.permutation(truth.shape[1])
    common = random.random(MOST_PROMPTS) < NOISE_CORRELATION
    draws = np.where(common, random.random(MOST_PROMPTS), random.random((4, MOST_PROMPTS)))

    def scores(prompts: int, seeds: int) -> Floats:
        means = truth[:4, splits[:seeds]].mean(axis=1)
        return (draws[:, :prompts] < means[:, None]).mean(axis=1)

    return scores


def purchases(to_tell: str) -> Iterator[tuple[str, int, int, int]]:
    """What would make it tell: a word for it, then prompts, seeds and sizes with it, of 100 prompts, 1 seed and 3 sizes."""
    if "only a training" in to_tell:
        yield "not even with all of it", MOST_PROMPTS, MOST_SEEDS, 4
        return
    for named in to_tell.partition(": ")[2].split("; or "):
        prompts, seeds = re.search(r"([\d,]+) prompts", named), re.search(r"(\d+) trainings", named)
        kind = "prompts" if prompts else "trainings" if seeds else "one size more"
        yield (
            "a mixture" if " and " in named else kind,
            int(prompts[1].replace(",", "")) if prompts else 100,
            int(seeds[1]) if seeds else 1,
            4 if "size more" in named else 3,
        )


def print_to_tell(curves: Sequence[Floats], random: np.random.Generator) -> None:
    """How often what an estimate from 100 prompts and 3 sizes names, once bought, leads to a word."""
    led: dict[str, list[bool]] = {}
    undecided = 0
    for curve in curves:
        seen = seen_with(curve, random)
        estimate = estimate_doubling(SIZES[-3:], seen(100, 1)[-3:], cases=100)
        if estimate.word != "cannot tell":
            continue
        undecided += 1
        for kind, prompts, seeds, sizes in purchases(estimate.to_tell):
            scores = seen(prompts, seeds)[-sizes:]
            found = estimate_doubling(SIZES[-sizes:], scores, cases=prompts, seeds=seeds)
            led.setdefault(kind, []).append(found.word != "cannot tell")
    print(f"{len(curves)} curves, 100 prompts, 3 sizes, 1 seed: {undecided} cannot tell")
    for kind, tells in led.items():
        print(f"  {kind:<24} named {len(tells)} times; once bought, told {np.mean(tells):.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", type=Path)
    parser.add_argument("--built-in", action="store_true")
    parser.add_argument("--curves", dest="at_most", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to-tell", action="store_true")
    options = parser.parse_args()
    with gzip.open(options.curves, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    random = np.random.default_rng(options.seed)
    curves = [np.array(row["scores"]) for row in rows]
    if options.to_tell:
        print_to_tell(curves[: options.at_most], random)
        return
    means = np.array([curve.mean(axis=1) for curve in curves])
    sets = np.array([row["dataset"] for row in rows])
    folds = {name: place % FOLDS for place, name in enumerate(random.permutation(np.unique(sets)))}
    fold_of = np.array([folds[name] for name in sets])
    priors = [
        learning_curves.KINDS if options.built_in else kinds_of(means[fold_of != f]) for f in range(FOLDS)
    ]
    chosen = np.sort(random.permutation(len(rows))[: options.at_most])
    truth = means[chosen, 4] - means[chosen, 3]
    print(
        f"{len(chosen)} curves of {len(set(sets[chosen]))} data sets; gains average {truth.mean() * 100:.2f} points,"
        f" {np.mean(truth >= WORTHWHILE):.0%} at least one"
    )
    for seeds in (1, 3):
        for prompts in (None, 200, 100, 50):
            seen = np.array(
                [seen_scores(curves[c], prompts=prompts, seeds=seeds, random=random) for c in chosen]
            )
            print(f"{seeds} seed{'s' * (seeds > 1)}, {prompts or 'no noise of'} prompts")
            print(told("no gain", np.zeros(len(truth)), truth))
            print(told("same as the last doubling", seen[:, 3] - seen[:, 2], truth))
            print(told("0.3 x the last two doublings", 0.3 * (seen[:, 3] - seen[:, 1]), truth))
            for sizes in (2, 3, 4):
                found = []
                for curve, scores in zip(chosen, seen, strict=True):
                    with believing(priors[fold_of[curve]]):
                        found.append(
                            estimate_doubling(
                                SIZES[-sizes:], scores[-sizes:], cases=prompts or MANY_PROMPTS, seeds=seeds
                            )
                        )
                print(told_estimates(f"estimate, {sizes} sizes", found, truth), flush=True)


if __name__ == "__main__":
    main()
