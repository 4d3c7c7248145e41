"""What of a text was copied from many others? Passages in common with one of them, and the share of its word 8-grams.

Passages are found by fingerprints: hashes of 26 characters, of which every window of 25 keeps its least (winnowing: Schleimer,
Wilkerson, Aiken 2003). Two texts that share 50 characters so share a fingerprint, whatever stands around them. The texts themselves
are kept packed, and the few that a fingerprint points to are unpacked to see how far the passage goes.
"""

import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from harness.records import record
from harness.texts.normalisation import fold
from harness.texts.run_hashing import run_hashes
from harness.texts.word_overlap import words_of

# The shortest passage that is surely found: the characters of a fingerprint, and the window of which one is kept.
FINGERPRINT_CHARACTERS = 26
WINDOW = 25
SUREST_CHARACTERS = FINGERPRINT_CHARACTERS + WINDOW - 1
GRAM_WORDS = 8
# A line of dashes is nobody's.
_LEAST_DIFFERENT_CHARACTERS = 8
# What is looked at of an answer.
READ_CHARACTERS = 100_000
# Characters that are packed together: small enough to be unpacked for one passage.
_BLOCK_CHARACTERS = 2**16
_END = "\0"

_Integers = npt.NDArray[np.uint32]
_FACTORS: _Integers = np.random.Generator(np.random.PCG64(11)).integers(0, 2**31, FINGERPRINT_CHARACTERS, dtype=np.uint32) * 2 + 1  # fmt: skip


@record
class Copied:
    """What a text has in common with others: its longest passage, in which of them that stands, and the share of copied 8-grams.

    `characters` are those of the passage that count: neither a form of many texts nor known beside.
    """

    passage: str = ""
    characters: int = 0
    name: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class CopyIndex:
    """Many texts, each once, in a form that copies from them are found by; `index_of` makes it."""

    fingerprints: _Integers
    places: _Integers
    """Where each fingerprint stands, in characters from the first text's first."""
    grams: _Integers
    starts: Sequence[int]
    """Where each text begins."""
    names: Sequence[int]
    """What the caller calls each text: the line it stands on."""
    block_starts: Sequence[int]
    form_texts: int
    """What stands in so many of the texts is a form they keep to, such as a greeting: it is copied from none of them."""
    blocks: list[bytes] = field(repr=False)

    def copied(self, text: str, *, beside: str = "") -> Copied:
        """What a text has in common with one of these; what also stands in `beside` does not count."""
        form, known = _form(text[:READ_CHARACTERS]), _form(beside)
        share = self._share(form, known)
        longest = Copied(share=share)
        counts = self._counting(form, known)
        offsets = _fingerprints(form)[1]
        hashes = _hashes(form)[offsets]
        first = np.searchsorted(self.fingerprints, hashes, side="left")
        last = np.searchsorted(self.fingerprints, hashes, side="right")
        passed = -1
        for start, stop, offset in zip(first.tolist(), last.tolist(), offsets.tolist(), strict=True):
            # A passage through this place that is longer than the longest so far also goes through a later one.
            if offset < passed or not counts[offset : offset + FINGERPRINT_CHARACTERS].any():
                continue
            for place in self.places[start:stop][: self.form_texts].tolist():
                passage, begin = self._passage_at(form, offset, place)
                characters = int(counts[begin : begin + len(passage)].sum())
                if characters > longest.characters and len(set(passage)) >= _LEAST_DIFFERENT_CHARACTERS:
                    name = self.names[bisect_right(self.starts, place) - 1]
                    longest = Copied(passage=passage, characters=characters, name=name, share=share)
                    passed = begin + len(passage) - FINGERPRINT_CHARACTERS
        return longest

    def _counting(self, form: str, known: str) -> npt.NDArray[np.bool_]:
        """Which characters of a form count: those of no run that many texts have, or that is known beside."""
        hashes = _hashes(form)
        first = np.searchsorted(self.fingerprints, hashes, side="left")
        last = np.searchsorted(self.fingerprints, hashes, side="right")
        free = np.flatnonzero((last - first >= self.form_texts) | np.isin(hashes, _hashes(known)))
        edges = np.zeros(len(form) + 1, dtype=np.int64)
        np.add.at(edges, free, 1)
        np.add.at(edges, free + FINGERPRINT_CHARACTERS, -1)
        return np.asarray(np.cumsum(edges[:-1]) == 0)

    def _passage_at(self, form: str, offset: int, place: int) -> tuple[str, int]:
        """The passage around a place of a form that equals the one around a place of the texts, and where it begins."""
        number = bisect_right(self.block_starts, place) - 1
        block = zlib.decompress(self.blocks[number]).decode("utf-8")
        place -= self.block_starts[number]
        before = 0
        while before < min(offset, place) and form[offset - before - 1] == block[place - before - 1] != _END:
            before += 1
        after = 0
        while offset + after < len(form) and place + after < len(block) and form[offset + after] == block[place + after] != _END:  # fmt: skip
            after += 1
        return form[offset - before : offset + after], offset - before

    def _share(self, form: str, known: str) -> float:
        own = np.setdiff1d(_grams(form), _grams(known))
        if not len(own) or not len(self.grams):
            return 0.0
        nearest = np.minimum(np.searchsorted(self.grams, own), len(self.grams) - 1)
        return float((self.grams[nearest] == own).mean())


