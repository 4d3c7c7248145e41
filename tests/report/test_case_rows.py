"""Rows of the list of cases: by what they are found and sorted."""

from dataclasses import replace

from report_samples import sample_run, sample_verdict

from harness.records import Case, Completion, Role, Run, Score
from harness.report.case_rows import Row, as_data, rows_of
from harness.report.case_texts import excerpt
from harness.report.material import gather


def row_after(case: str, *, role: Role = "candidate", **changes: object) -> Row:
    """The row of a case after the answer of a role was changed."""
    run = sample_run(hostile=False)
    results = tuple(
        replace(row, **changes) if (row.case, row.role) == (case, role) else row for row in run.results
    )
    return next(row for row in rows_in(replace(run, results=results)) if row.case.id == case)


def rows_in(run: Run) -> list[Row]:
    return list(rows_of(gather(run, sample_verdict(run))))


def test_a_required_case_is_marked_when_the_candidate_is_not_good_at_it() -> None:
    wrong = {"label": Score(value=0.0, reason="another")}
    assert "required" in row_after("billing-0", scores=wrong).marks
    assert "required" not in row_after("billing-0").marks
    assert "required" not in row_after("bug-1", scores=wrong).marks


def test_a_refusal_is_what_the_endpoint_or_a_scorer_calls_one() -> None:
    told = {"refusal": Score(value=0.0, reason="refuses", measures={"refusal_rate": 1.0})}
    assert "refusals" in row_after("benign-2", scores=told).marks
    assert "refusals" in row_after("bug-1", outcome=Completion(text="", refusal="I can't")).marks
    assert "refusals" not in row_after("benign-2").marks


def test_a_score_without_a_value_marks_its_case_as_unscored() -> None:
    assert row_after("bug-1", role="base", scores={"label": Score(value=None, reason="garbled")}).marks == (
        "unscored",
    )


def test_a_lost_answer_is_an_error() -> None:
    assert [row.case.id for row in rows_in(sample_run()) if "errors" in row.marks] == ["fact-6"]


def test_scorers_are_told_apart_where_a_suite_has_several() -> None:
    facts = row_after("fact-2")
    assert facts.by_scorer == ({"base": 1.0, "candidate": 0.0}, {"base": 1.0, "candidate": 1.0})
    assert row_after("bug-1").by_scorer == ()


def test_a_row_as_data_has_scores_in_the_order_of_the_roles() -> None:
    data = as_data(row_after("bug-1"), roles=("base", "candidate"), tags={"bug": 7})
    assert data["scores"] == [0.0, 1.0]
    assert data["tags"] == [7]


def test_an_excerpt_is_the_last_question_on_one_line() -> None:
    case = Case(
        id="x", messages=({"role": "user", "content": "first"}, {"role": "user", "content": "a\n  b " * 100})
    )
    assert excerpt(case, 20) == "a b a b a b a b a b…"
    assert excerpt(replace(case, messages=()), 20) == ""
