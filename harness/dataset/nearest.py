"""Which training rows ask what is most like a text? TF-IDF over runs of four characters, and of one and two where letters are words.

Chinese, Japanese and Korean texts are short, and share few runs of four characters with others that say nearly the same: with runs of one and
two letters of theirs, planted rows are told from others as well as English ones (`benchmarks/badcases.py`).
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from harness.dataset.near_duplicates import form_of_text

GRAM_CHARACTERS = 4
WIDE_GRAMS = (1, 2)
# From kana on, letters that are syllables or words; the Latin letters of full width are gone when texts are compared.
_WIDE = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x20000, 0x3FFFF))

_BUCKET_BITS = 20
_SAMPLED_FOR_WEIGHTS = 20_000
# What a fifth of the rows share is a template or a stop word, and tells nothing apart; what thousands share tells little, and
# takes most of the time.
_MOST_SHARE = 0.2
_MOST_ROWS = 1_000
_LEAST_FOR_SHARES = 100
_READ_CHARACTERS = 4_000
_BLOCK_CHARACTERS = 500_000
_BLOCK_ASKED = 1_000

_Item = TypeVar("_Item")
_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_BASE = np.uint64(0x9E3779B97F4A7C15)


def nearest_rows(
    asked: Sequence[str], rows: Sequence[str], *, count: int, own: Sequence[int] = ()
) -> tuple[_Integers, _Floats]:
    """The rows most like each text, by index, and how like they are, 0..1, the most alike first: arrays (texts, count).

    100,000 rows of 300 characters and 10,000 texts take about half a minute of a processor, in flat memory. Where fewer rows are like a text at all, the
    rest has similarity 0.

    Args:
        asked: Texts.
        rows: What they are compared with.
        count: How many rows of each.
        own: Indices of rows that are compared with all others, after the texts: their lines follow those of the texts.
    """
    weights = _weights(spread(rows, _SAMPLED_FOR_WEIGHTS), len(rows))
    texts = [*asked, *(rows[index] for index in own)]
    itself = np.concatenate([np.full(len(asked), -1, dtype=np.int64), np.asarray(own, dtype=np.int64)])
    parts = [
        (start, _vectors(texts[start : start + _BLOCK_ASKED], weights))
        for start in range(0, len(texts), _BLOCK_ASKED)
    ]
    indices = np.zeros((len(texts), count), dtype=np.int64)
    similarities = np.zeros((len(texts), count))
    for first, block in _blocks(rows):
        vectors = _vectors(block, weights).T.tocsr()
        for start, part in parts:
            place = slice(start, start + part.shape[0])
            _keep_best(
                (part @ vectors).tocsr(),
                first,
                itself=itself[place],
                indices=indices[place],
                similarities=similarities[place],
            )
    return indices, similarities


def spread(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    """Up to `count` items from the whole sequence."""
    step = max(1, -(-len(items) // count))
    return items[::step]


def _keep_best(
    alike: csr_array, first: int, *, itself: _Integers, indices: _Integers, similarities: _Floats
) -> None:
    """Take what is more alike than the least of the rows kept so far; `first` is the index of the first row compared."""
    lines = np.repeat(np.arange(alike.shape[0]), np.diff(alike.indptr))
    numbers = alike.indices.astype(np.int64) + first
    better = (alike.data > similarities[lines, -1]) & (numbers != itself[lines])
    if not better.any():
        return
    count = indices.shape[1]
    touched = np.unique(lines[better])
    every_line = np.concatenate([np.repeat(touched, count), lines[better]])
    every_number = np.concatenate([indices[touched].ravel(), numbers[better]])
    every_value = np.concatenate([similarities[touched].ravel(), alike.data[better]])
    order = np.lexsort((every_number, -every_value, every_line))
    starts = np.searchsorted(every_line[order], touched)
    best = order[starts[:, None] + np.arange(count)]
    indices[touched], similarities[touched] = every_number[best], every_value[best]


def _weights(texts: Sequence[str], rows: int) -> _Floats:
    """What each bucket of runs counts: its inverse document frequency; nothing for what many of the rows share."""
    found = np.zeros(1 << _BUCKET_BITS)
    for _, block in _blocks(texts):
        found += np.bincount(_counted(block)[1], minlength=len(found))
    weights: _Floats = np.log((1 + len(texts)) / (1 + found)) + 1
    if len(texts) >= _LEAST_FOR_SHARES:
        weights[found > min(_MOST_SHARE, _MOST_ROWS / rows) * len(texts)] = 0.0
    return weights


def _vectors(texts: Sequence[str], weights: _Floats) -> csr_array:
    """A line of length 1 for each text, or 0 where nothing in it tells it from others."""
    lines, buckets, counts = _counted(texts)
    values = (1 + np.log(counts)) * weights[buckets]
    lengths = np.sqrt(np.bincount(lines, values**2, minlength=len(texts)))
    kept = values > 0
    lines, buckets, values = lines[kept], buckets[kept], values[kept]
    starts = np.searchsorted(lines, np.arange(len(texts) + 1))
    whole = (values / lengths[lines]).astype(np.float32)
    return csr_array(
        (whole, buckets.astype(np.int32), starts.astype(np.int32)), shape=(len(texts), len(weights))
    )


def _counted(texts: Sequence[str]) -> tuple[_Integers, _Integers, _Integers]:
    """How often each text has runs of each bucket: text, bucket and count, in the order of the texts."""
    read = [f" {form_of_text(text)[:_READ_CHARACTERS]} " for text in texts]
    codes = np.frombuffer("".join(read).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    owners = np.repeat(np.arange(len(read), dtype=np.uint64), [len(text) for text in read])
    wide = np.zeros(len(codes), dtype=bool)
    for low, high in _WIDE:
        wide |= (codes >= low) & (codes <= high)
    keys = [_keys(codes, owners, GRAM_CHARACTERS)]
    keys += [_keys(codes, owners, size, within=wide) for size in WIDE_GRAMS if wide.any()]
    found, counts = np.unique(np.concatenate(keys), return_counts=True)
    shift, mask = np.uint64(_BUCKET_BITS), np.uint64((1 << _BUCKET_BITS) - 1)
    return (found >> shift).astype(np.int64), (found & mask).astype(np.int64), counts.astype(np.int64)


def _keys(
    codes: npt.NDArray[np.uint32],
    owners: npt.NDArray[np.uint64],
    size: int,
    *,
    within: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.uint64]:
    """Text and bucket, in one number, of every run of `size` characters; of those alone that lie `within`."""
    count = max(0, len(codes) - size + 1)
    hashes = np.full(count, np.uint64(size), dtype=np.uint64)
    whole = owners[:count] == owners[len(owners) - count :]
    for place in range(size):
        hashes = hashes * _BASE + codes[place : place + count]
        if within is not None:
            whole &= within[place : place + count]
    hashes, owners = hashes[whole], owners[:count][whole]
    hashes = ((hashes ^ (hashes >> np.uint64(32))) * _BASE) >> (np.uint64(64) - np.uint64(_BUCKET_BITS))
    keys: npt.NDArray[np.uint64] = owners << np.uint64(_BUCKET_BITS) | hashes
    return keys


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
