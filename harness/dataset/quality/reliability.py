"""How far do several people's labels for the same items agree, and what does that allow a model?

Krippendorff's alpha for labels (nominal data, any number of answers an item): 1 is full agreement, 0 what chance gives. Its interval is a
bootstrap over items, because the answers to one item are not independent of each other.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from harness.records import record

# What is customary to call reliable, and the least on which tentative conclusions may rest (Krippendorff, Content Analysis, ch. 11).
RELIABLE_ALPHA = 0.8
TENTATIVE_ALPHA = 0.667
_RESAMPLES = 1_000
# Numbers of one block of resamples that are held at a time.
_BLOCK = 2_000_000

_Floats = npt.NDArray[np.float64]
_Label = TypeVar("_Label", bound=Hashable)


@record
class Reliability:
    """The agreement on `items` items, shares 0..1.

    Attributes:
        alpha: Krippendorff's alpha, with the 95 % interval `low` to `high`.
        agreement: How often two of the people who labelled an item agree.
        by_chance: How often they would if everyone drew from all labels.
        match: How often one who labels an item as its people do, each label as often as they, agrees with one of them.
        ceiling: How often one who always gives an item's most frequent label agrees with one of them: no model can do better.
    """

    items: int
    alpha: float
    low: float
    high: float
    agreement: float
    by_chance: float
    match: float
    ceiling: float


def reliability_of(votes: Mapping[tuple[_Label, ...], int]) -> Reliability | None:
    """What several people's labels are worth; None where there are no items, or only one label at all.

    Args:
        votes: How many items got these labels; two and more a tuple, sorted, so that items voted on alike are counted together.
    """
    labels = {label: number for number, label in enumerate(sorted({*chain(*votes)}, key=repr))}
    if len(labels) < 2:
        return None
    table = _table(votes, labels)
    counts = np.array([*votes.values()], dtype=np.float64)
    sizes = table.sum(axis=1)
    agreement, by_chance = _agreement(counts[None], table)
    alphas = _resampled_alphas(counts, table)
    shares = counts / counts.sum()
    return Reliability(
        items=int(counts.sum()),
        alpha=float(_alpha(agreement, by_chance)[0]),
        low=float(np.quantile(alphas, 0.025)),
        high=float(np.quantile(alphas, 0.975)),
        agreement=float(agreement[0]),
        by_chance=float(by_chance[0]),
        match=float(shares @ (table.multiply(table).sum(axis=1) / sizes**2)),
        ceiling=float(shares @ (table.max(axis=1).toarray().ravel() / sizes)),
    )


def _table(votes: Iterable[Sequence[_Label]], labels: Mapping[_Label, int]) -> csr_array:
    """How often each label was given, a line for each way items were voted on."""
    cells = [
        (line, labels[label], count)
        for line, voted in enumerate(votes)
        for label, count in Counter(voted).items()
    ]
    lines, columns, counts = zip(*cells, strict=True)
    return csr_array(
        (np.array(counts, dtype=np.float64), (lines, columns)), shape=(lines[-1] + 1, len(labels))
    )


def _agreement(weights: _Floats, table: csr_array) -> tuple[_Floats, _Floats]:
    """The agreement of pairs, observed and by chance, for each line of `weights`: how many items were voted on in each way."""
    sizes = table.sum(axis=1)
    agreeing = (table.multiply(table).sum(axis=1) - sizes) / (sizes - 1)
    answers = weights @ sizes
    totals = (table.T @ weights.T).T
    by_chance = (totals * (totals - 1)).sum(axis=1) / (answers * (answers - 1))
    return weights @ agreeing / answers, by_chance


def _alpha(agreement: _Floats, by_chance: _Floats) -> _Floats:
    """Alpha; 1 where only one label was given and nobody disagrees."""
    spread = np.where(by_chance < 1, 1 - by_chance, 1)
    found: _Floats = 1 - (1 - agreement) / spread
    return found


def _resampled_alphas(counts: _Floats, table: csr_array) -> _Floats:
    """Alpha on resamples of as many items, drawn with replacement."""
    generator = np.random.default_rng(0)
    items = int(counts.sum())
    size = max(1, _BLOCK // len(counts))
    blocks = [
        _alpha(*_agreement(generator.multinomial(items, counts / items, block).astype(np.float64), table))
        for block in np.diff([*range(0, _RESAMPLES, size), _RESAMPLES]).tolist()
    ]
    return np.concatenate(blocks)
