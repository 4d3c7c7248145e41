"""Which cases fail because training hardly shows what they ask, and which in spite of rows that ask nearly the same?

Nearness is the cosine of TF-IDF over character 3- to 5-grams. What counts as far is taken from the training rows themselves: a case is far
when 19 of 20 rows have a nearer neighbour among the others than it has. One case in twenty is so by chance: where no more are, only those
are far that are farther than every row.
"""

from collections.abc import Iterator, Sequence
from math import comb
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from harness.dataset.findings import Finding, first_lines
from harness.dataset.leaks import SuitePrompt
from harness.dataset.near_duplicates import form_of_text
from harness.records import Json, record

NEAREST = 3
FAR_QUANTILE = 0.05
NEAR_QUANTILE = 0.5
# As many cases below the quantile as are found by chance less often than this are more than chance.
LEAST_CHANCE = 0.05
# Texts less alike are not near, however scattered the training rows are: about half of their weighty parts are the same.
LEAST_NEAR = 0.5
# Fewer rows cannot say what is far.
LEAST_ROWS = 20

_GRAMS = (3, 4, 5)
_BUCKET_BITS = 20
_SAMPLED_FOR_WEIGHTS = 20_000
_SAMPLED_NEIGHBOURS = 300
# What a fifth of the rows share is a template or a stop word, and tells nothing apart.
_MOST_SHARE = 0.2
_LEAST_FOR_SHARES = 100
_READ_CHARACTERS = 4_000
_BLOCK_CHARACTERS = 500_000
_TOLD_CASES = 3

_Item = TypeVar("_Item")
_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_BASE = np.uint64(0x9E3779B97F4A7C15)


@record
class TrainingPrompt:
    """What a training row asks: its line, and the text."""

    line: int
    text: str


@record
class Neighbour:
    """A training row near a case: its line, and their similarity, 0..1."""

    line: int
    similarity: float


@record
class Coverage:
    """A failing case with the training rows nearest to it, the nearest first; `word` says what that means."""

    prompt: SuitePrompt
    nearest: tuple[Neighbour, ...]
    word: Literal["far", "near", "between"]


def coverage_of(failing: Sequence[SuitePrompt], training: Sequence[TrainingPrompt]) -> tuple[Coverage, ...]:
    """The nearest training rows of each failing case. Few rows say nothing about what is far: then there is nothing.

    100,000 rows of 300 characters take about half a minute, in flat memory.
    """
    if len(training) < LEAST_ROWS or not failing:
        return ()
    weights = _weights([row.text for row in _spread(training, _SAMPLED_FOR_WEIGHTS)])
    own = _spread(range(len(training)), _SAMPLED_NEIGHBOURS)
    asked = [prompt.text for prompt in failing] + [training[index].text for index in own]
    indices, similarities = _nearest(_vectors(asked, weights), training, weights, own=own)
    usual = similarities[len(failing) :, 0]
    far = _far(similarities[: len(failing), 0], usual)
    near = max(LEAST_NEAR, float(np.quantile(usual, NEAR_QUANTILE)))
    return tuple(
        Coverage(
            prompt=prompt,
            nearest=tuple(
                Neighbour(line=training[index].line, similarity=round(similarity, 3))
                for index, similarity in zip(
                    indices[number].tolist(), similarities[number].tolist(), strict=True
                )
                if similarity > 0
            ),
            word="far"
            if similarities[number, 0] < far
            else "near"
            if similarities[number, 0] >= near
            else "between",
        )
        for number, prompt in enumerate(failing)
    )


def _far(failing: _Floats, usual: _Floats) -> float:
    """The similarity below which a failing case is far; `usual` are those of training rows to their nearest."""
    far = float(np.quantile(usual, FAR_QUANTILE))
    cases, below = len(failing), int((failing < far).sum())
    chance = sum(
        comb(cases, number) * FAR_QUANTILE**number * (1 - FAR_QUANTILE) ** (cases - number)
        for number in range(below)
    )
    return far if 1 - chance <= LEAST_CHANCE else float(usual.min())


def coverage_findings(
    failing: Sequence[SuitePrompt], training: Sequence[TrainingPrompt]
) -> Iterator[Finding]:
    """What to do about failing cases: rows to add near some, rows to read again near others."""
    covered = coverage_of(failing, training)
    if far := sorted((case for case in covered if case.word == "far"), key=_similarity):
        yield Finding(
            name="coverage_gap",
            level="warning" if len(far) > FAR_QUANTILE * len(failing) else "note",
            what=f"{len(far):,} of {len(failing):,} failing cases {'is' if len(far) == 1 else 'are'} far from every training row: {_told(far)}",
            count=len(far),
            lines=(),
            why="the model was hardly shown what they ask",
            remedy="add rows that ask such things, but not these: the suite would then judge what was learned by heart",
            figures={"cases": _listed(far)},
        )
    if near := sorted((case for case in covered if case.word == "near"), key=_similarity, reverse=True):
        yield Finding(
            name="failing_near_training",
            level="warning",
            what=f"{len(near):,} of {len(failing):,} failing cases {'asks' if len(near) == 1 else 'ask'} nearly what training rows do: {_told(near)}",
            count=len(near),
            lines=first_lines({row.line for case in near for row in case.nearest[:1]}),
            why="the model was shown this and still fails: what it was shown may be wrong, contradict itself, or be too little",
            remedy="read these rows: correct wrong answers, settle contradictions, else add more like them",
            figures={"cases": _listed(near)},
        )


