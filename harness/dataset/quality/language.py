"""Is the answer in the language of its question? Told by the script, and where both are Latin by the language of a sample of rows.

A file that translates, where many answers are in another language, says nothing; nor does a row that asks for a language by name. For
Latin script fastText's model is asked, of texts long enough for it to be sure.
"""

import re
from collections.abc import Iterator

import numpy as np

from harness.dataset.examples import Example, answer_of, example_of, system_of, text_of
from harness.dataset.findings import SHOWN_LINES, Finding
from harness.dataset.lines import Rereader
from harness.dataset.quality.samples import RowSample
from harness.dataset.tallies import SeenRow, Setting
from harness.texts.languages import are_alike, latin_language

# Beyond this share of rows that differ, they are meant to.
MOST_DIFFERING = 0.2
# Letters a text needs to have a script, and how many of them must be of one.
LEAST_LETTERS = 8
LEAST_SHARE = 0.7
# Rows of which the Latin language is looked at: it takes two seconds, and one wrong row in ten thousand shows in these.
SAMPLED_ROWS = 20_000
# What is read of a long text: enough to tell, and no more.
_READ_CHARACTERS = 2_000
_TOLD_PAIRS = 3

# Where a script begins, by code point; the ranges between are of no script. A character of han, kana or hangul weighs as much as two or
# three letters.
_RANGES = (
    (0x41, 0x5A, "Latin"),
    (0x61, 0x7A, "Latin"),
    (0xC0, 0x24F, "Latin"),
    (0x370, 0x3FF, "Greek"),
    (0x400, 0x52F, "Cyrillic"),
    (0x5D0, 0x5EA, "Hebrew"),
    (0x600, 0x6FF, "Arabic"),
    (0x900, 0x97F, "Devanagari"),
    (0xE00, 0xE7F, "Thai"),
    (0x1E00, 0x1EFF, "Latin"),
    (0x3041, 0x30FF, "Japanese"),
    (0x3400, 0x9FFF, "Chinese"),
    (0xAC00, 0xD7AF, "Korean"),
    (0xF900, 0xFAFF, "Chinese"),
)
_WEIGHTS = {"Japanese": 2.5, "Chinese": 2.5, "Korean": 2.5}
_BOUNDS = np.array([edge for first, last, _ in _RANGES for edge in (first, last + 1)], dtype=np.uint32)
# Japanese is written with han too: a text with this share of kana is Japanese.
_LEAST_KANA = 0.1
_ASCII_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# What is written alike in every language.
_WITHOUT_LANGUAGE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`|https?://\S+|<[^<>]{1,200}>", re.DOTALL)
# A row that asks for a language may get it: words for translating, and the names of languages.
_ASKS_FOR_LANGUAGE = re.compile(
    r"translat|traduc|traduz|tradui|übersetz|перев[оеё]|翻译|翻譯|译成|譯成|訳|번역|ترجم|अनुवाद|\blanguages?\b"
    r"|\b(?:english|chinese|mandarin|japanese|korean|french|german|spanish|italian|portuguese|dutch|russian|arabic|hindi|polish|turkish|latin)\b"
    r"|\b(?:deutsch|englisch|anglais|français|inglés|español|inglese|italiano|português|inglês)\b|английск|русск|немецк"
    r"|[中英日韩韓法德俄]文|[英日韩韓法德俄汉漢][语語]|영어|한국어|중국어|일본어",
    re.IGNORECASE,
)


class LanguageTally:
    """How often the scripts of question and answer differ, and a sample of the rows where both are Latin."""

    def __init__(self) -> None:
        self._judged = 0
        self._counts: dict[tuple[str, str], int] = {}
        self._lines: list[int] = []
        self._latin = RowSample(SAMPLED_ROWS)

    def add(self, row: SeenRow) -> None:
        """Take a row; only examples whose question and answer have a script each count."""
        answer = answer_of(row.example) if row.example else None
        if answer is None or row.example is None:
            return
        asked = _question(row.example)
        pair = script_of(asked), script_of(answer)
        if pair[0] is None or pair[1] is None:
            return
        self._judged += 1
        if pair == ("Latin", "Latin"):
            self._latin.add(row.line.number, row.line.start)
        elif pair[0] != pair[1] and not _asks_for_language(row.example):
            self._counts[pair[0], pair[1]] = self._counts.get((pair[0], pair[1]), 0) + 1
            if len(self._lines) < SHOWN_LINES:
                self._lines.append(row.line.number)

    def merge(self, later: "LanguageTally") -> None:
        """Take in the next part."""
        self._judged += later._judged
        for pair, count in later._counts.items():
            self._counts[pair] = self._counts.get(pair, 0) + count
        self._lines += later._lines[: SHOWN_LINES - len(self._lines)]
        self._latin.merge(later._latin)

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """Answers in another script, and in another language."""
        differing = sum(self._counts.values())
        if 0 < differing <= MOST_DIFFERING * self._judged:
            pairs = sorted(self._counts.items(), key=lambda item: -item[1])
            yield _finding(
                "wrong_script",
                f"{differing:,} answers are written in another script than their question",
                pairs=[(f"{asked} to {answered}", count) for (asked, answered), count in pairs],
                lines=self._lines,
                judged=self._judged,
            )
        if self._latin.offered:
            yield from self._latin_findings(setting)

    def _latin_findings(self, setting: Setting) -> Iterator[Finding]:
        counts: dict[str, int] = {}
        lines: list[int] = []
        judged = 0
        rereader = Rereader(setting.path)
        try:
            for line, start in self._latin:
                example = example_of(line, rereader.at(start).row)
                if _asks_for_language(example):
                    continue
                judged += 1
                asked, answered = (
                    latin_language(_worded(text)) for text in (_question(example), answer_of(example) or "")
                )
                if asked and answered and asked != answered and not are_alike(asked, answered):
                    told = f"{asked} to {answered}"
                    counts[told] = counts.get(told, 0) + 1
                    lines.append(line)
        finally:
            rereader.close()
        if 0 < len(lines) <= MOST_DIFFERING * judged:
            sampled = f" of {judged:,} that were looked at" if self._latin.offered > SAMPLED_ROWS else ""
            yield _finding(
                "wrong_language",
                f"{len(lines):,} answers{sampled} are in another language than their question",
                pairs=sorted(counts.items(), key=lambda item: -item[1]),
                lines=lines[:SHOWN_LINES],
                judged=judged,
            )


def script_of(text: str) -> str | None:
    """The script nearly all letters of a text are of, code and addresses aside; None when there are few or it is mixed."""
    read = text[:_READ_CHARACTERS]
    if read.isascii():
        letters = len(read) - len(read.encode().translate(None, _ASCII_LETTERS))
        if letters < LEAST_LETTERS:
            return None
        if "`" not in read and "http" not in read:
            return "Latin"
    codes = np.frombuffer(_worded(read).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    places = np.bincount(np.searchsorted(_BOUNDS, codes, side="right"), minlength=len(_BOUNDS) + 1)
    letters_of: dict[str, float] = {}
    for number, (_, _, script) in enumerate(_RANGES):
        letters_of[script] = letters_of.get(script, 0.0) + places[2 * number + 1] * _WEIGHTS.get(script, 1.0)
    if letters_of["Japanese"] >= _LEAST_KANA * letters_of["Chinese"]:
        letters_of["Japanese"] += letters_of["Chinese"]
        letters_of["Chinese"] = 0.0
    letters_in_all = sum(letters_of.values())
    script = max(letters_of, key=letters_of.__getitem__)
    return script if letters_of[script] >= max(LEAST_LETTERS, LEAST_SHARE * letters_in_all) else None


def _question(example: Example) -> str:
    """The last thing a user says."""
    asked = (text_of(message) for message in reversed(example.messages) if message.get("role") == "user")
    return next(asked, "")


def _worded(text: str) -> str:
    return _WITHOUT_LANGUAGE.sub(" ", text[:_READ_CHARACTERS])


def _asks_for_language(example: Example) -> bool:
    asked = f"{system_of(example)[:_READ_CHARACTERS]}\n{_question(example)}"
    return bool(_ASKS_FOR_LANGUAGE.search(asked[: 3 * _READ_CHARACTERS]))


def _finding(name: str, what: str, *, pairs: list[tuple[str, int]], lines: list[int], judged: int) -> Finding:
    count = sum(number for _, number in pairs)
    told = ", ".join(f"{pair} {number:,}" for pair, number in pairs[:_TOLD_PAIRS])
    return Finding(
        name=name,
        level="warning",
        what=f"{what} ({told})",
        count=count,
        lines=tuple(lines),
        why="a model that saw this answers some users in a language they did not write in",
        remedy="answer them in the question's language, or say in the question which one is wanted",
        figures={"share": count / judged, "judged": judged, "pairs": dict(pairs)},
    )
