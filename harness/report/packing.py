"""Data of a page squeezed into it: JSON as deflate in base64, the cases' texts in blocks, all of it within a size.

Nothing in base64 can end the element it stands in. Blocks let the page show its first rows before it has read every
answer, and read an answer without keeping all of them. Within a block, objects of one kind stand in columns, like
with like: that packs a sixth smaller, and faster. What would make the page too large is cut, the longest texts first,
and says so where it was cut.
"""

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from harness.records import Json

Shorten = Callable[[str], str]
"""Gives a text as the page holds it: whole, or cut with a word on what is missing."""
Build = Callable[[Shorten], Iterable[Json]]
"""Makes the cases, each text passed through what it is given."""

# Deflate looks back 32 kB, so larger blocks are not smaller in sum; the page reads one in a few milliseconds.
BLOCK_CHARACTERS = 300_000
CASE_CHARACTERS = 300
"""What a case takes beside its texts, about."""
MOST_KINDS = 8
"""With more kinds of objects than this in a list, columns save nothing: it stays as it is."""
# zlib's: its default of 6 takes half as long again for one part in a hundred.
_LEVEL = 5
_SURROGATES = re.compile("[\ud800-\udfff]")


def packed(value: Json) -> str:
    """Plain data as base64 of its deflated JSON; the same value always gives the same text."""
    return _deflated(_json(value))


def packed_blocks(build: Build, shorten: Shorten) -> Iterator[tuple[int, str]]:
    """Cases in their order in blocks of about equal size: how many each holds, and the block, in columns."""
    held: list[Json] = []
    size = 0

    def counted(text: str) -> str:
        nonlocal size
        short = shorten(text)
        size += len(short)
        return short

    for case in build(counted):
        held.append(case)
        size += CASE_CHARACTERS
        if size >= BLOCK_CHARACTERS:
            yield len(held), packed(in_columns(held))
            held, size = [], 0
    if held:
        yield len(held), packed(in_columns(held))


def in_columns(items: Sequence[Json]) -> Json:
    """A list as plain data that says the same by columns; what has none stays as it is.

    Objects become `{"keys": [[key, ...], ...], "of": [[column, ...], ...]}`, an entry in both for each kind of object, a
    kind being its keys; where there are several, `"which"` has every object's. Lists become `{"sizes": [...], "of": all
    their items}`. Columns and items are in columns themselves. The page's script has the way back.
    """
    objects = [item for item in items if isinstance(item, dict)]
    if objects and len(objects) == len(items):
        return _objects_in_columns(objects)
    lists = [item for item in items if isinstance(item, list)]
    if lists and len(lists) == len(items):
        whole = [part for item in lists for part in item]
        return {"sizes": [len(item) for item in lists], "of": in_columns(whole)}
    return list(items)


def _objects_in_columns(objects: Sequence[Mapping[str, Json]]) -> Json:
    kinds: dict[tuple[str, ...], list[Mapping[str, Json]]] = {}
    for item in objects:
        kinds.setdefault(tuple(item), []).append(item)
    if len(kinds) > MOST_KINDS:
        return list(objects)
    columns: dict[str, Json] = {
        "keys": [list(keys) for keys in kinds],
        # Objects without a key have a column too: it says how many they are.
        "of": [
            [in_columns([item[key] for item in same]) for key in keys] or [[0] * len(same)]
            for keys, same in kinds.items()
        ],
    }
    if len(kinds) > 1:
        numbers = {keys: number for number, keys in enumerate(kinds)}
        columns["which"] = [numbers[tuple(item)] for item in objects]
    return columns


def packed_within(
    build: Build, *, texts: Sequence[str], size: int, said: Callable[[str], str] = str
) -> tuple[tuple[int, str], ...]:
    """The blocks of what `build` gives, its texts cut as far as is needed to stay within `size` characters.

    Args:
        build: Makes the cases.
        texts: Those of the texts that may be long.
        size: The most characters all blocks may have together.
        said: Gives a sentence in the language of the page.
    """
    lengths = [len(text) for text in texts]
    most = None
    if sum(lengths) > size:  # a guess that mostly holds saves packing everything twice
        room = int(0.85 * size * _characters_per_packed(texts))
        most = common_limit(lengths, room) if sum(lengths) > room else None
    while True:
        blocks = tuple(packed_blocks(build, shortening(most, said)))
        taken = sum(len(block) for _, block in blocks)
        if taken <= size or most == 0:
            return blocks
        held = sum(min(length, most) if most is not None else length for length in lengths)
        most = common_limit(lengths, int(held * min(0.9, 0.95 * size / taken)))


def _characters_per_packed(texts: Sequence[str]) -> float:
    """How many characters of these texts become one of base64, by some of them."""
    some = "\n".join(text[:10_000] for text in texts[:: 1 + len(texts) // 200])
    return len(some) / len(packed(some))


def shortening(most: int | None, said: Callable[[str], str] = str) -> Shorten:
    """What cuts a text after `most` characters, and says so in the words of `said`; None cuts nothing."""

    def shorten(text: str) -> str:
        if most is None or len(text) <= most:
            return text
        note = f"[cut here to keep the page small: {len(text):,} characters in all, the rest is in results.jsonl]"
        return f"{text[:most]}\n{said(note)}"

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
    squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = squeeze.compress(text.encode("utf-8")) + squeeze.flush()
    return base64.b64encode(data).decode("ascii")
