"""What would twice the data bring? An estimate with a band from two or more sizes, and what would make it tell."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.records import DoublingEstimate, DoublingWord, record
from harness.verdict.learning_curves import PAST_DOUBLINGS, Measured, foresee

WORTHWHILE = 0.01
"""A gain from which more data is called a help, in score: one point."""
BAND = 0.80
"""How often the truth lies in the band."""
LEAP = 0.10
WIDENED_AFTER_LEAP = 1.25
"""A size that leaps by more than ten points: fine-tuned models learn a format at once, the prior's learners seldom do."""
# Shares of a file keep groups of rows together, so that its eighth need not be exactly that.
_TOLERANCE = 0.1
# The smallest size must be clearly smaller than the largest: at most 7/10 of it.
_FEWEST_DOUBLINGS = 0.5
_MORE_PROMPTS = (2, 4, 8, 16)
_MORE_SEEDS = (2, 3, 5, 10)
_POINT = 100
_RULE_OF_THREE = 3


def estimate_doubling(
    sizes: Sequence[float],
    scores: Sequence[float],
    *,
    cases: int,
    seeds: int = 1,
    covariance: Sequence[Sequence[float]] | NDArray[np.float64] | None = None,
) -> DoublingEstimate:
    """What a training on twice the largest size is expected to score more, with its 80 % band.

    Sizes are best halves of each other: n/4, n/2, n. Others between n/8 and n are taken too, the log error being straight
    between doublings; those below n/8 are left out, and the estimate says so. How it is reached, and how often it is
    right: docs/experiments.md.

    Args:
        sizes: Rows of training data, two sizes or more, each training on a nested share of the largest.
        scores: The suite's mean score at each size in 0..1, over all seeds.
        cases: How many prompts the suite has.
        seeds: How many trainings each score is the mean of.
        covariance: Of the scores by the choice of prompts, shape (sizes, sizes): the covariance of the prompts' means at the
            sizes, divided by `cases`. Without it scores are taken as right-or-wrong with a correlation of .6 between sizes.

    Raises:
        UsageError: Fewer than two sizes, sizes too close to each other, or scores that are none.
    """
    measured, cautions = _measured(sizes, scores, cases=cases, seeds=seeds, covariance=covariance)
    gain, low, high = _band(measured)
    word = _word(low, high)
    if _leaps(measured):
        cautions.append(
            f"a size leaps by more than {LEAP * _POINT:.0f} points, so the band is a quarter wider: it may be a format that "
            "was learnt, of which more data brings no more"
        )
    return DoublingEstimate(
        gain=gain,
        low=low,
        high=high,
        word=word,
        last_gain=_last_gain(measured),
        to_tell=_to_tell(measured) if word == "cannot tell" else "",
        cautions=tuple(cautions),
    )


def _measured(
    sizes: Sequence[float],
    scores: Sequence[float],
    *,
    cases: int,
    seeds: int,
    covariance: Sequence[Sequence[float]] | NDArray[np.float64] | None,
) -> tuple[Measured, list[str]]:
    """The sizes that count, smallest first, and what is to be said of the others."""
    _refuse(sizes, scores, cases=cases, seeds=seeds)
    noise = None if covariance is None else np.asarray(covariance, dtype=float)
    if noise is not None and (noise.shape != (len(sizes),) * 2 or not np.isfinite(noise).all()):
        raise UsageError(
            f"a covariance of shape {noise.shape} for {len(sizes)} sizes",
            remedy="give a row and a column each",
        )
    order = sorted(range(len(sizes)), key=lambda index: sizes[index])
    doublings = [math.log2(sizes[order[-1]] / sizes[index]) for index in order]
    kept = [place for place, below in enumerate(doublings) if below <= PAST_DOUBLINGS + _TOLERANCE]
    if max(doublings[place] for place in kept) < _FEWEST_DOUBLINGS:
        raise UsageError(
            f"sizes {', '.join(f'{size:g}' for size in sorted(sizes))} tell nothing of a doubling",
            remedy="train on a half of the data too, and best on a quarter",
        )
    taken = [order[place] for place in kept]
    left_out = [f"{sizes[index]:g}" for index in order if index not in taken]
    told = [f"less than an eighth of the data is left out: {', '.join(left_out)} rows"] if left_out else []
    return Measured(
        doublings=tuple(doublings[place] for place in kept),
        scores=tuple(float(scores[index]) for index in taken),
        cases=cases,
        seeds=seeds,
        covariance=noise[np.ix_(taken, taken)] if noise is not None else None,
    ), told


def _refuse(sizes: Sequence[float], scores: Sequence[float], *, cases: int, seeds: int) -> None:
    if len(sizes) != len(scores) or len(sizes) < 2:
        raise UsageError(
            f"{len(sizes)} sizes and {len(scores)} scores", remedy="give a score each, of two sizes or more"
        )
    if len(set(sizes)) < len(sizes) or not all(0 < size < math.inf for size in sizes):
        raise UsageError(
            f"sizes {', '.join(f'{size:g}' for size in sizes)}", remedy="give different numbers of rows"
        )
    if not all(0 <= score <= 1 for score in scores):
        raise UsageError("a score outside 0..1", remedy="scale the scores; leave out a size without one")
    if cases < 1 or seeds < 1:
        raise UsageError(f"{cases} cases and {seeds} seeds", remedy="there is at least one of each")


