"""Is what a model is judged by among what it is trained on? Validation rows, and the prompts of suites."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.dataset.findings import Finding, counted, first_lines
from harness.dataset.lines import Rereader
from harness.dataset.near_duplicates import Sketches
from harness.dataset.quality.repeats import RepeatsTally, key_of
from harness.dataset.quality.templates import matches_of_own_words
from harness.dataset.siblings import gives_away, is_reworded
from harness.records import record

# Prompts too short to be recognised again: a training file has its own "hello". A letter that is a word or a syllable counts as several.
LEAST_CHARACTERS = 12
_WIDE_LETTER = "\u3040"
_WIDE_CHARACTERS = 3
_SHOWN_CASES = 5


@record
class SuitePrompt:
    """What a case of a suite asks, as its last user message says it.

    `system` is its system prompt, None without one; `roles` those of its messages, in order, and empty where nobody told.
    `expected` is what a good answer is or holds, None where that is not one text.
    """

    suite: str
    case: str
    text: str
    system: str | None = None
    roles: tuple[str, ...] = ()
    expected: str | None = None


def validation_leaks(
    train: RepeatsTally, valid: RepeatsTally, *, paths: tuple[Path, Path]
) -> Iterator[Finding]:
    """Validation rows that ask what a training row asks; `paths` are the training and the validation file."""
    exact = np.flatnonzero(np.isin(valid.asked.table(), train.asked.table())).tolist()
    readers = [Rereader(path) for path in paths]
    try:
        near = matches_of_own_words(
            valid.sketches,
            train.sketches,
            text_of=lambda index: valid.asked_text(index, readers[1]),
            other_text_of=lambda index: train.asked_text(index, readers[0]),
        )
    finally:
        for reader in readers:
            reader.close()
    rows = {*exact, *near}
    if rows:
        share = len(rows) / len(valid.lines)
        asking = counted(
            len(rows), f"validation row ({share:.1%}) asks", f"validation rows ({share:.1%}) ask"
        )
        nearly = f", {len(rows) - len(exact):,} of them nearly" if len(rows) > len(exact) else ""
        yield Finding(
            name="validation_leak",
            level="warning",
            what=f"{asking} what a training row asks{nearly}",
            count=len(rows),
            lines=first_lines(valid.lines[index] for index in rows),
            why="the validation loss then falls with what is learned by heart, and hides over-fitting",
            remedy="remove them from one of the files; `harness data split` never parts such rows (lines are the validation file's)",
            figures={"share": share, "exact": len(exact)},
        )


def suite_leaks(train: RepeatsTally, prompts: Sequence[SuitePrompt], *, path: Path) -> Iterator[Finding]:
    """Training rows that ask what a case of a suite asks: word for word an error, nearly so a warning.

    A row that has another word in the place of one of the case's, and does not say what the case expects, asks something else.
    """
    asked = [prompt for prompt in prompts if weight_of(prompt.text.strip()) >= LEAST_CHARACTERS]
    keys = {key_of(prompt.text): number for number, prompt in enumerate(asked)}
    exact = {index: keys[key] for index, key in enumerate(train.asked) if key in keys}
    reader = Rereader(path)

    def tells(index: int, number: int) -> bool:
        case = asked[number]
        return (
            case.expected is None
            or gives_away(train.answer_text(index, reader), case.expected)
            or is_reworded(train.asked_text(index, reader), case.text)
        )

    try:
        near = matches_of_own_words(
            train.sketches,
            _sketched(prompt.text for prompt in asked),
            text_of=lambda index: train.asked_text(index, reader),
            other_text_of=lambda number: asked[number].text,
            accepts=tells,
        )
    finally:
        reader.close()
    if exact:
        yield Finding(
            name="suite_leak",
            level="error",
            what=f"{_asking(exact)} what the suites ask: {_told(exact, asked)}",
            count=len(exact),
            lines=first_lines(train.lines[index] for index in exact),
            why="the suites would judge what was learned by heart",
            remedy="remove these rows from the training file, or these cases from the suites",
            figures={"cases": _cases(exact, asked)},
        )
    if near := {index: number for index, number in near.items() if index not in exact}:
        yield Finding(
            name="suite_near_leak",
            level="warning",
            what=f"{_asking(near)} nearly what the suites ask: {_told(near, asked)}",
            count=len(near),
            lines=first_lines(train.lines[index] for index in near),
            why="if they give the case's answer away, the suite judges what was learned by heart",
            remedy="read both; remove one where only the wording differs",
            figures={"cases": _cases(near, asked)},
        )


def weight_of(text: str) -> int:
    """How much a text says, in characters of Latin letters."""
    return sum(_WIDE_CHARACTERS if letter >= _WIDE_LETTER else 1 for letter in text)


def _asking(found: Mapping[int, int]) -> str:
    return counted(len(found), "training row asks", "training rows ask")


def _cases(found: Mapping[int, int], asked: Sequence[SuitePrompt]) -> list[list[str]]:
    return [
        list(case)
        for case in sorted({(asked[number].suite, asked[number].case) for number in found.values()})
    ]


def _told(found: Mapping[int, int], asked: Sequence[SuitePrompt]) -> str:
    cases = _cases(found, asked)
    told = ", ".join(f"{suite}: {case}" for suite, case in cases[:_SHOWN_CASES])
    return told + (f" and {len(cases) - _SHOWN_CASES} more" if len(cases) > _SHOWN_CASES else "")


def _sketched(texts: Iterable[str]) -> Sketches:
    sketches = Sketches()
    for text in texts:
        sketches.add(text)
    return sketches
