"""The prior of harness/verdict/learning_curves.py: three kinds of learning curves, from measured ones.

    python scripts/doubling_prior.py CURVES.jsonl.gz [--kinds 3]

A row of the file is one curve: `dataset`, and `scores` of shape (5 sizes, splits), each size twice the one before. What is
fitted are the four changes of the log error (of the splits' mean) by a mixture of Gaussians; printed are its constants.
Held-out figures are in benchmarks/doubling.py, which fits on some data sets and predicts the others.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

LEAST_ERROR = 0.0005
# Added to each variance: without it a kind may shrink onto a few curves that are nearly the same.
RIDGE = 3e-4
STARTS = 5


def changes_of(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log error's change at each doubling, of curves' mean scores, shape (curves, sizes)."""
    return np.diff(np.log(np.maximum(1 - scores, LEAST_ERROR)), axis=1)


def fitted(changes: NDArray[np.float64], *, kinds: int) -> GaussianMixture:
    """The mixture; the same for the same curves."""
    return GaussianMixture(kinds, n_init=STARTS, random_state=0, reg_covar=RIDGE).fit(changes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", type=Path)
    parser.add_argument("--kinds", type=int, default=3)
    options = parser.parse_args()
    with gzip.open(options.curves, "rt", encoding="utf-8") as file:
        means = np.array([np.mean(json.loads(line)["scores"], axis=1) for line in file])
    mixture = fitted(changes_of(means), kinds=options.kinds)
    for kind in np.argsort(-mixture.weights_):
        print(f"share={mixture.weights_[kind]:.3f},")
        print(f"mean={tuple(mixture.means_[kind].round(4).tolist())},")
        print("covariance=(")
        for row in mixture.covariances_[kind].round(5).tolist():
            print(f"    {tuple(row)},")
        print("),")


if __name__ == "__main__":
    main()
