"""New training rows for failing cases, still to be written: a skeleton a job refuses, and a sheet that says what each row is for.

Never the cases themselves: a suite whose cases were trained on judges what was learned by heart. So the skeleton holds the system prompt and
nothing else of a case; the case is shown in the sheet, which nothing trains on.
"""

from collections.abc import Iterator, Sequence

from harness.dataset.examples import SYSTEM_ROLES
from harness.dataset.skeletons import to_write
from harness.dataset.writing import row_text
from harness.records import Case, Json, Message, Run, Suite, record
from harness.serial import to_json
from harness.vetting.badcases import BadCase, BadCases

# A short answer of a suite says enough of what the model does; a page of it nobody reads.
_MOST_SHOWN = 2_000
_WANTED = {
    "gap": "something this case is an example of: nothing like it is taught yet",
    "conflict": "something like this case, answered as the case expects; settle the rows named here first",
    "taught": "something like this case in other words than the rows named here",
    "unclear": "something like this case; read the rows named here first",
    "unknown": "something like this case",
}


@record
class Sibling:
    """A row to be written, and the case it is for; `line` is its place in the skeleton."""

    line: int
    row: str
    case: BadCase


def siblings_of(found: BadCases, run: Run, *, each: int) -> tuple[Sibling, ...]:
    """So many rows to be written for each failing case, in the order of the cases."""
    suites = {suite.name: suite for suite in run.manifest.suites}
    rows: list[Sibling] = []
    for bad in found.cases:
        suite = suites[bad.suite]
        case = next(case for case in suite.cases if case.id == bad.case)
        text = row_text(_row(suite, case))
        rows += [Sibling(line=len(rows) + place + 1, row=text, case=bad) for place in range(each)]
    return tuple(rows)


def _row(suite: Suite, case: Case) -> dict[str, Json]:
    name = f"{suite.name}: {case.id}"
    system = suite.prompt_for("candidate")
    told: list[Message] = []
    if any(message.get("role") in SYSTEM_ROLES for message in case.messages):
        told = [{"role": "system", "content": to_write(f"a system prompt such as that of {name}")}]
    elif system:
        told = [{"role": "system", "content": system}]
    turns = [message.get("role") for message in case.messages if message.get("role") in {"user", "assistant"}]
    asked = [
        {
            "role": role,
            "content": to_write(
                f"what a user says in a case like {name}" if role == "user" else "the assistant's turn before"
            ),
        }
        for role in turns or ["user"]
    ]
    # Empty, so that the official script and a provider refuse it too.
    row: dict[str, Json] = {"messages": [*told, *asked, {"role": "assistant", "content": ""}]}
    if suite.sampling.tools:
        row["tools"] = [dict(tool) for tool in suite.sampling.tools]
    return row


def sheet(siblings: Sequence[Sibling], found: BadCases, *, skeleton: str) -> str:
    """The sheet beside a skeleton, in Markdown: for each case what went wrong, what is near, and what to write in which lines."""
    lines = [
        f"# Rows to write: {_plain(skeleton)}",
        "",
        f"For the {len(found.cases)} failing cases of run {_plain(found.run)}. Write in each line of `{_plain(skeleton)}` what a user might say and the",
        "ideal answer: a sibling of the case, about another matter, in other words.",
        "**Never the case itself**, nor the same in other words: the suite would then judge what was learned by heart.",
        "",
        "Then check the rows; lines that are still to be written, or repeat a case, are told:",
        "",
        f"    harness badcases {_plain(found.run)} --check {_plain(skeleton)}",
        "",
    ]
    of_case: dict[int, list[Sibling]] = {}
    for sibling in siblings:
        of_case.setdefault(id(sibling.case), []).append(sibling)
    for rows in of_case.values():
        lines += _section(rows)
    return "\n".join(lines) + "\n"


def _section(rows: Sequence[Sibling]) -> Iterator[str]:
    bad = rows[0].case
    numbers = ", ".join(str(row.line) for row in rows)
    yield f"## Line{'s' if len(rows) > 1 else ''} {numbers}: {_plain(bad.suite)}: {_plain(bad.case)}"
    yield ""
    yield f"{bad.reading}: {_plain(bad.why)}." if bad.why else "No training file was looked into."
    yield ""
    yield f"Write {_WANTED[bad.reading]}."
    for title, text in _parts(bad):
        yield ""
        yield f"{title}:"
        yield ""
        yield from _quoted(text)
    yield ""


def _parts(bad: BadCase) -> Iterator[tuple[str, str]]:
    yield "The case, not to be copied", bad.prompt
    yield "The answer that failed", bad.answer
    if bad.expected is not None:
        yield "Expected", expected_text(bad.expected)
    if bad.reasons:
        yield "Why it failed", "\n".join(f"{name}: {reason}" for name, reason in bad.reasons.items())
    for row in bad.rows:
        if row.is_near:
            yield (
                f"Training row, line {row.line}, similarity {row.similarity:.2f}",
                f"{row.prompt}\n-> {row.answer}",
            )


def expected_text(expected: Json) -> str:
    """What a case expects, as a text."""
    return expected if isinstance(expected, str) else to_json(expected)


def _quoted(text: str) -> Iterator[str]:
    """Text from outside as a block in which Markdown and HTML mean nothing."""
    for line in text[:_MOST_SHOWN].splitlines() or [""]:
        yield f"    {_plain(line)}"


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
