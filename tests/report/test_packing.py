"""Data squeezed into a page: nothing is lost, nothing breaks out, and too much is cut where it is longest."""

import random
import string
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_payload import from_columns, unpacked

from harness.records import Json
from harness.report.packing import (
    BLOCK_CHARACTERS,
    Shorten,
    common_limit,
    in_columns,
    packed,
    packed_blocks,
    packed_within,
    shortening,
)


def noise(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(string.ascii_letters, k=length))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(st.characters()), lambda part: st.lists(part, max_size=4)
    )
)
def test_what_is_packed_comes_out_the_same_lone_surrogates_too(value: Json) -> None:
    assert unpacked(packed(value)) == value


def test_numbers_that_are_not_json_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        packed([float("nan")])


def test_blocks_keep_the_order_and_hold_about_as_many_characters() -> None:
    said, build = texts(*[BLOCK_CHARACTERS // 3] * 7)
    blocks = list(packed_blocks(build, shortening(None)))
    assert [count for count, _ in blocks] == [3, 3, 1]
    assert shown(blocks) == said


def test_cases_without_texts_fill_blocks_too() -> None:
    blocks = list(packed_blocks(lambda _: ({} for _ in range(3000)), shortening(None)))
    assert [count for count, _ in blocks] == [1000, 1000, 1000]


CELLS = st.none() | st.integers() | st.text()
TREES = st.recursive(
    CELLS,
    lambda part: (
        st.lists(part, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "__proto__", "of", "sizes"]), part)
    ),
)


@given(st.lists(TREES, max_size=6) | st.lists(st.fixed_dictionaries({"a": TREES, "b": TREES}), max_size=6))
def test_a_list_comes_back_from_its_columns(items: list[Json]) -> None:
    assert from_columns(in_columns(items)) == items


def test_objects_of_two_kinds_stand_in_columns_each() -> None:
    rows: list[Json] = [{"text": "a", "n": 1}, {"failure": "timeout"}, {"text": "b", "n": 2}, {}]
    assert in_columns(rows) == {
        "keys": [["text", "n"], ["failure"], []],
        "of": [[["a", "b"], [1, 2]], [["timeout"]], [[0]]],
        "which": [0, 1, 0, 2],
    }
    assert from_columns(in_columns(rows)) == rows


def texts(*lengths: int) -> tuple[list[str], "Any"]:
    said = [noise(length, seed) for seed, length in enumerate(lengths)]

    def build(shorten: Shorten) -> Iterator[Json]:
        return ({"text": shorten(text)} for text in said)

    return said, build


def shown(blocks: Iterable[tuple[int, str]]) -> list[str]:
    return [case["text"] for _, block in blocks for case in from_columns(unpacked(block))]


def test_nothing_is_cut_that_has_room() -> None:
    said, build = texts(10, 100_000, 50)
    assert shown(packed_within(build, texts=said, size=150_000)) == said


def test_what_has_no_room_is_cut_where_it_is_longest_and_says_so() -> None:
    said, build = texts(10, 400_000, 2_000, 300_000)
    blocks = packed_within(build, texts=said, size=200_000)
    first, second, third, fourth = shown(blocks)
    assert 150_000 < sum(len(block) for _, block in blocks) <= 200_000
    assert (first, third) == (said[0], said[2])
    assert second.startswith(said[1][:50_000])
    assert second.endswith(
        "[cut here to keep the page small: 400,000 characters in all, the rest is in results.jsonl]"
    )
    assert abs(len(second) - len(fourth)) < 10


def test_a_size_that_nothing_fits_still_gives_every_case() -> None:
    said, build = texts(1000, 1000, 1000)
    assert len(shown(packed_within(build, texts=said, size=100))) == 3


@given(st.lists(st.integers(0, 1000)), st.integers(0, 20_000))
def test_a_common_limit_uses_the_room_and_no_more(lengths: list[int], room: int) -> None:
    limit = common_limit(lengths, room)
    assert sum(min(length, limit) for length in lengths) <= room
    if sum(lengths) > room:
        assert sum(min(length, limit + 1) for length in lengths) > room
    else:
        assert limit >= max(lengths, default=0)


def test_a_text_of_exactly_the_limit_is_whole() -> None:
    assert shortening(5)("12345") == "12345"
    assert shortening(None)("x" * 10_000) == "x" * 10_000
