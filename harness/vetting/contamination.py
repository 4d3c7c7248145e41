"""Are rows that were written for a suite's failing cases cases themselves? Those would be learned by heart, and judge nothing.

A row asks what a case asks when both are the same without width, case, punctuation and spacing, when one holds the other, or when they have
nearly all characters in common in their order or their words in another. What all cases of a suite begin and end with, a template, is left
out first. A row gives a case away when it says the case's own answer to nearly its question.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from os.path import commonprefix
from pathlib import Path
from typing import Literal

import numpy as np
from rapidfuzz import fuzz, process

from harness.dataset import read_lines
from harness.dataset.examples import answer_of, example_of, prompt_of
from harness.dataset.leaks import LEAST_CHARACTERS, weight_of
from harness.dataset.near_duplicates import LEAST_RATIO, form_of_text
from harness.dataset.nearest import nearest_rows
from harness.dataset.rows import row_problems
from harness.records import Json, Suite, record
from harness.serial import to_json
from harness.texts.normalisation import expected_texts
from harness.vetting.badcases import conversation

Likeness = Literal["equal", "holds", "near", "reworded"]
"""How a row is like a case: the same text; one within the other; nearly the same; another text with the case's own answer."""

# From this similarity on, a row with the case's own answer is the case in other words.
REWORDED = 0.35
_BLOCK_ROWS = 200
_BEGINNING_CHARACTERS = 12


@record
class Repeat:
    """A row that is a case of a suite."""

    line: int
    suite: str
    case: str
    likeness: Likeness


@record
class Unfit:
    """A row that a job would refuse: what is wrong with it, what to do."""

    line: int
    what: str
    remedy: str


@record
class Checked:
    """A file of written rows: those that are cases, those that are unfit, and how many there are."""

    path: Path
    rows: int
    repeats: tuple[Repeat, ...]
    unfit: tuple[Unfit, ...]

    @property
    def is_clean(self) -> bool:
        """Whether it may be trained on."""
        return self.rows > 0 and not self.repeats and not self.unfit


@record
class _Asked:
    suite: str
    case: str
    text: str
    expected: tuple[str, ...]


@record
class _Written:
    line: int
    text: str
    answer: str


def check_rows(path: Path, suites: Sequence[Suite]) -> Checked:
    """Hold a file of rows against every case of some suites.

    Raises:
        UsageError: The file is not there or cannot be read.
    """
    written: list[_Written] = []
    unfit: list[Unfit] = []
    rows = 0
    for line in read_lines(path):
        rows += 1
        if line.fault:
            unfit.append(Unfit(line=line.number, what=line.fault.what, remedy=line.fault.remedy))
            continue
        problems = [
            Unfit(line=line.number, what=one.sentence(), remedy=one.remedy) for one in row_problems(line.row)
        ]
        unfit += problems
        if not problems:
            example = example_of(line.number, line.row)
            written.append(
                _Written(line=line.number, text=prompt_of(example), answer=answer_of(example) or "")
            )
    found = {
        (repeat.line, repeat.suite, repeat.case): repeat
        for suite in suites
        for repeat in _repeats(written, suite)
    }
    return Checked(
        path=path,
        rows=rows,
        repeats=tuple(sorted(found.values(), key=lambda repeat: (repeat.line, repeat.suite, repeat.case))),
        unfit=tuple(unfit),
    )


def _repeats(written: Sequence[_Written], suite: Suite) -> Iterator[Repeat]:
    asked = [
        _Asked(
            suite=suite.name,
            case=case.id,
            text=text,
            expected=_answers(case.expected),
        )
        for case in suite.cases
        if (text := conversation(case.messages)).strip()
    ]
    if not asked or not written:
        return
    yield from _reworded(written, asked)
    head, tail = _template([form_of_text(case.text) for case in asked])
    cases = [_bare(form_of_text(case.text)[len(head) :].removesuffix(tail)) for case in asked]
    rows = [_bare(form_of_text(row.text).removeprefix(head).removesuffix(tail)) for row in written]
    # The last that is told of a row and a case is the one that counts: the surest.
    for row, case in _near(rows, cases):
        yield _repeat(written[row], asked[case], "near")
    for row, case in _holding(rows, cases):
        yield _repeat(written[row], asked[case], "holds")
    of_text: dict[str, list[int]] = {}
    for number, case_text in enumerate(cases):
        of_text.setdefault(case_text, []).append(number)
    for number, row_text in enumerate(rows):
        for case in of_text.get(row_text, ()) if row_text else ():
            yield _repeat(written[number], asked[case], "equal")