def _similarity(case: Coverage) -> float:
    return case.nearest[0].similarity if case.nearest else 0.0


def _told(cases: Sequence[Coverage]) -> str:
    told = [
        f"{case.prompt.suite}: {case.prompt.case} "
        + (
            f"(line {case.nearest[0].line}, similarity {_similarity(case):.2f})"
            if case.nearest
            else "(nothing alike)"
        )
        for case in cases[:_TOLD_CASES]
    ]
    return ", ".join(told) + (f" and {len(cases) - _TOLD_CASES} more" if len(cases) > _TOLD_CASES else "")


def _listed(cases: Sequence[Coverage]) -> list[Json]:
    return [
        [case.prompt.suite, case.prompt.case, [[row.line, row.similarity] for row in case.nearest]]
        for case in cases
    ]


# --- vectors --------------------------------------------------------------------------------------------------


def _spread(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    """Up to `count` items from the whole sequence."""
    step = max(1, -(-len(items) // count))
    return items[::step]


def _nearest(
    asked: csr_array, training: Sequence[TrainingPrompt], weights: _Floats, *, own: Sequence[int]
) -> tuple[_Integers, _Floats]:
    """The training rows nearest to each vector, by index, and their similarities; the last vectors are the rows `own`, which do not count."""
    indices = np.zeros((asked.shape[0], NEAREST), dtype=np.int64)
    similarities = np.zeros((asked.shape[0], NEAREST))
    first = asked.shape[0] - len(own)
    columns = {index: first + number for number, index in enumerate(own)}
    for start, texts in _blocks([row.text for row in training]):
        alike = (asked @ _vectors(texts, weights).T).toarray()
        for place in range(len(texts)):
            if (column := columns.get(start + place)) is not None:
                alike[column, place] = 0.0
        known = np.concatenate([similarities, alike], axis=1)
        numbers = np.concatenate(
            [indices, np.broadcast_to(np.arange(start, start + len(texts)), alike.shape)], axis=1
        )
        best = np.argsort(-known, axis=1, kind="stable")[:, :NEAREST]
        similarities = np.take_along_axis(known, best, axis=1)
        indices = np.take_along_axis(numbers, best, axis=1)
    return indices, similarities


def _weights(texts: Sequence[str]) -> _Floats:
    """What each bucket of grams counts: its inverse document frequency; nothing for what many texts share."""
    found = np.zeros(1 << _BUCKET_BITS)
    for _, block in _blocks(texts):
        found += np.bincount(_counted(block)[1], minlength=len(found))
    weights: _Floats = np.log((1 + len(texts)) / (1 + found)) + 1
    if len(texts) >= _LEAST_FOR_SHARES:
        weights[found > _MOST_SHARE * len(texts)] = 0.0
    return weights


def _vectors(texts: Sequence[str], weights: _Floats) -> csr_array:
    """A line of length 1 for each text, or 0 where nothing in it tells it from others."""
    rows, buckets, counts = _counted(texts)
    values = (1 + np.log(counts)) * weights[buckets]
    lengths = np.sqrt(np.bincount(rows, values**2, minlength=len(texts)))
    kept = values > 0
    rows, buckets, values = rows[kept], buckets[kept], values[kept]
    return csr_array((values / lengths[rows], (rows, buckets)), shape=(len(texts), len(weights)))


def _counted(texts: Sequence[str]) -> tuple[_Integers, _Integers, _Integers]:
    """How often each text has grams of each bucket: text, bucket and count."""
    read = [f" {form_of_text(text)[:_READ_CHARACTERS]} " for text in texts]
    codes = np.frombuffer("".join(read).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(
        np.uint64
    )
    owners = np.repeat(np.arange(len(read), dtype=np.uint64), [len(text) for text in read])
    shift, keys = np.uint64(_BUCKET_BITS), []
    for size in _GRAMS:
        count = max(0, len(codes) - size + 1)
        hashes = np.full(count, np.uint64(size), dtype=np.uint64)
        for place in range(size):
            hashes = hashes * _BASE + codes[place : place + count]
        hashes = ((hashes ^ (hashes >> np.uint64(32))) * _BASE) >> (np.uint64(64) - shift)
        whole = owners[:count] == owners[len(owners) - count :]
        keys.append((owners[:count] << shift | hashes)[whole])
    found, counts = np.unique(np.concatenate(keys), return_counts=True)
    mask = np.uint64((1 << _BUCKET_BITS) - 1)
    return (found >> shift).astype(np.int64), (found & mask).astype(np.int64), counts.astype(np.int64)


def _blocks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """The texts some at a time, each with the index of the first."""
    start = size = 0
    for index, text in enumerate(texts):
        size += min(len(text), _READ_CHARACTERS)
        if size >= _BLOCK_CHARACTERS:
            yield start, texts[start : index + 1]
            start, size = index + 1, 0
    if start < len(texts):
        yield start, texts[start:]
