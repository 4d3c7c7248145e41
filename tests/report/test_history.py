"""What became of a case before: found by what it asks, in runs that can be read, and not too many of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import sample_run

from harness.evals import RunWriter, case_digest
from harness.records import Run, Score
from harness.report.history import NO_HISTORY, EarlierScores, history_of

KEY = ("ticket-routing", "billing-0")


def run_of(day: int, *, value: float = 1.0) -> Run:
    """The sample run's routing suite as it was run on a day, the candidate's scores all alike."""
    run = sample_run(hostile=False)
    suite = run.manifest.suites[0]
    cases = {case.id: case for case in suite.cases}
    rows = tuple(
        replace(
            row,
            digest=case_digest(suite, cases[row.case]),
            scores={"label": Score(value=value if row.role == "candidate" else 0.0, reason="read")},
        )
        for row in run.results
        if row.suite == suite.name
    )
    manifest = replace(
        run.manifest,
        id=f"202602{day:02d}T100000Z-run",
        created=f"2026-02-{day:02d}T10:00:00Z",
        suites=(suite,),
        selected={suite.name: tuple(cases)},
    )
    return Run(manifest=manifest, results=rows)


def stored(run: Run, reports: Path) -> Run:
    writer = RunWriter(reports, run.manifest)
    for row in run.results:
        writer.append(row)
    return writer.finish("complete")


@pytest.fixture
def now(tmp_path: Path) -> Run:
    """Today's run, after one on the 1st in which the candidate was wrong and one on the 2nd in which it was right."""
    stored(run_of(1, value=0.0), tmp_path)
    stored(run_of(2), tmp_path)
    return stored(run_of(9), tmp_path)


def test_a_case_is_followed_through_the_runs_before_newest_first(now: Run) -> None:
    history = history_of(now)
    assert [run.id for run in history.runs] == ["20260202T100000Z-run", "20260201T100000Z-run"]
    assert history.cases[KEY] == (
        EarlierScores(run=0, candidate=1.0, reference=0.0, change="improved"),
        EarlierScores(run=1, candidate=0.0, reference=0.0, change="missed"),
    )


def test_a_later_run_is_no_history(now: Run, tmp_path: Path) -> None:
    stored(run_of(20), tmp_path)
    assert len(history_of(now).runs) == 2


def test_a_case_that_asks_something_else_is_another_whatever_its_id(now: Run, tmp_path: Path) -> None:
    run = run_of(3)
    stored(replace(run, results=tuple(replace(row, digest="f" * 64) for row in run.results)), tmp_path)
    assert "20260203T100000Z-run" not in [run.id for run in history_of(now).runs]


def test_the_verdict_is_the_one_written_then_and_unknown_where_there_is_none(
    now: Run, tmp_path: Path
) -> None:
    (tmp_path / "20260202T100000Z-run" / "verdict.json").write_text(
        '{"outcome": "promote", "new": 1}', "utf-8"
    )
    (tmp_path / "20260201T100000Z-run" / "verdict.json").write_text("[half", "utf-8")
    assert [run.outcome for run in history_of(now).runs] == ["promote", ""]


def test_a_run_that_cannot_be_read_is_left_out(now: Run, tmp_path: Path) -> None:
    (tmp_path / "20260202T100000Z-run" / "manifest.json").write_text("{", "utf-8")
    history = history_of(now)
    assert [run.id for run in history.runs] == ["20260201T100000Z-run"]
    assert history.cases[KEY] == (EarlierScores(run=0, candidate=0.0, reference=0.0, change="missed"),)


def test_no_more_runs_and_bytes_are_read_than_is_allowed(now: Run) -> None:
    assert len(history_of(now, most_runs=1).runs) == 1
    assert history_of(now, most_bytes=10).runs == ()


def test_a_run_that_was_not_stored_has_no_history() -> None:
    assert history_of(run_of(1)) == NO_HISTORY
