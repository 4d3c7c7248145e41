"""Have the answers become more alike? Distinct word pairs and compressibility of two models' answers to the same prompts.

Both measures fall or rise with length by themselves, and can order two models the other way round when one is terser. So the
two answers to a prompt are cut to the same number of words, and then to the same number of characters, before anything is counted.

How sure a change is, random halves of the prompts say. Drawing prompts with replacement would not do: a prompt drawn
twice repeats itself, which is the very thing that is measured. A half without replacement repeats nothing, and its mean
strays from the whole's by as much as the whole's strays from the truth: (1 - 1/2) / (n / 2) = 1 / n.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from harness.records import record
from harness.texts.word_overlap import words_of

MOST_WORDS = 40
"""What is compared of an answer. A Chinese character is a word."""
FEWEST_WORDS = 8
"""An answer of fewer words is a label, a number or a name: there is nothing in it to vary."""
FEWEST_PROMPTS = 20
MOST_PROMPTS = 200
"""Of more prompts so many are drawn: they tell as much, and packing them stays quick."""
DRAWS = 100
TWO_SIDED = 0.90
LEAST_LOSS = 0.10
"""A smaller loss of distinct pairs, as a share of the base's, is nothing to train otherwise for."""

# zlib's: its default of 6 takes twice the time and orders models alike.
_LEVEL = 3
# What is read of an answer: more than the words that are compared ever take.
_READ_CHARACTERS = 1_000
_DATA = re.compile(r"\s*(?:[{\[]\s*[\"'{\[}]|\[[-\d., ]+\]\s*$|```|<\w)")
_FIRST_UNSPACED = "\u2e80"
"""From here on a character is a word in Chinese and Japanese; between the scripts no measure compares."""

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Texts = Sequence[str]


@record
class Shift:
    """One measure of both models, and candidate minus base with its two-sided 90 % interval."""

    base: float
    candidate: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Candidate minus base."""
        return self.candidate - self.base


@record
class DiversityShift:
    """How much the answers of two models vary, at equal length.

    `distinct_2` is the share of word pairs that differ from each other, 0..1: less is more alike. `compression` is
    how many times smaller zlib makes the answers: more is more alike. `prompts` were compared, by `words` words of
    each answer on average.
    """

    distinct_2: Shift
    compression: Shift
    prompts: int
    words: float

    @property
    def is_lost(self) -> bool:
        """Whether both measures say, beyond chance, that the candidate's answers are more alike by an amount worth acting on."""
        fell = self.distinct_2.high < 0 and -self.distinct_2.difference >= LEAST_LOSS * self.distinct_2.base
        return fell and self.compression.low > 0


@record
class _Cut:
    """The answers of both models to one prompt, at equal length: word pairs as numbers, and text to pack."""

    pairs: tuple[Ids, Ids]
    packed: tuple[bytes, bytes]
    words: int
    answers: int


def diversity_shift(
    base: Sequence[Texts], candidate: Sequence[Texts], *, seed: int = 0
) -> DiversityShift | None:
    """What two models' answers to the same prompts say about their diversity; None with too few answers in free text.

    Args:
        base: The base's answers by prompt, one a trial.
        candidate: The candidate's answers to the same prompts, in the same order.
        seed: Of the draws.
    """
    numbers: dict[tuple[str, str], int] = {}
    cuts = [
        cut for one, other in zip(base, candidate, strict=True) if (cut := _cut(one, other, numbers=numbers))
    ]
    if len(cuts) < FEWEST_PROMPTS:
        return None
    random = np.random.default_rng(seed)
    if len(cuts) > MOST_PROMPTS:
        cuts = [cuts[place] for place in np.sort(random.permutation(len(cuts))[:MOST_PROMPTS])]
    whole = _measures(cuts)
    half = len(cuts) // 2
    draws = np.array(
        [
            _change(_measures([cuts[place] for place in random.permutation(len(cuts))[:half]]))
            for _ in range(DRAWS)
        ]
    )
    return DiversityShift(
        distinct_2=_shift(whole[:, 0], draws[:, 0]),
        compression=_shift(whole[:, 1], draws[:, 1]),
        prompts=len(cuts),
        words=sum(cut.words for cut in cuts) / sum(cut.answers for cut in cuts),
    )


def is_free_text(text: str) -> bool:
    """Whether a text is long enough to vary, and is neither data nor code nor a label."""
    return _is_free(text, _words(text))


def _is_free(text: str, words: Sequence[str]) -> bool:
    return len(words) >= FEWEST_WORDS and not _DATA.match(text)


def _shift(whole: Floats, draws: Floats) -> Shift:
    """The interval lies around what all prompts say: halves show how far it may stray, not where it is.

    Fewer answers repeat less, so a half's own level is another.
    """
    tail = (1 - TWO_SIDED) / 2
    low, high = np.quantile(draws - draws.mean(), [tail, 1 - tail])
    change = float(whole[1] - whole[0])
    return Shift(
        base=float(whole[0]), candidate=float(whole[1]), low=change + float(low), high=change + float(high)
    )


def _change(measures: Floats) -> Floats:
    change: Floats = measures[1] - measures[0]
    return change


def _measures(cuts: Sequence[_Cut]) -> Floats:
    """Distinct pairs and compression, a row for the base and one for the candidate; shape (2, 2)."""
    return np.array(
        [
            [_distinct([cut.pairs[side] for cut in cuts]), _compression([cut.packed[side] for cut in cuts])]
            for side in (0, 1)
        ]
    )


def _distinct(pairs: Sequence[Ids]) -> float:
    every = np.concatenate(pairs)
    return int(np.count_nonzero(np.bincount(every))) / len(every)


def _compression(texts: Sequence[bytes]) -> float:
    joined = b"\n".join(texts)
    return len(joined) / len(zlib.compress(joined, level=_LEVEL))


def _cut(base: Texts, candidate: Texts, *, numbers: dict[tuple[str, str], int]) -> _Cut | None:
    """What is compared of a prompt's answers, trial by trial; None where nothing is."""
    pairs: tuple[list[int], list[int]] = ([], [])
    packed: tuple[list[str], list[str]] = ([], [])
    words = answers = 0
    for both in zip(base, candidate, strict=False):
        spoken = [_words(text) for text in both]  # telling words apart takes most of the time: once is enough
        if not all(map(_is_free, both, spoken)):
            continue
        if _is_unspaced(spoken[0]) != _is_unspaced(spoken[1]):
            continue
        size = min(MOST_WORDS, *map(len, spoken))
        texts = [" ".join(own[:size]) for own in spoken]
        length = min(map(len, texts))
        words, answers = words + size, answers + 1
        for side, own in enumerate(spoken):
            pairs[side].extend(_numbered(own[:size], numbers))
            packed[side].append(texts[side][:length])
    if not answers:
        return None
    base_text, other_text = ("\n".join(texts).encode("utf-8", "replace") for texts in packed)
    return _Cut(
        pairs=(np.array(pairs[0], dtype=np.int64), np.array(pairs[1], dtype=np.int64)),
        packed=(base_text, other_text),
        words=words,
        answers=answers,
    )


def _words(text: str) -> list[str]:
    return words_of(text[:_READ_CHARACTERS])


def _is_unspaced(words: Sequence[str]) -> bool:
    return 2 * sum(word >= _FIRST_UNSPACED for word in words) > len(words)


def _numbered(words: Sequence[str], numbers: dict[tuple[str, str], int]) -> Iterator[int]:
    for pair in pairwise(words):
        yield numbers.setdefault(pair, len(numbers))
