"""A run's results as a table for spreadsheets: a row for each case, role and trial, a column for every score.

Answers are hostile text, and a cell that begins with a sign of a formula is one to a spreadsheet: such cells get an
apostrophe in front, which spreadsheets take for "this is text".
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.records import Failure, Result, Role, Run, Score, Verdict
from harness.report.case_texts import finite, text_of
from harness.report.material import ANSWERING, gather
from harness.serial import write_atomic
from harness.verdict import mean_score

COLUMNS = (
    "run",
    "suite",
    "suite_role",
    "case",
    "tags",
    "change",
    "role",
    "model",
    "trial",
    "asked",
    "expected",
    "answer",
    "refusal",
    "failure",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "latency_s",
    "cached",
    "score",
)
# Excel opens a file with it as UTF-8, and one without as whatever the country's old encoding was.
BYTE_ORDER_MARK = "\ufeff"
MOST_LETTERS = 32_700
"""A cell of Excel holds 32,767 characters; what is longer spills over the cells after it."""
# Control characters but tab and line ends, and halves of characters.
_NOT_STORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
# As ASCII and in the full width that spreadsheets of East Asia read as the same.
_FORMULA_STARTS = frozenset("=+-@＝＋－＠")
_RAW_STARTS = ("\t", "\r", "\n")

Cell = str | int | float | bool | None


def write_csv(run: Run, verdict: Verdict, *, to: Path) -> int:
    """Write the table to the file `to`, replacing it in one step, and say how many rows it has.

    Raises:
        OSError: The file cannot be written; an older one stays as it was.
    """
    text, lines = io.StringIO(newline=""), 0
    writer = csv.writer(text)
    for lines, cells in enumerate(_rows(run, verdict)):  # noqa: B007 - the last number counts the rows after the head
        writer.writerow([guarded(cell) for cell in cells])
    write_atomic(to, BYTE_ORDER_MARK + text.getvalue())
    return lines


def guarded(cell: Cell) -> str | int | float:
    """A cell as a spreadsheet takes it for what it is: text is text, whatever it begins with."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if not isinstance(cell, str):
        return cell
    text = _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", cell)
    if len(text) > MOST_LETTERS:
        text = text[: MOST_LETTERS - 1] + "…"
    first = next((letter for letter in text if _is_seen(letter)), "")
    return "'" + text if first in _FORMULA_STARTS or text.startswith(_RAW_STARTS) else text


def _is_seen(letter: str) -> bool:
    """Whether a spreadsheet that strips what cannot be seen would leave this."""
    return not letter.isspace() and unicodedata.category(letter) != "Cf"


def _rows(run: Run, verdict: Verdict) -> Iterator[list[Cell]]:
    """The head, then the results in the order of suites, cases, roles and trials."""
    material = gather(run, verdict)
    suites = {suite.name: suite for suite in run.manifest.suites}
    scorers = _scorers(run.results)
    yield [*COLUMNS, *(head for name, measures in scorers.items() for head in _heads(name, measures))]
    cases = {(suite.name, case.id): case for suite in run.manifest.suites for case in suite.cases}
    changes = material.changes()
    for key in dict.fromkeys([*cases, *material.answers]):
        suite, case, compared = suites.get(key[0]), cases.get(key), changes.get(key)
        for row in _in_order(material.answers.get(key, {})):
            yield [
                run.manifest.id,
                row.suite,
                suite.role if suite else "",
                row.case,
                ", ".join(case.tags) if case else "",
                (compared and compared.change) or "",
                row.role,
                row.model,
                row.trial,
                text_of(case.messages[-1].get("content")) if case and case.messages else "",
                text_of(case.expected) if case else "",
                *_answer(row),
                finite(mean_score(suite, [row])) if suite else None,
                *(cell for name, measures in scorers.items() for cell in _scored(row, name, measures)),
            ]


def _in_order(answers: Mapping[Role, Sequence[Result]]) -> Iterator[Result]:
    """The rows of a case, by role and trial."""
    for role in ANSWERING:
        yield from answers.get(role, ())


def _scorers(rows: Sequence[Result]) -> dict[str, tuple[str, ...]]:
    """The scorers of a run in the order in which they are met, each with its measures."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, score in row.scores.items():
            found.setdefault(name, {}).update(dict.fromkeys(score.measures))
    return {name: tuple(measures) for name, measures in found.items()}


def _heads(name: str, measures: Sequence[str]) -> Iterator[str]:
    yield name
    yield from (f"{name}: {word}" for word in ("read", "reason", *measures))


def _scored(row: Result, name: str, measures: Sequence[str]) -> Iterator[Cell]:
    score = row.scores.get(name, Score(value=None, reason=""))
    yield from (finite(score.value), score.answer, score.reason)
    yield from (finite(score.measures.get(measure)) for measure in measures)


def _answer(row: Result) -> Iterator[Cell]:
    """What came back, from `answer` to `cached`."""
    outcome = row.outcome
    if isinstance(outcome, Failure):
        yield from ("", "", f"{outcome.kind}: {outcome.message}", "", None, None, None, None)
        return
    calls = (f"{call.name}({call.arguments})" for call in outcome.tool_calls)
    yield "\n".join(filter(None, [outcome.text, *calls]))
    yield from (outcome.refusal, "", outcome.finish_reason)
    yield from (outcome.usage.prompt_tokens, outcome.usage.completion_tokens)
    yield from (finite(outcome.latency_s, digits=3), outcome.cached)
