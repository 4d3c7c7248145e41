"""Names that look like patterns, are endless, or are made of the catalogue's own words: kept, and in bounded time."""

import re
import time

import polib
import pytest
from chinese import CHINESE

from harness.report.languages.known import HERE
from harness.report.languages.patterns import Grammar
from harness.report.languages.speech import LIMIT, Sentences

REASON = "{} fell by 3 points on 60 cases (likely -10 to +3): chance alone could explain that"
SENTENCES = [
    entry.msgid
    for entry in polib.pofile(HERE / "zh/sentences.po")
    if not entry.msgctxt and "{" in entry.msgid
]
NAMES = [
    "{suite:said}",
    "{first:said}; {second:said}",
    "a (likely +1 to +2): more than chance explains; b",
    "it is not clear whether a improved and it is not clear whether b got worse",
    ".*(.+)+$\\1[^",
    "'a' and \"b\": c, d; e. f or g",
    "a: b: c: d: e: f: g",
    "on 60 cases (likely -10 to +3)",
    "套件：路由；等 5 个",
    "\U000f0000\U000f0001",
    "<script>alert(1)</script>",
    "a\nb\tc\u2028d",
]
SECONDS = 1.0
"""Of the processor, that a sentence may take; an ordinary one takes less than a thousandth of it."""


@pytest.mark.parametrize("name", NAMES)
def test_a_known_name_stays_whole_in_its_sentence(name: str) -> None:
    said = CHINESE.keeping([name]).said(REASON.format(name))
    assert name in said
    assert "在 60 个用例上下降 3 分" in said or said == REASON.format(name)
    if "\U000f0000" not in name:
        assert said != REASON.format(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_alone_is_not_said_where_nobody_asks(name: str) -> None:
    assert CHINESE.keeping([name]).said(name) == name


@pytest.mark.parametrize("times", [10, 100, 1_000])
@pytest.mark.parametrize(
    "part", ["a: ", "a; ", "a and ", "x, ", "(", ") (", "1 of 2 ", ", read 'a'", " is ", "9" * 9, "in the "]
)
def test_what_repeats_the_words_of_patterns_ends_soon(part: str, times: int) -> None:
    before = time.process_time()
    CHINESE.said((part * times)[:LIMIT])
    CHINESE.said(REASON.format((part * times)[: LIMIT - len(REASON)]))
    assert time.process_time() - before < 2 * SECONDS


def test_each_pattern_with_gaps_full_of_words_ends_soon() -> None:
    filling = "a: b; c (d, e and f) is 9 of 9 in g. "
    worst = 0.0
    for form in SENTENCES[::8]:
        text = re.sub(r"\{\w+(?::\w+)?\}", filling * 4, form)[:LIMIT]
        before = time.process_time()
        CHINESE.said(text)
        worst = max(worst, time.process_time() - before)
    assert worst < SECONDS


@pytest.mark.parametrize("name", ["a" * 100_000, "a: " * 40_000, "'" * 100_000, "9," * 50_000])
def test_an_endless_name_leaves_its_sentence_as_it_is_at_once(name: str) -> None:
    text = REASON.format(name)
    before = time.process_time()
    assert CHINESE.said(text) == text
    assert CHINESE.keeping([name]).said(text) == text
    assert time.process_time() - before < SECONDS / 10


def test_thousands_of_names_are_kept_in_bounded_time() -> None:
    names = [f"suite {number}: a and b" for number in range(2_000)]
    before = time.process_time()
    kept = CHINESE.keeping(names)
    assert kept.said(REASON.format(names[1_000])).startswith(names[1_000])
    assert time.process_time() - before < 2 * SECONDS


def test_a_sentence_that_says_itself_ends() -> None:
    looped = Sentences(
        {"{a:said}, {b:said}": "{b}，{a}", "well {a:said}": "好{a}"},
        Grammar(amounts={}, joints={}, full_stop="。"),
    )
    assert looped.said("well " * 300) == "well " * 300
    assert looped.said("a, " * 600) == "a, " * 600
