"""Which texts are nearly the same? MinHash over character 7-grams finds candidates, an edit ratio confirms them.

Measured on 100,000 texts with planted near-copies: 64 permutations in 16 bands of 4, confirmed at a ratio of 85 (rapidfuzz),
found .998 of them and nothing else (`benchmarks/near_duplicates.py`). A text's sketch has 64 bytes; texts are fetched again only to be compared.
"""

import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from functools import lru_cache
from itertools import pairwise
from os import SEEK_END
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz

from harness.texts import fold
from harness.texts.run_hashing import run_hashes

SHINGLE_CHARACTERS = 7
PERMUTATIONS = 64
BANDS = 16
# Percent of characters two texts share in order, from which on they count as near-copies.
LEAST_RATIO = 85.0
# Within a bucket of texts that look alike each is compared with at most so many groups found in it before, so that boilerplate
# shared by thousands of texts costs no thousands of comparisons each.
_MOST_EXEMPLARS = 8
# Characters hashed at a time: 64 permutations of them take 2 MB, what a processor has at hand.
_BLOCK_CHARACTERS = 8_192
_COMPARED_CHARACTERS = 20_000
# Texts that wait to be hashed together, and those kept while they are compared with others.
_WAITING_TEXTS = 1024
_WAITING_CHARACTERS = 2**20
_KEPT_TEXTS = 512
# Beyond these sketches go to a file: 2 MB.
_TEXTS_IN_MEMORY = 2**15
_HASH_BYTES = 4

_Integers = npt.NDArray[np.uint32]
_GENERATOR = np.random.Generator(np.random.PCG64(7))


def _odd(count: int) -> _Integers:
    drawn: _Integers = _GENERATOR.integers(0, 2**31, count, dtype=np.uint32) * 2 + 1
    return drawn