def _answers(expected: Json) -> tuple[str, ...]:
    """The texts any of which is right, or the fields of an object as they are written."""
    texts = expected_texts(expected) or ((to_json(expected),) if expected is not None else ())
    return tuple(bare for text in texts if (bare := _bare(text)))


def _repeat(row: _Written, case: _Asked, likeness: Likeness) -> Repeat:
    return Repeat(line=row.line, suite=case.suite, case=case.case, likeness=likeness)


def _template(texts: Sequence[str]) -> tuple[str, str]:
    """What all texts begin and end with, up to the space between two words; nothing where there is one text."""
    if len(texts) < 3:
        return "", ""
    head = commonprefix(texts)  # noqa: RUF071 - characters are meant
    tail = commonprefix([text[len(head) :][::-1] for text in texts])[::-1]  # noqa: RUF071
    return head[: head.rfind(" ") + 1], tail[tail.find(" ") :] if " " in tail else ""


def _bare(text: str) -> str:
    """Letters and digits alone, in one form."""
    return "".join(letter for letter in form_of_text(text) if letter.isalnum())


def _holding(rows: Sequence[str], cases: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Rows that hold a whole case, and those that are the greater part of one."""
    yield from ((row, case) for case, row in _within(cases, rows))
    for row, case in _within(rows, cases):
        if 2 * len(rows[row]) > len(cases[case]):
            yield row, case


def _within(parts: Sequence[str], texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Which of the parts that say enough stand in which texts: both numbers. Their beginnings are looked up at every place of a text."""
    beginnings: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        if weight_of(part) >= LEAST_CHARACTERS:
            beginnings.setdefault(part[:_BEGINNING_CHARACTERS], []).append(number)
    lengths = {len(beginning) for beginning in beginnings}
    for number, text in enumerate(texts):
        begun = {
            part
            for length in lengths
            for place in range(len(text) - length + 1)
            for part in beginnings.get(text[place : place + length], ())
        }
        yield from ((part, number) for part in sorted(begun) if parts[part] in text)


def _near(rows: Sequence[str], cases: Sequence[str]) -> Iterator[tuple[int, int]]:
    telling = [number for number, case in enumerate(cases) if weight_of(case) >= LEAST_CHARACTERS]
    texts = [cases[number] for number in telling]
    for start in range(0, len(rows) if texts else 0, _BLOCK_ROWS):
        likes = process.cdist(
            rows[start : start + _BLOCK_ROWS],
            texts,
            scorer=fuzz.ratio,
            score_cutoff=LEAST_RATIO,
            dtype=np.uint8,
        )
        for row, case in np.argwhere(likes > 0).tolist():
            yield start + row, telling[case]


def _reworded(written: Sequence[_Written], asked: Sequence[_Asked]) -> Iterator[Repeat]:
    """Rows that ask much the same as a case and answer it with what only this case expects."""
    often = Counter(text for case in asked for text in case.expected)
    own = [case for case in asked if case.expected and all(often[text] == 1 for text in case.expected)]
    if not own:
        return
    indices, likes = nearest_rows(
        [row.text for row in written], [case.text for case in own], count=min(3, len(own))
    )
    for row, numbers, values in zip(written, indices.tolist(), likes.tolist(), strict=True):
        answer = _bare(row.answer)
        for number, like in zip(numbers, values, strict=True):
            if like >= REWORDED and any(text in answer for text in own[number].expected):
                yield _repeat(row, own[number], "reworded")
