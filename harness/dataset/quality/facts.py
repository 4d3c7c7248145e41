"""Which facts does a text state, and does another text tell them? Numbers (dates among them), names and quotations, however spelled."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise

from harness.records import record
from harness.texts import fold

# Counts up to this are told in other words (a pair, the first, both) and number lists and steps.
SMALL_NUMBER = 12
_LEAST_STEM = 3

# Each begins with a set of characters, which `re` leaps to; what stands before is looked at from there. Digits: ASCII, Arabic, Persian, Hindi.
_DIGIT = "[0-9٠-٩۰-۹०-९]"
_NUMBER = re.compile(
    rf"{_DIGIT}(?:{_DIGIT}{{0,2}}(?:[.,'\u00a0\u202f ]{_DIGIT}{{3}})+(?!{_DIGIT})(?:[.,]{_DIGIT}+)?|{_DIGIT}*(?:[.,]{_DIGIT}+)?)"
)
_LIST_MARK = re.compile(r"^[ \t]*(?:[-*•#]+[ \t]*)?(?:[Ss]tep )?\d{1,3}[.)、:](?!\d)", re.MULTILINE)
# A capitalised word in the middle of a sentence, where it is one for its own sake.
_NAME = re.compile(r"[A-ZÀ-ÖØ-ÞА-ЯЁΑ-Ω](?<=[a-zà-öø-ÿа-яёα-ω,;0-9] .)[\w-]*\w")
_QUOTATION = re.compile(
    r"[“\"]([^“”\"\n]{4,120})[”\"]|「([^「」\n]{2,60})」|『([^『』\n]{2,60})』|《([^《》\n]{2,60})》|«([^«»\n]{4,120})»"
)
_NOT_WORDS = re.compile(r"[\W_]+")
_POSSESSIVE = re.compile(r"['’]s$|s$")

_UNITS = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TENS_OF = {word: 10 * number for number, word in enumerate(_TENS, start=2)}
_WORDS = {
    **{word: number for number, word in enumerate(_UNITS, start=1)},
    **_TENS_OF,
    "dozen": 12,
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "half": 50,
    "quarter": 25,
}
_LETTERS = re.compile("[a-z]+")
_HAN_DIGITS = {character: number for number, character in enumerate("零一二三四五六七八九")} | {
    "两": 2,
    "〇": 0,
}
_HAN_POWERS = {"十": 10, "百": 100, "千": 1000}
_HAN_NUMBER = re.compile("[零〇一二两三四五六七八九十百千]+万?[零一二两三四五六七八九十百千]*")


@record
class Fact:
    """One thing a text states: as it stands there, and the spellings it is known by in compared form."""

    kind: str
    shown: str
    spellings: tuple[str, ...]


def facts_of(text: str) -> Iterator[Fact]:
    """The facts of a text, each kind in the order it is stated, and each spelling once."""
    plain = text if text.isascii() else fold(text, ignore_case=False)
    for written in dict.fromkeys(_NUMBER.findall(_LIST_MARK.sub("", plain))):
        readings = number_readings(written)
        if not all(reading.isdigit() and int(reading[:4]) <= SMALL_NUMBER for reading in readings):
            yield Fact(kind="number", shown=written, spellings=readings)
    for word in dict.fromkeys(_NAME.findall(plain)):
        if not word.isupper():  # abbreviations, keywords and emphasis
            yield Fact(kind="name", shown=word, spellings=_stems(word))
    for found in _QUOTATION.finditer(text):
        quoted = next(group for group in found.groups() if group is not None)
        if words := _words(quoted):
            yield Fact(kind="quotation", shown=quoted, spellings=(words,))


def number_readings(written: str) -> tuple[str, ...]:
    """What a number may mean: 1,000 is a thousand or one; without leading zeros, and trailing ones after the point."""
    if written.isdigit():
        return (written.lstrip("0") or "0",)
    digits = re.sub(r"[.,'\u00a0\u202f ]", "", written)
    parts = re.split("[.,]", written)
    readings = []
    if len(parts) == 1 or all(len(part) == 3 for part in re.split(r"[.,'\u00a0\u202f ]", written)[1:]):
        readings.append(digits.lstrip("0") or "0")
    if len(parts) > 1 and parts[-1].isdigit():
        whole = re.sub(r"\D", "", "".join(parts[:-1])).lstrip("0") or "0"
        fraction = parts[-1].rstrip("0")
        readings.append(f"{whole}.{fraction}" if fraction else whole)
    return tuple(readings)


class Source:
    """A text that may tell facts. It is brought into each compared form only when a fact asks for it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def tells(self, fact: Fact) -> bool:
        """Whether the fact stands there, in any spelling."""
        told = _TELLING[fact.kind]
        return any(told(self, spelling) for spelling in fact.spellings)

    def has_number(self, reading: str) -> bool:
        """Whether a number is there in digits or words."""
        return reading in self._numbers or reading in self._number_words

    def has_name(self, stem: str) -> bool:
        """Whether a name's stem is there, in any case."""
        return stem in self._folded

    def has_quotation(self, words: str) -> bool:
        """Whether the words are there in this order, whatever stands between."""
        return words in self._words

    @cached_property
    def _folded(self) -> str:
        return self._text.lower() if self._text.isascii() else fold(self._text)

    @cached_property
    def _words(self) -> str:
        return _words(self._text)

    @cached_property
    def _numbers(self) -> frozenset[str]:
        return frozenset(
            reading for written in _NUMBER.findall(self._folded) for reading in number_readings(written)
        )

    @cached_property
    def _number_words(self) -> frozenset[str]:
        words = _LETTERS.findall(self._folded)
        english = (
            ()
            if _WORDS.keys().isdisjoint(words)
            else (
                _TENS_OF.get(before, 0) + _WORDS[word]
                for before, word in pairwise(["", *words])
                if word in _WORDS
            )
        )
        han = () if self._folded.isascii() else map(_han_number, _HAN_NUMBER.findall(self._folded))
        return frozenset(map(str, (*english, *han)))


_TELLING: Mapping[str, Callable[[Source, str], bool]] = {
    "number": Source.has_number,
    "name": Source.has_name,
    "quotation": Source.has_quotation,
}


def _han_number(written: str) -> int:
    total = section = digit = 0
    for character in written:
        if character in _HAN_POWERS:
            section += (digit or 1) * _HAN_POWERS[character]
            digit = 0
        elif character == "万":
            total, section, digit = (section + digit) * 10_000, 0, 0
        else:
            digit = _HAN_DIGITS[character]
    return total + section + digit


def _stems(word: str) -> tuple[str, ...]:
    folded = word.lower() if word.isascii() else fold(word)
    stem = _POSSESSIVE.sub("", folded)
    return (folded, stem) if stem != folded and len(stem) >= _LEAST_STEM else (folded,)


def _words(text: str) -> str:
    return _NOT_WORDS.sub("", text.lower() if text.isascii() else fold(text))