_PLACES = _odd(SHINGLE_CHARACTERS)
_FACTORS = _odd(PERMUTATIONS)[:, None]
_OFFSETS: _Integers = _GENERATOR.integers(0, 2**32, (PERMUTATIONS, 1), dtype=np.uint32)
_BAND_FACTORS: npt.NDArray[np.uint64] = (
    _GENERATOR.integers(0, 2**63, (1, PERMUTATIONS // BANDS, 1), dtype=np.uint64) * np.uint64(2)
) | np.uint64(1)
_HIGH = np.uint64(32)


def form_of_text(text: str) -> str:
    """What is compared: without case, form variants and runs of white space."""
    return fold(text)


def sketches_of(forms: Sequence[str]) -> _Integers:
    """The band hashes (texts, 16) of texts in their compared form; texts that are nearly the same share some of them."""
    padded = [form.ljust(SHINGLE_CHARACTERS) for form in forms]
    least = np.empty((PERMUTATIONS, len(padded)), dtype=np.uint32)
    first = 0
    while first < len(padded):
        last, size = first + 1, len(padded[first])
        while last < len(padded) and size + len(padded[last]) <= _BLOCK_CHARACTERS:
            size += len(padded[last])
            last += 1
        least[:, first:last] = _least_hashes(padded[first:last])
        first = last
    bands = least.reshape(BANDS, PERMUTATIONS // BANDS, len(padded)).astype(np.uint64) * _BAND_FACTORS
    hashed: _Integers = (bands.sum(axis=1, dtype=np.uint64) >> _HIGH).astype(np.uint32).T
    return hashed


def _least_hashes(texts: Sequence[str]) -> _Integers:
    """The least hash (permutations, texts) of each text's shingles, from each permutation."""
    hashes = _shingle_hashes("".join(texts))
    ends = np.cumsum([len(text) for text in texts])
    if len(texts) == 1 and len(hashes) > _BLOCK_CHARACTERS:
        blocks = [
            hashes[start : start + _BLOCK_CHARACTERS] for start in range(0, len(hashes), _BLOCK_CHARACTERS)
        ]
        alone = [(block * _FACTORS + _OFFSETS).min(axis=1, keepdims=True) for block in blocks]
        least: _Integers = np.concatenate(alone, axis=1).min(axis=1, keepdims=True)
        return least
    # Between two texts stand the shingles that have a part of each: every second segment, left out.
    cuts = np.empty(2 * len(texts) - 1, dtype=np.intp)
    cuts[0::2] = ends - [len(text) for text in texts]
    cuts[1::2] = ends[:-1] - (SHINGLE_CHARACTERS - 1)
    permuted = hashes * _FACTORS
    permuted += _OFFSETS
    return np.minimum.reduceat(permuted, cuts, axis=1)[:, ::2]


def _shingle_hashes(text: str) -> _Integers:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return run_hashes(codes, _PLACES)


class Sketches:
    """The sketches of many texts, numbered from 0 in the order they were added.

    64 bytes each: beyond some ten thousand they lie in a temporary file, because only one band of them is looked at at a time.
    """

    def __init__(self) -> None:
        self._blocks: list[_Integers] = []
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._file: BinaryIO | None = None
        # Texts of each piece of the file, in which one band follows the other.
        self._pieces: list[int] = []

    def __len__(self) -> int:
        return sum(self._pieces) + sum(map(len, self._blocks)) + len(self._waiting)

    def add(self, text: str) -> None:
        """Take the next text."""
        self.add_form(form_of_text(text))

    def add_form(self, form: str) -> None:
        """Take the next text in its compared form."""
        self._waiting.append(form)
        self._waiting_characters += len(form)
        if len(self._waiting) >= _WAITING_TEXTS or self._waiting_characters >= _WAITING_CHARACTERS:
            self._pack()

    def merge(self, later: "Sketches") -> None:
        """Take in the sketches of the texts that follow."""
        self._pack()
        for block in later._all_blocks():
            self._keep(block)

    def __getstate__(self) -> list[_Integers]:
        """Sketches travel without texts and files."""
        return list(self._all_blocks())

    def __setstate__(self, blocks: list[_Integers]) -> None:
        """What arrives is small: a part of a file."""
        self.__init__()  # type: ignore[misc]
        for block in blocks:
            self._keep(block)

    def groups(self, text_of: Callable[[int], str]) -> list[list[int]]:
        """Groups of two and more texts, each nearly the same as another of its group, in the order of their first text.

        Args:
            text_of: The text of a number, again.
        """
        leaders = array("Q", range(len(self)))
        formed = _forming(text_of)
        for band in range(BANDS):
            for bucket in _buckets(self._band(band)):
                _join_alike(bucket, leaders, formed)
        # A group's leader is its first text.
        found: dict[int, list[int]] = {}
        for number, leader in enumerate(leaders):
            if leader != number:
                first = _leader(leaders, number)
                found.setdefault(first, [first]).append(number)
        return [found[first] for first in sorted(found)]

    def matches(
        self,
        others: "Sketches",
        *,
        text_of: Callable[[int], str],
        other_text_of: Callable[[int], str],
        accepts: Callable[[int, int], bool] = lambda _number, _other: True,
    ) -> dict[int, int]:
        """Which texts are nearly the same as one of `others`: the numbers of both, of pairs that are accepted."""
        formed, other_formed = _forming(text_of), _forming(other_text_of)
        found: dict[int, int] = {}
        for band in range(BANDS):
            own, column = self._band(band), others._band(band)
            order = np.argsort(column, kind="stable")
            column = column[order]
            starts = np.searchsorted(column, own, side="left")
            ends = np.searchsorted(column, own, side="right")
            for number in np.flatnonzero(ends > starts).tolist():
                if number in found:
                    continue
                for other in order[
                    starts[number] : min(ends[number], starts[number] + _MOST_EXEMPLARS)
                ].tolist():
                    is_near = fuzz.ratio(formed(number), other_formed(other), score_cutoff=LEAST_RATIO) > 0
                    if is_near and accepts(number, other):
                        found[number] = other
                        break
        return found

    def _band(self, band: int) -> _Integers:
        """One hash of every text."""
        self._pack()
        columns = [np.empty(0, dtype=np.uint32)]
        columns += [self._read(place, band, 1)[0] for place in range(len(self._pieces))]
        columns += [block[:, band] for block in self._blocks]
        return np.concatenate(columns)

    def _all_blocks(self) -> Iterator[_Integers]:
        self._pack()
        for place in range(len(self._pieces)):
            yield self._read(place, 0, BANDS).T
        yield from self._blocks

    def _pack(self) -> None:
        if self._waiting:
            self._keep(sketches_of(self._waiting))
            self._waiting, self._waiting_characters = [], 0

    def _keep(self, block: _Integers) -> None:
        self._blocks.append(block)
        if sum(map(len, self._blocks)) >= _TEXTS_IN_MEMORY:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the last sketch
                weakref.finalize(self, self._file.close)
            piece = np.concatenate(self._blocks)
            self._file.seek(0, SEEK_END)
            self._file.write(piece.T.tobytes())
            self._pieces.append(len(piece))
            self._blocks = []

    def _read(self, place: int, band: int, count: int) -> _Integers:
        """So many bands (count, texts) of a piece of the file, from a band on."""
        assert self._file is not None, "there are pieces, so there is a file"
        texts = self._pieces[place]
        self._file.seek(_HASH_BYTES * (BANDS * sum(self._pieces[:place]) + band * texts))
        data = self._file.read(_HASH_BYTES * count * texts)
        return np.frombuffer(data, dtype=np.uint32).reshape(count, texts)


def _forming(text_of: Callable[[int], str]) -> Callable[[int], str]:
    """The compared form of a number's text, the last few thousand kept."""
    return lru_cache(maxsize=_KEPT_TEXTS)(lambda number: form_of_text(text_of(number))[:_COMPARED_CHARACTERS])


def _buckets(column: _Integers) -> Iterator[list[int]]:
    """The numbers of rows with equal values, where there are several."""
    order = np.argsort(column, kind="stable")
    ends = np.flatnonzero(np.diff(column[order], prepend=column[order[:1]] ^ 1)) if len(order) else order
    for start, end in pairwise([*ends.tolist(), len(order)]):
        if end - start > 1:
            yield order[start:end].tolist()


def _join_alike(bucket: list[int], leaders: MutableSequence[int], formed: Callable[[int], str]) -> None:
    exemplars: list[int] = []
    for number in bucket:
        own = _leader(leaders, number)
        others = [exemplar for exemplar in exemplars if _leader(leaders, exemplar) != own]
        if len(others) < len(exemplars):
            continue  # in one group with an exemplar already
        for exemplar in others:
            if fuzz.ratio(formed(number), formed(exemplar), score_cutoff=LEAST_RATIO):
                leaders[max(own, _leader(leaders, exemplar))] = min(own, _leader(leaders, exemplar))
                break
        else:
            if len(exemplars) < _MOST_EXEMPLARS:
                exemplars.append(number)


def _leader(leaders: MutableSequence[int], number: int) -> int:
    while leaders[number] != number:
        leaders[number] = leaders[leaders[number]]
        number = leaders[number]
    return number
