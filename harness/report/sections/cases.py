"""Every case with its answers side by side: data that the page's script draws on demand; the deciding ones as HTML."""

from collections.abc import Iterator, Sequence

from harness.evals import messages_for
from harness.records import Case, Json, Role, Suite, record
from harness.report.case_rows import Row, as_data, rows_of
from harness.report.case_texts import long_texts, said, text_of, texts_of
from harness.report.material import ROLE_WORDS, Material
from harness.report.notation import points
from harness.report.packing import Shorten, in_columns, packed, packed_within, shortening

SHOWS: tuple[tuple[str, str], ...] = (
    ("all", "All"),
    ("improved", "Improved"),
    ("regressed", "Regressed"),
    ("missed", "Missed"),
    ("kept", "Kept"),
    ("uncompared", "Not compared"),
    ("required", "Required, failed"),
    ("refusals", "Refusals"),
    ("errors", "Errors"),
    ("unscored", "Unscored"),
)
"""What can be shown, by the word of the deep link; the last four cut across the changes."""
ALWAYS = {"all", "improved", "regressed", "missed", "kept"}
"""Offered even when no case is of them: that there is none is an answer too."""

DATA_SIZE = 11_000_000
"""Characters the cases' data may take: with the rest of the page they stay under 12 MB."""
MOST_STATIC = 20
STATIC_TEXT = 600
"""How many cases can be read without the page's script, and how many characters of each text."""


@record
class Show:
    """One way to narrow the list, and how many cases it leaves."""

    key: str
    word: str
    count: int


@record
class StaticAnswer:
    """One answer of a case that is read without a script."""

    word: str
    score: str
    text: str
    reasons: tuple[str, ...]


@record
class StaticCase:
    """A case that likely decides: required and failed, or regressed."""

    suite: str
    id: str
    change: str
    is_required: bool
    prompt: str
    expected: str
    answers: tuple[StaticAnswer, ...]


@record
class CasesView:
    """The ways to narrow, the packed data of all cases, and the deciding cases: how many, and the first of them."""

    shows: tuple[Show, ...]
    total: int
    index: str
    blocks: tuple[tuple[int, str], ...]
    deciding: int
    static: tuple[StaticCase, ...]


def show_cases(material: Material) -> CasesView:
    """The cases of the run that were selected or answered, in the order of their suites."""
    rows = list(rows_of(material))
    counts = {key: sum(row.is_shown(key) for row in rows) for key, _ in SHOWS}
    shows = (Show(key=key, word=word, count=counts[key]) for key, word in SHOWS)
    index, blocks = _packed(rows, material)
    deciding = sorted(filter(_decides, rows), key=_order)
    return CasesView(
        shows=tuple(show for show in shows if show.count or show.key in ALWAYS),
        total=len(rows),
        index=index,
        blocks=blocks,
        deciding=len(deciding),
        static=tuple(_static(row, material) for row in deciding[:MOST_STATIC]),
    )


def _packed(rows: Sequence[Row], material: Material) -> tuple[str, tuple[tuple[int, str], ...]]:
    """The list's data, and the texts of so many cases in each block, all together within the size of the page."""

    def texts(shorten: Shorten) -> Iterator[Json]:
        for row in rows:
            answers = material.answers.get(row.key, {})
            yield texts_of(
                row.case,
                answers,
                material.history.cases.get(row.key, ()),
                shorten=shorten,
                language=material.language,
            )

    tags = sorted({tag for row in rows for tag in row.case.tags})
    numbers = {tag: number for number, tag in enumerate(tags)}
    listed = [as_data(row, roles=material.roles, tags=numbers) for row in rows]
    index = packed(_frame(material, tags) | {"cases": in_columns(listed)})
    long = long_texts([row.case for row in rows], material.run.results)
    return index, packed_within(
        texts, texts=long, size=max(DATA_SIZE // 10, DATA_SIZE - len(index)), said=material.language.said
    )


def _frame(material: Material, tags: Sequence[str]) -> dict[str, Json]:
    """What all cases share: roles, suites, tags, and the runs before."""
    return {
        "roles": [{"key": role, "word": material.language.said(ROLE_WORDS[role])} for role in material.roles],
        "reference": material.reference,
        "suites": [_suite(suite, material.roles) for suite in material.run.manifest.suites],
        "tags": list(tags),
        "earlier": [
            {
                "run": run.id,
                "created": run.created,
                "outcome": run.outcome,
                "candidate": run.candidate,
                "reference": material.language.said(ROLE_WORDS[run.reference]),
            }
            for run in material.history.runs
        ],
    }


def _suite(suite: Suite, roles: Sequence[Role]) -> Json:
    """A suite's name, its scorers, and what it says to each role before a case's own messages."""
    bare = Case(id="", messages=())
    prompts = {
        role: "\n".join(text_of(message.get("content")) for message in messages_for(suite, bare, role))
        for role in roles
    }
    return {"name": suite.name, "scorers": [spec.name for spec in suite.scorers], "prompts": prompts}


def _decides(row: Row) -> bool:
    return row.change == "regressed" or "required" in row.marks


def _order(row: Row) -> tuple[bool, float]:
    """Required cases first, then by how much of the score was lost."""
    candidate = row.scores.get("candidate")
    best = max((score for score in row.scores.values() if score is not None), default=0.0)
    return ("required" not in row.marks, (candidate or 0.0) - best)


def _static(row: Row, material: Material) -> StaticCase:
    language = material.language
    shorten = shortening(STATIC_TEXT, language.said)
    answers = material.answers.get(row.key, {})
    return StaticCase(
        suite=row.key[0],
        id=row.case.id,
        change=dict(SHOWS)[row.change],
        is_required="required" in row.marks,
        prompt=shorten("\n\n".join(text_of(message.get("content")) for message in row.case.messages)),
        expected=shorten(text_of(row.case.expected)),
        answers=tuple(
            StaticAnswer(
                word=ROLE_WORDS[role],
                score=points(row.scores[role]),
                text=shorten("\n\n".join(said(answers[role], language))),
                reasons=tuple(
                    shorten(f"{name}: {language.said(score.reason)}")
                    for name, score in answers[role][0].scores.items()
                ),
            )
            for role in material.roles
            if answers.get(role)
        ),
    )