def index_of(texts: Iterable[tuple[int, str]], *, form_texts: int) -> CopyIndex:
    """The index of texts, each with the number it is called by; a text that comes again is left out.

    Args:
        texts: Number and text.
        form_texts: How many texts make what they share a form.
    """
    starts, names, block_starts = array("L"), array("L"), array("L")
    hashes: list[_Integers] = []
    places: list[_Integers] = []
    grams: list[_Integers] = []
    blocks: list[bytes] = []
    length = 0
    for block in _blocks(texts):
        block_starts.append(length)
        # Hashed together, which is many times as fast: what goes across the sign between two texts is found by nobody.
        joined = "".join(f"{form}{_END}" for _, form in block)
        found, offsets = _fingerprints(joined)
        hashes.append(found)
        places.append(offsets + np.uint32(length))
        grams.append(_grams(joined))
        blocks.append(zlib.compress(joined.encode("utf-8"), level=1))
        for name, form in block:
            starts.append(length)
            names.append(name)
            length += len(form) + len(_END)
    every, where = _joined(hashes), _joined(places)
    order = np.argsort(every, kind="stable")
    own, counts = np.unique(_joined(grams), return_counts=True)
    return CopyIndex(
        fingerprints=every[order],
        places=where[order],
        grams=own[counts < form_texts],
        starts=starts,
        names=names,
        block_starts=block_starts,
        form_texts=form_texts,
        blocks=blocks,
    )


def _blocks(texts: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """The forms of texts, each once, so many together as are packed together."""
    seen: set[int] = set()
    block: list[tuple[int, str]] = []
    size = 0
    for name, text in texts:
        form = _form(text)
        if (key := hash(form)) in seen or not form:
            continue
        seen.add(key)
        block.append((name, form))
        size += len(form)
        if size >= _BLOCK_CHARACTERS:
            yield block
            block, size = [], 0
    if block:
        yield block


def _form(text: str) -> str:
    """What is compared: without case, form variants, runs of white space, and the sign that ends a text."""
    return fold(text.encode("utf-8", "replace").decode("utf-8").replace(_END, " "))


def _fingerprints(form: str) -> tuple[_Integers, _Integers]:
    """The hashes that are kept of a form, and where they stand in it."""
    hashes = _hashes(form)
    if not len(hashes):
        return hashes, hashes
    windows = np.lib.stride_tricks.sliding_window_view(hashes, min(WINDOW, len(hashes)))
    kept = np.unique(windows.argmin(axis=1) + np.arange(len(windows)))
    return hashes[kept], kept.astype(np.uint32)


def _hashes(form: str) -> _Integers:
    return run_hashes(np.frombuffer(form.encode("utf-32-le"), dtype=np.uint32), _FACTORS)


def _grams(form: str) -> _Integers:
    words = np.fromiter((zlib.crc32(word.encode("utf-8")) for word in words_of(form)), dtype=np.uint32)
    return run_hashes(words, _FACTORS[:GRAM_WORDS])


def _joined(parts: list[_Integers]) -> _Integers:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint32)
