"""Data of a page squeezed into it: JSON as deflate in base64, the cases' texts in blocks, all of it within a size.

Nothing in base64 can end the element it stands in. Blocks let the page show its first rows before it has read every
answer, and read an answer without keeping all of them. What would make the page too large is cut, the longest texts
first, and says so where it was cut.
"""

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from harness.records import Json

Shorten = Callable[[str], str]
"""Gives a text as the page holds it: whole, or cut with a word on what is missing."""

# Deflate looks back 32 kB, so larger blocks are not smaller in sum; the page reads one in a few milliseconds.
BLOCK_CHARACTERS = 300_000
_SURROGATES = re.compile("[\ud800-\udfff]")


def packed(value: Json) -> str:
    """Plain data as base64 of its deflated JSON; the same value always gives the same text."""
    return _deflated(_json(value))


def packed_blocks(cases: Iterable[Json]) -> Iterator[tuple[int, str]]:
    """Cases in their order in blocks of about equal size: how many each holds, and the block."""
    parts: list[str] = []
    size = 0
    for case in cases:
        parts.append(_json(case))
        size += len(parts[-1])
        if size >= BLOCK_CHARACTERS:
            yield len(parts), _deflated(f"[{','.join(parts)}]")
            parts, size = [], 0
    if parts:
        yield len(parts), _deflated(f"[{','.join(parts)}]")


def packed_within(
    build: Callable[[Shorten], Iterable[Json]], *, texts: Sequence[str], size: int
) -> tuple[tuple[int, str], ...]:
    """The blocks of what `build` gives, its texts cut as far as is needed to stay within `size` characters.

    Args:
        build: Makes the cases, each text passed through what it is given.
        texts: Those of the texts that may be long.
        size: The most characters all blocks may have together.
    """
    lengths = [len(text) for text in texts]
    most = None
    if sum(lengths) > size:  # a guess that mostly holds saves packing everything twice
        room = int(0.85 * size * _characters_per_packed(texts))
        most = common_limit(lengths, room) if sum(lengths) > room else None
    while True:
        blocks = tuple(packed_blocks(build(shortening(most))))
        taken = sum(len(block) for _, block in blocks)
        if taken <= size or most == 0:
            return blocks
        held = sum(min(length, most) if most is not None else length for length in lengths)
        most = common_limit(lengths, int(held * min(0.9, 0.95 * size / taken)))


def _characters_per_packed(texts: Sequence[str]) -> float:
    """How many characters of these texts become one of base64, by some of them."""
    some = "\n".join(text[:10_000] for text in texts[:: 1 + len(texts) // 200])
    return len(some) / len(packed(some))


def shortening(most: int | None) -> Shorten:
    """What cuts a text after `most` characters; None cuts nothing."""

    def shorten(text: str) -> str:
        if most is None or len(text) <= most:
            return text
        return f"{text[:most]}\n[cut here to keep the page small: {len(text):,} characters in all, the rest is in results.jsonl]"

    return shorten


def common_limit(lengths: Sequence[int], room: int) -> int:
    """The largest limit under which texts of these lengths, each cut there, take at most `room` characters."""
    left, limit = room, 0
    ordered = sorted(lengths)
    for index, length in enumerate(ordered):
        share = left // (len(ordered) - index)
        if length > share:
            return share
        left -= length
        limit = length
    return limit


def _json(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate is not UTF-8; as an escape it means the same, for it stands inside a string.
    return _SURROGATES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _deflated(text: str) -> str:
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = squeeze.compress(text.encode("utf-8")) + squeeze.flush()
    return base64.b64encode(data).decode("ascii")
