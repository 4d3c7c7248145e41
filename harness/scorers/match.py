"""Is the expected text there? Exact match, contains, and regular expressions."""

from collections.abc import Mapping
from dataclasses import field
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Literal

import regex

from harness.records import Case, Completion, Score, record
from harness.scorers.patterns import compiled
from harness.serial import shown
from harness.texts.final_answer import boxed, last_line
from harness.texts.normalisation import (
    expected_texts,
    fold,
    normalise,
    normalised_aliases,
    number,
    same,
    storable,
    without_answer_prefix,
)
from harness.texts.numerals import whole_numeral

# A pattern that backtracks for ever must not stop a run; half a second is a thousand times what a
# sane pattern needs for an answer of 10,000 characters.
REGEX_TIMEOUT_S = 0.5

# Scripts written without spaces have no word edges to look for.
_WORD = r"[[\p{L}\p{N}\p{M}_]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]]"


@record
class ExactMatch:
    """The whole answer is the expected text, or one of several, after normalisation.

    Case, width, Unicode composition, spacing, punctuation and emphasis at the ends do not count, and
    numbers are equal when their values are (`1,234` = `1234`, `25%` = `0.25`).
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other wordings and what they mean, e.g. `{NYC: New York}`."""
    ignore_articles: bool = False
    """Whether a leading `a`, `an` or `the` counts for nothing."""
    ignore_answer_prefix: bool = False
    """Whether a leading `Answer:` or `答案：` counts for nothing."""
    take: Literal["whole", "last_line", "boxed"] = "whole"
    r"""What of the answer is compared: all of it, its last line, or what its last `\boxed{}` holds, if there is one."""
    chinese_numerals: bool = False
    """Whether 一百二十 is 120 and 百分之五 is 5 %."""

    measures: ClassVar[tuple[str, ...]] = ("raw_exact", "normalised_exact")

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        if expected_texts(case.expected) is None:
            return f"needs `expected`: a text, a number or a list of them, got {shown(case.expected)}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """1 when what is read of the answer equals any expected text with all that the settings forgive.

        `raw_exact` is 1 when the whole answer equals one byte for byte; `normalised_exact` when it does
        after normalisation alone: no alias, prefix, article or extraction.
        """
        texts = expected_texts(case.expected)
        if texts is None:
            return Score(value=None, reason=self.check_case(case) or "")
        answer = self._taken(completion.text)
        read, normal = self._meaning(answer), normalise(completion.text)
        right = any(self._equal(read, self._meaning(text)) for text in texts)
        return Score(
            value=float(right),
            reason=f"expected {_one_of(texts)}, read {shown(answer.strip())}",
            answer=storable(read),
            measures={
                "raw_exact": float(completion.text in texts),
                "normalised_exact": float(any(same(normal, normalise(text)) for text in texts)),
            },
        )

    def _taken(self, text: str) -> str:
        if self.take == "last_line":
            text = last_line(text)
        elif self.take == "boxed":
            found = boxed(text)
            text = text if found is None else found
        return without_answer_prefix(text) if self.ignore_answer_prefix else text

    def _equal(self, read: str, wanted: str) -> bool:
        if same(read, wanted):
            return True
        value = _number(read) if self.chinese_numerals else None
        return value is not None and value == _number(wanted)

    def _meaning(self, text: str) -> str:
        normal = normalise(text, ignore_articles=self.ignore_articles)
        return normalised_aliases(self.aliases).get(normal, normal)


@record
class Contains:
    """The answer contains what it should and nothing that it must not.

    Without `any` and `all`, the case's `expected` (a text or a list) is what to find, any of it.
    """

    any: tuple[str, ...] = ()
    """At least one of these must occur."""
    all: tuple[str, ...] = ()
    """Every one of these must occur."""
    none: tuple[str, ...] = ()
    """None of these may occur."""
    ignore_case: bool = True
    whole_words: bool = False
    """Whether `cat` must not be found in `concatenate`. Chinese, Japanese and Thai have no word edges."""

    measures: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse texts that every answer contains."""
        for text in (*self.any, *self.all, *self.none):
            if not fold(text):
                raise ValueError(f"{shown(text)} is contained in every answer; write what to look for")

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        if self.any or self.all or (self.none and case.expected is None):
            return None
        texts = expected_texts(case.expected)
        if texts is None:
            return f"needs `any`, `all` or `none`, or `expected` as text, got {shown(case.expected)}"
        return (
            None if all(map(fold, texts)) else "`expected` holds an empty text, which every answer contains"
        )

    def score(self, case: Case, completion: Completion) -> Score:
        """1 when all conditions hold."""
        if (fault := self.check_case(case)) is not None:
            return Score(value=None, reason=fault)
        wanted = self.any if self.any or self.all else expected_texts(case.expected) or ()
        text = fold(completion.text, ignore_case=self.ignore_case)
        found = tuple(item for item in wanted if self._occurs(item, text))
        missing = tuple(item for item in self.all if not self._occurs(item, text))
        forbidden = tuple(item for item in self.none if self._occurs(item, text))
        problems = [
            f"found none of {_listed(wanted)}" if wanted and not found else "",
            f"missing {_listed(missing)}" if missing else "",
            f"must not contain {_listed(forbidden)}" if forbidden else "",
        ]
        reason = "; ".join(filter(None, problems)) or self._praise(found)
        return Score(value=float(not any(problems)), reason=reason)

    def _praise(self, found: tuple[str, ...]) -> str:
        parts = [
            f"found {_listed((*found, *self.all))}" if found or self.all else "",
            f"none of {_listed(self.none)}" if self.none else "",
        ]
        return ", ".join(filter(None, parts))

    def _occurs(self, item: str, text: str) -> bool:
        wanted = fold(item, ignore_case=self.ignore_case)
        if not self.whole_words:
            return wanted in text
        return _whole(wanted).search(text) is not None


