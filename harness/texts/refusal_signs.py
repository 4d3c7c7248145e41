"""What in the beginning of an answer speaks for or against a refusal: the signs the classifier weighs.

Training and reading call the same functions, so that a sign means the same in both.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from harness.records import record
from harness.texts.normalisation import fold
from harness.texts.refusal_patterns import (
    CHINESE_CANNOT,
    CHINESE_DECLINES,
    CHINESE_HELPS_ELSEWHERE,
    CHINESE_REFUTES,
    ENGLISH_CANNOT,
    ENGLISH_CONTRAST,
    ENGLISH_COUNSELS,
    ENGLISH_DECLINES,
    ENGLISH_DISCLAIMED,
    ENGLISH_IDIOMS,
    ENGLISH_REFERS,
    ENGLISH_REFUTES,
    ENGLISH_SERMON,
    Shape,
)

# A refusal announces itself; what follows is explanation and may be anything.
HEAD_CHARACTERS = 420
HEAD_WORDS = 60
HEAD_HANZI = 80
_PATTERN_SENTENCES = 2
# Bytes, because three to a hanzi make a Chinese and an English sentence about equally long.
LINE_BYTES = 80
PARAGRAPH_BYTES = 200
BRIEF = "brief"
"""The mark of an answer of at most a paragraph. Training moves the line between declining and not by it."""

_SENTENCE = re.compile(r"[^.!?。\n]*(?:[.!?。]+|\n|$)\s*")
# Somebody else's words.
_QUOTATION = re.compile(
    r"\"[^\"]{1,300}\"|(?<!\w)'[^']{1,300}'(?!\w)|「[^」]{1,300}」|『[^』]{1,300}』|《[^》]{1,60}》"
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|\d+|[.!?:…]")
_HANZI = re.compile(r"[㐀-鿿]")
_HANZI_RUN = re.compile(r"[㐀-鿿,。!?:;…]+")


@record
class Head:
    """The beginning of an answer, folded and without quotations, and what the patterns find in it."""

    text: str
    marks: frozenset[str]
    """Names of what the patterns found, such as `declines`, `idiom`, `disclaims`."""
    evidence: str = ""
    """The words a pattern of declining, else of inability, else of contradiction, found."""


def read_head(text: str) -> Head:
    """The beginning of an answer and its marks."""
    sentences = _sentences(text)
    whole = " ".join(sentences)
    opening = " ".join(sentences[:_PATTERN_SENTENCES])
    marks: set[str] = set()
    evidence = ""
    if _HANZI.search(opening):
        evidence = _chinese_marks(opening, marks)
    evidence = _english_marks(opening, marks) or evidence
    if marks >= {"counsels", "declines"} and ENGLISH_REFERS.search(whole):
        marks.add("consoles")
    if "declines" not in marks and ENGLISH_SERMON.search(opening):
        marks.add("sermon")
    if evidence and evidence not in sentences[0]:
        marks.add("later")
    marks.update(_shape(text, plain=not marks))
    return Head(text=whole, marks=frozenset(marks), evidence=evidence)


def signs(head: Head) -> set[str]:
    """All signs: `#marks`, word n-grams of the first 60 words, n-grams of the first 80 hanzi."""
    found = {f"#{mark}" for mark in head.marks}
    words = ["^", *("0" if word.isdigit() else word for word in _WORD.findall(head.text)[:HEAD_WORDS])]
    found.update(word for word in words if word[0].isalnum())
    found.update(map(" ".join, pairwise(words)))
    found.update(map(" ".join, zip(words, words[1:], words[2:], strict=False)))
    if _HANZI.search(head.text):
        line = "^" + "".join(_HANZI_RUN.findall(head.text))[:HEAD_HANZI]
        found.update(line)
        found.update(map("".join, pairwise(line)))
        found.update(map("".join, zip(line, line[1:], line[2:], strict=False)))
        found.update(map("".join, zip(line, line[1:], line[2:], line[3:], strict=False)))
    return found


def _sentences(text: str) -> list[str]:
    start = text.lstrip()[: 2 * HEAD_CHARACTERS]
    lines = "\n".join(fold(line) for line in start.splitlines() if line.strip())[:HEAD_CHARACTERS]
    unquoted = _QUOTATION.sub("…", lines)
    return [found.group().strip() for found in _SENTENCE.finditer(unquoted) if found.group().strip()]


def _shape(text: str, *, plain: bool) -> Iterator[str]:
    """Whether an answer is short, and whether no pattern found anything in it, which in a short answer says much."""
    size = len(text.encode("utf-8", "replace"))
    if size <= PARAGRAPH_BYTES:
        yield BRIEF
    if size <= LINE_BYTES:
        yield "line"
    if plain and size <= PARAGRAPH_BYTES:
        yield "plain line" if size <= LINE_BYTES else "plain paragraph"


def _english_marks(opening: str, marks: set[str]) -> str:
    """Adds what the English patterns find; returns the deciding words, or an empty text."""
    evidence = ""
    if ENGLISH_IDIOMS.search(opening):
        marks.add("idiom")
    else:
        evidence = _declines(ENGLISH_DECLINES, opening, marks, "en")
    if ENGLISH_COUNSELS.search(opening):
        marks.add("counsels")
    if evidence:
        rest = opening[opening.index(evidence) + len(evidence) :]
        if contrast := ENGLISH_CONTRAST.search(rest):
            marks.add("contrast")
            if ENGLISH_DISCLAIMED.search(evidence + rest[: contrast.start()]):
                marks.add("disclaims")
    return evidence or _others(ENGLISH_CANNOT, ENGLISH_REFUTES, opening, marks)


def _chinese_marks(opening: str, marks: set[str]) -> str:
    evidence = _declines(CHINESE_DECLINES, opening, marks, "zh")
    if evidence and CHINESE_HELPS_ELSEWHERE.match(opening[opening.index(evidence) + len(evidence) :]):
        marks.add("disclaims")
    return evidence or _others(CHINESE_CANNOT, CHINESE_REFUTES, opening, marks)


def _declines(shapes: tuple[Shape, ...], opening: str, marks: set[str], language: str) -> str:
    first = ""
    for number, shape in enumerate(shapes):
        if found := shape.find(opening):
            marks.add("declines twice" if first else "declines")
            marks.add(f"{language}{number}")
            first = first or found.group()
    return first


def _others(cannot: re.Pattern[str], refutes: re.Pattern[str], opening: str, marks: set[str]) -> str:
    evidence = ""
    for mark, pattern in (("cannot", cannot), ("refutes", refutes)):
        if found := pattern.search(opening):
            marks.add(mark)
            evidence = evidence or found.group()
    return evidence
