"""Confusion matrices on the page and macro-F1 in the terminal."""

from pathlib import Path

from harness.records import (
    Case,
    Completion,
    LabelFigures,
    LabelFinding,
    Manifest,
    ModelFacts,
    Result,
    Role,
    Run,
    Score,
    ScorerSpec,
    Suite,
)
from harness.report import render, text_summary
from harness.report.sections.confusion import MOST_LABELS, MOST_MISTAKES, show_labels
from harness.verdict import verdict_of

HOSTILE = '<img src=x onerror="alert(1)">退款'


def finding(labels: tuple[str, ...], *confusion: tuple[float, ...]) -> LabelFinding:
    figures = LabelFigures(confusion=confusion, macro_f1=0.5, interval=(0.25, 0.75))
    return LabelFinding(
        suite="desks", scorer="label", labels=labels, figures={"candidate": figures, "base": figures}
    )


def run_of(labels: tuple[str, ...], *, cases: int) -> Run:
    """A base that always says the first label, and a candidate that is wrong, or silent, now and then."""
    suite = Suite(
        name="desks",
        scorers=(ScorerSpec(type="label", name="label", settings={"labels": list(labels)}),),
        cases=tuple(
            Case(id=f"c{n}", messages=({"role": "user", "content": "?"},), expected=labels[n % len(labels)])
            for n in range(cases)
        ),
    )
    roles: tuple[Role, ...] = ("base", "candidate")
    rows = []
    for role in roles:
        for number, case in enumerate(suite.cases):
            read = str(case.expected) if number % 7 else None
            answer = labels[0] if role == "base" else read
            value = float(answer == case.expected)
            rows.append(
                Result(
                    suite="desks", case=case.id, role=role, model=role, trial=0, digest=case.id,
                    outcome=Completion(text=answer or "?"),
                    scores={"label": Score(value=value, reason="read", answer=answer, measures={"invalid": 0.0})},
                )
            )  # fmt: skip
    manifest = Manifest(
        schema=1,
        id="run-1",
        status="complete",
        created="2026-01-01T00:00:00Z",
        suites=(suite,),
        models={role: ModelFacts(model=role, endpoint="local") for role in roles},
        selected={"desks": tuple(case.id for case in suite.cases)},
        plan="digest",
    )
    return Run(manifest=manifest, results=tuple(rows))


def test_matrix_has_a_row_per_label_and_its_shades_follow_the_share() -> None:
    view = show_labels(finding(("bug", "退款"), (9, 0, 1), (0, 2.5, 7.5)), ["base", "candidate"])
    assert view.columns == ("bug", "退款", "invalid")
    assert [model.title for model in view.models] == ["Base", "Candidate"]
    first, second = view.models[0].rows
    assert [(entry.text, entry.shade, entry.is_right) for entry in first.entries] == [
        ("9", 5, True),
        ("", 0, False),
        ("1", 1, False),
    ]
    assert [(entry.text, entry.shade) for entry in second.entries] == [("", 0), ("2.5", 2), ("7.5", 4)]
    assert view.models[0].macro_f1 == "50.0 (25.0 to 75.0)"


def test_label_without_cases_has_an_empty_row() -> None:
    view = show_labels(finding(("bug", "sales"), (1, 0, 0), (0, 0, 0)), ["candidate"])
    assert [entry.shade for entry in view.models[0].rows[1].entries] == [0, 0, 0]


def test_many_labels_are_shown_by_their_most_frequent_mistakes() -> None:
    labels = tuple(f"label-{number}" for number in range(MOST_LABELS + 1))
    confusion = [
        tuple(float(row if column == row + 1 else 99 * (column == row)) for column in range(len(labels) + 1))
        for row in range(len(labels))
    ]
    (model,) = show_labels(finding(labels, *confusion), ["candidate"]).models
    assert model.rows == ()
    assert len(model.mistakes) == MOST_MISTAKES
    assert model.mistakes[0] == "label-12 read as invalid: 12"


def test_page_shows_the_matrix_and_escapes_its_labels(tmp_path: Path) -> None:
    run = run_of((HOSTILE, "sales"), cases=40)
    page = render(run, verdict_of(run), to=tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Candidate: rows are expected, columns answered" in page
    assert "90 % interval +" in page
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;退款" in page


def test_terminal_says_macro_f1_of_both_models_and_the_change() -> None:
    run = run_of(("bug", "sales"), cases=40)
    (line,) = (line.text for line in text_summary(run, verdict_of(run)) if line.text.startswith("macro-F1"))
    # The base is right on every bug: 2·20/(20 + 40), and on no sales.
    assert line.startswith("macro-F1  desks: base 33.3 (95 % ")
    assert "candidate 91.9 (95 % " in line
    assert "+58.6 (90 % +" in line


def test_too_few_cases_are_said_instead_of_an_interval() -> None:
    run = run_of(("bug", "sales"), cases=6)
    (line,) = (line.text for line in text_summary(run, verdict_of(run)) if line.text.startswith("macro-F1"))
    assert line.endswith("; too few cases for an interval of macro-F1, below 10: bug 3, sales 3")
    assert "95 %" not in line