def _band(measured: Measured) -> tuple[float, float, float]:
    """The gain in the middle, and the ends of its band."""
    tail = (1 - BAND) / 2
    foreseen = foresee(measured)
    gain, low, high = foreseen.gain((0.5, tail, 1 - tail))
    if _leaps(measured):
        low, high = gain - WIDENED_AFTER_LEAP * (gain - low), gain + WIDENED_AFTER_LEAP * (high - gain)
    last = measured.scores[-1]
    # No score is above 1; but a perfect one of few prompts may hide errors, up to 3/n of them (the rule of three).
    hidden = min(1 - foreseen.score(0), _RULE_OF_THREE / measured.cases)
    most = min(max(1 - last, hidden), 1.0)
    return _within(gain, -last, most), _within(low, -last, most), _within(high, -last, most)


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _word(low: float, high: float) -> DoublingWord:
    if low > WORTHWHILE:
        return "likely helps"
    return "unlikely" if high < WORTHWHILE else "cannot tell"


def _leaps(measured: Measured) -> bool:
    scores = measured.scores
    return any(abs(later - score) > LEAP for score, later in itertools.pairwise(scores))


def _last_gain(measured: Measured) -> float | None:
    """The literal reading of half against full data; None where no size is about a half."""
    half = _at(measured, 1)
    return measured.scores[-1] - measured.scores[half] if half is not None else None


def _at(measured: Measured, doublings: float) -> int | None:
    """Which size lies so many doublings below the largest."""
    near = (place for place, below in enumerate(measured.doublings) if abs(below - doublings) <= _TOLERANCE)
    return next(near, None)


# --- what would make it tell ---------------------------------------------------------------------------


def _to_tell(measured: Measured) -> str:
    """What would be enough for a word, were all scores to stay as they are: each thing alone, or else the cheapest mixture."""
    if not _tells(_bought(measured, _Purchase(times=_MORE_PROMPTS[-1], seeds=_MORE_SEEDS[-1], size=True))):
        return (
            f"not with {_MORE_PROMPTS[-1]} times the prompts, {_MORE_SEEDS[-1]} trainings of each size and one size more, "
            "if the scores stay as they are; only a training on twice the data tells"
        )
    alone = [
        next((purchase for purchase in kind if _tells(_bought(measured, purchase))), None)
        for kind in (
            [_Purchase(times=times) for times in _MORE_PROMPTS],
            [_Purchase(size=True)],
            [_Purchase(seeds=seeds) for seeds in _MORE_SEEDS if seeds > measured.seeds],
        )
    ]
    enough = [purchase for purchase in alone if purchase is not None]
    if not enough:
        enough = [next(purchase for purchase in _MIXTURES if _tells(_bought(measured, purchase)))]
    return (
        f"if the scores stay as they are: {'; or '.join(_named(measured, purchase) for purchase in enough)}"
    )


@record
class _Purchase:
    """So many times the prompts, at least so many trainings of each size, and perhaps one size more."""

    times: int = 1
    seeds: int = 1
    size: bool = False

    @property
    def cost(self) -> float:
        """In arms asked once; a quarter or an eighth of the data is trained on cheaply."""
        return self.seeds * (1.25 if self.size else 1.0) + self.times / 4


_MIXTURES = sorted(
    (
        _Purchase(times=times, seeds=seeds, size=size)
        for times in (1, *_MORE_PROMPTS)
        for seeds in (1, *_MORE_SEEDS)
        for size in (False, True)
    ),
    key=lambda purchase: purchase.cost,
)


def _bought(measured: Measured, purchase: _Purchase) -> Measured:
    more = replace(_with_prompts(measured, purchase.times), seeds=max(purchase.seeds, measured.seeds))
    return _with_size(more) if purchase.size else more


def _named(measured: Measured, purchase: _Purchase) -> str:
    parts = []
    if purchase.times > 1:
        parts.append(f"{measured.cases * purchase.times:,} prompts instead of {measured.cases:,}")
    added = set(_bought(measured, purchase).doublings) - set(measured.doublings)
    parts += [f"one size more, 1/{2**below:.0f} of the data" for below in added]
    if purchase.seeds > measured.seeds:
        parts.append(f"{purchase.seeds} trainings of each size instead of {measured.seeds}")
    return " and ".join(parts)


def _tells(measured: Measured) -> bool:
    _, low, high = _band(measured)
    return _word(low, high) != "cannot tell"


def _with_prompts(measured: Measured, times: int) -> Measured:
    noise = measured.covariance
    return replace(
        measured, cases=measured.cases * times, covariance=None if noise is None else noise / times
    )


def _with_size(measured: Measured) -> Measured:
    """One size more, a half, quarter or eighth, with the score that is expected there; the same where all are there."""
    missing = [below for below in range(1, PAST_DOUBLINGS + 1) if _at(measured, below) is None]
    if not missing:
        return measured
    below = float(missing[0])
    place = sum(known > below for known in measured.doublings)
    score = max(foresee(measured).score(below), 0.0)
    noise = measured.covariance
    if noise is not None:
        # As noisy as its neighbour, and as near to the others as that one is.
        near = max(place - 1, 0)
        indices = [*range(place), near, *range(place, len(measured.scores))]
        noise = noise[np.ix_(indices, indices)]
    return replace(
        measured,
        doublings=(*measured.doublings[:place], below, *measured.doublings[place:]),
        scores=(*measured.scores[:place], score, *measured.scores[place:]),
        covariance=noise,
    )