@record
class Regex:
    """The answer matches a regular expression (Python's syntax, with the `regex` module's additions)."""

    pattern: str
    mode: Literal["search", "full"] = "search"
    """`search` finds the pattern anywhere; `full` wants the whole answer, spaces around it aside."""
    ignore_case: bool = False

    measures: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse what is not a regular expression, before any model is asked."""
        if not self.pattern:
            raise ValueError("an empty pattern matches every answer; write what to look for")
        try:
            compiled(self.pattern, self.ignore_case)
        except ValueError as error:
            raise ValueError(f"{shown(self.pattern)} is not a regular expression: {error}") from None

    def score(self, case: Case, completion: Completion) -> Score:  # noqa: ARG002 - the pattern says it all
        """1 when the pattern matches; unscored when it backtracks beyond the time limit."""
        pattern = compiled(self.pattern, self.ignore_case)
        find = pattern.search if self.mode == "search" else pattern.fullmatch
        try:
            found = find(completion.text.strip(), timeout=REGEX_TIMEOUT_S)
        except TimeoutError:
            return Score(
                value=None, reason=f"{shown(self.pattern)} took over {REGEX_TIMEOUT_S} s: make it simpler"
            )
        if found is None:
            return Score(value=0.0, reason=f"{shown(self.pattern)} does not match {shown(completion.text)}")
        matched = found.group()
        return Score(
            value=1.0, reason=f"{shown(self.pattern)} matches {shown(matched)}", answer=storable(matched)
        )


def _number(normal: str) -> Fraction | None:
    """The number a normalised text is, in Arabic or Chinese numerals; `007` stays a code."""
    if normal.isascii():
        return number(normal)
    found = whole_numeral(normal)
    return None if found is None else found.share


@lru_cache(maxsize=1024)
def _whole(wanted: str) -> "regex.Pattern[str]":
    """The text, with word edges on the sides where it begins or ends with a letter of a spaced script."""
    edge = regex.compile(_WORD, regex.V1)
    before = rf"(?<!{_WORD})" if edge.match(wanted[0]) else ""
    after = rf"(?!{_WORD})" if edge.match(wanted[-1]) else ""
    return regex.compile(before + regex.escape(wanted) + after, regex.V1)


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(shown(text, 40) for text in texts[:5]) + (" …" if len(texts) > 5 else "")


def _one_of(texts: tuple[str, ...]) -> str:
    return shown(texts[0]) if len(texts) == 1 else f"one of {_listed(texts)}"
