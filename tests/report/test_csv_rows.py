"""The table for spreadsheets: a row for each case, role and trial, and no formula in it."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hostile_samples import hostile_answers
from report_samples import sample_run, sample_verdict

from harness.records import Completion, Run
from harness.report.csv_rows import COLUMNS, guarded, write_csv


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def answering(run: Run, text: str) -> Run:
    """The run with one answer for all."""
    rows = [
        replace(row, outcome=replace(row.outcome, text=text)) if isinstance(row.outcome, Completion) else row
        for row in run.results
    ]
    return replace(run, results=tuple(rows))


def test_each_case_role_and_trial_has_a_row_with_every_score(tmp_path: Path) -> None:
    run = sample_run()
    file = tmp_path / "results.csv"
    count = write_csv(run, sample_verdict(run), to=file)
    rows = rows_of(file)
    assert count == len(rows) == len(run.results)
    assert list(rows[0])[: len(COLUMNS)] == list(COLUMNS)
    (row,) = [row for row in rows if (row["case"], row["role"]) == ("fact-2", "candidate")]
    assert row["answer"] == "Who knows."
    assert row["change"] == "regressed"
    assert row["asked"] == "What is the chemical sign of gold?"
    assert (row["contains"], row["length"], row["length: words"]) == ("0.0", "1.0", "12.0")
    assert float(row["score"]) == pytest.approx(1 / 3)
    assert row["label"] == ""
    assert row["prompt_tokens"] == "42"


def test_answer_that_is_missing_is_no_score_but_a_failure(tmp_path: Path) -> None:
    run = sample_run()
    write_csv(run, sample_verdict(run), to=tmp_path / "results.csv")
    (row,) = [row for row in rows_of(tmp_path / "results.csv") if row["failure"]]
    assert row["failure"] == "timeout: no answer within 600 s, tried 5 times"
    assert (row["answer"], row["contains"], row["latency_s"]) == ("", "", "")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\u3000=1",
        "＝1",
        '=HYPERLINK("http://e.invalid")',
        "=cmd|' /C calc'!A0",
        "\ufeff=1",
        "\u200b=1",
    ],
)
def test_cell_that_begins_like_a_formula_is_text(text: str, tmp_path: Path) -> None:
    assert str(guarded(text)).startswith("'")
    run = answering(sample_run(hostile=False), text)
    write_csv(run, sample_verdict(run), to=tmp_path / "results.csv")
    answers = [row["answer"] for row in rows_of(tmp_path / "results.csv") if not row["failure"]]
    assert answers
    assert all(answer.startswith("'") for answer in answers)


def test_text_that_is_no_formula_and_numbers_stay_as_they_are() -> None:
    assert guarded("billing = 3, -1 @home") == "billing = 3, -1 @home"
    assert guarded("") == ""
    assert (guarded(None), guarded(-1.5), guarded(7)) == ("", -1.5, 7)
    assert (guarded(cell=True), guarded(cell=False)) == ("yes", "no")


def test_file_opens_as_utf_8_in_excel_and_holds_chinese(tmp_path: Path) -> None:
    run = sample_run()
    write_csv(run, sample_verdict(run), to=tmp_path / "results.csv")
    data = (tmp_path / "results.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert "发票抬头写错了".encode() in data


def test_hostile_answers_of_all_kinds_keep_the_shape_of_the_table(tmp_path: Path) -> None:
    run, verdict = hostile_answers()
    write_csv(run, verdict, to=tmp_path / "results.csv")
    data = (tmp_path / "results.csv").read_bytes()
    data.decode("utf-8")
    assert b"\x00" not in data
    rows = rows_of(tmp_path / "results.csv")
    assert len(rows) == len(run.results)
    assert all(None not in row and None not in row.values() for row in rows)
    assert max(len(cell) for row in rows for cell in row.values()) <= 32_767


def test_line_ends_inside_answers_stay_inside_their_cell(tmp_path: Path) -> None:
    run = answering(sample_run(hostile=False), 'two\r\nlines, "quoted"\rand; more')
    write_csv(run, sample_verdict(run), to=tmp_path / "results.csv")
    answers = {row["answer"] for row in rows_of(tmp_path / "results.csv") if not row["failure"]}
    assert answers == {'two\r\nlines, "quoted"\rand; more'}
