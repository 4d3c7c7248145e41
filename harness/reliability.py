"""How far do people agree on the same items, or people and a judge, and what does that allow a model?

Cohen's kappa for two who valued the same items. Krippendorff's alpha for labels (nominal data, any number of answers an item): 1 is full agreement, 0 what chance gives. Its interval is a
bootstrap over items, because the answers to one item are not independent of each other.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from harness.records import record

# What is customary to call reliable, and the least on which tentative conclusions may rest (Krippendorff, Content Analysis, ch. 11).
RELIABLE_ALPHA = 0.8
TENTATIVE_ALPHA = 0.667
_RESAMPLES = 1_000
_ROUNDING = 1e-12
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


def kappa(
    first: _Floats, second: _Floats, *, weights: _Floats | None = None, quadratic: bool = False
) -> float | None:
    """Cohen's kappa of two who valued the same items, shape (items,): 1 is full agreement, 0 what chance gives.

    Nominal kappa counts an item as agreed when both values are equal. Quadratic-weighted kappa (Cohen 1968) counts the squared
    difference, so that values next to each other disagree little; on two values both are the same.

    Args:
        first: The values the one gave.
        second: The values the other gave.
        weights: How much each item counts: the inverse of its chance to be drawn, since kappa depends on how common each value is.
        quadratic: Weigh disagreement by the squared difference.

    Returns:
        None without items, and where both always gave one and the same value: then nothing could disagree.
    """
    counts = np.ones(len(first)) if weights is None else weights
    total = float(counts.sum())
    if total <= 0:
        return None
    shares = counts / total
    if quadratic:
        apart = float(shares @ (first - second) ** 2)
        means = float(shares @ first), float(shares @ second)
        squares = float(shares @ first**2) + float(shares @ second**2)
        by_chance = squares - 2 * means[0] * means[1]
    else:
        apart = float(shares @ (first != second))
        by_chance = 1 - sum(
            float(shares @ (first == value)) * float(shares @ (second == value)) for value in np.unique(first)
        )
    return 1 - apart / by_chance if by_chance > _ROUNDING else None


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
        match=float(shares @ (table.squares / table.sizes**2)),
        ceiling=float(shares @ (table.most / table.sizes)),
    )


@record
class _Table:
    """How often each label was given, in each way items were voted on: the counts that are not zero, sorted by label.

    `ways` is each count's way, `firsts` where each label's counts begin. Of each way, `sizes` is how many votes it has, `squares` the sum of
    its squared counts, `most` its largest count.
    """

    counts: _Floats
    ways: npt.NDArray[np.intp]
    firsts: npt.NDArray[np.intp]
    sizes: _Floats
    squares: _Floats
    most: _Floats


def _table(votes: Iterable[Sequence[_Label]], labels: Mapping[_Label, int]) -> _Table:
    cells = sorted(
        (labels[label], way, count)
        for way, voted in enumerate(votes)
        for label, count in Counter(voted).items()
    )
    columns, ways, counts = (np.array(column) for column in zip(*cells, strict=True))
    most = np.zeros(ways.max() + 1)
    np.maximum.at(most, ways, counts)
    return _Table(
        counts=counts.astype(np.float64),
        ways=ways,
        firsts=np.flatnonzero(np.diff(columns, prepend=-1)),
        sizes=np.bincount(ways, counts).astype(np.float64),
        squares=np.bincount(ways, counts**2).astype(np.float64),
        most=most,
    )


def _agreement(weights: _Floats, table: _Table) -> tuple[_Floats, _Floats]:
    """The agreement of pairs, observed and by chance, for each line of `weights`: how many items were voted on in each way."""
    sizes = table.sizes
    agreeing = (table.squares - sizes) / (sizes - 1)
    answers = weights @ sizes
    totals = np.add.reduceat(weights[:, table.ways] * table.counts, table.firsts, axis=1)
    by_chance = (totals * (totals - 1)).sum(axis=1) / (answers * (answers - 1))
    return weights @ agreeing / answers, by_chance


def _alpha(agreement: _Floats, by_chance: _Floats) -> _Floats:
    """Alpha; 1 where only one label was given and nobody disagrees."""
    spread = np.where(by_chance < 1, 1 - by_chance, 1)
    found: _Floats = 1 - (1 - agreement) / spread
    return found


def _resampled_alphas(counts: _Floats, table: _Table) -> _Floats:
    """Alpha on resamples of as many items, drawn with replacement."""
    generator = np.random.default_rng(0)
    items = int(counts.sum())
    size = max(1, _BLOCK // len(table.counts))
    blocks = [
        _alpha(*_agreement(generator.multinomial(items, counts / items, block).astype(np.float64), table))
        for block in np.diff([*range(0, _RESAMPLES, size), _RESAMPLES]).tolist()
    ]
    return np.concatenate(blocks)
