"""What a terminal and a page both say of a checked file."""

from dataclasses import replace
from pathlib import Path

import pytest
from training_samples import chat, labelled, write

from harness.dataset import DatasetReport, Finding, check_file
from harness.records import Json
from harness.report.checked_file import answer_of_check, findings_of, next_step, told_lines, usd_digits

MODEL = "own-model"


def checked(tmp_path: Path, rows: list[Json], **more: Path) -> DatasetReport:
    return check_file(write(tmp_path / "train.jsonl", rows), model=MODEL, **more)


def finding(**changes: object) -> Finding:
    plain = Finding(name="x", level="warning", what="w", count=3, lines=(4,), why="y", remedy="r")
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_gravest_findings_come_first_then_those_of_most_rows(tmp_path: Path) -> None:
    report = checked(tmp_path, labelled(20, "a"))
    given = [
        finding(name="note", level="note", count=90),
        finding(name="few", count=1),
        finding(name="none", count=0),
        finding(name="many", count=9),
        finding(name="error", level="error", count=1),
    ]
    ordered = findings_of(replace(report, warnings=tuple(given[:3]), findings=tuple(given[3:])))
    assert [each.name for each in ordered] == ["error", "many", "few", "none", "note"]


@pytest.mark.parametrize(
    ("lines", "most", "told"),
    [
        ((3,), 9, "3"),
        ((3, 4, 7, 8, 9), 9, "3, 4, 7-9"),
        (tuple(range(1, 21)), 2, "1-20"),
        ((1, 3, 5, 7), 2, "1, 3 ... of 20"),
    ],
    ids=str,
)
def test_lines_that_follow_each_other_are_a_range(lines: tuple[int, ...], most: int, told: str) -> None:
    count = 20 if "of" in told else len(lines)
    assert told_lines(finding(lines=lines, count=count), most) == told


def test_next_step_of_a_broken_file_is_where_to_begin(tmp_path: Path) -> None:
    broken = checked(tmp_path, [*labelled(20, "a"), {"messages": []}])
    assert next_step(broken) == "mend train.jsonl from line 21 on, and check it again"
    assert answer_of_check(replace(broken, warnings=())) == "1 mistake: not fit for a job"


def test_next_step_of_a_foreign_file_is_the_command_that_converts_it(tmp_path: Path) -> None:
    said = next_step(checked(tmp_path, [{"instruction": "a", "output": "b"}] * 12))
    assert said.startswith("`harness data convert ")
    assert f"{tmp_path}/train.jsonl" in said
    assert "--from alpaca`" in said


def test_next_step_of_too_few_rows_is_to_add_some(tmp_path: Path) -> None:
    assert next_step(checked(tmp_path, labelled(3, "a"))).startswith("add rows")


def test_next_step_of_a_mistake_among_validation_rows_names_their_file(tmp_path: Path) -> None:
    valid = write(tmp_path / "valid.jsonl", [*labelled(3, "a"), {"messages": []}])
    report = checked(tmp_path, labelled(20, "a"), valid=valid)
    assert next_step(report) == "mend valid.jsonl from line 4 on, and check it again"


def test_next_step_of_a_fit_file_is_its_quality_then_validation_then_training(tmp_path: Path) -> None:
    doubtful = checked(tmp_path, [*labelled(20, "Yes, of course."), chat("q", "one"), chat("q", "two")])
    assert next_step(doubtful) == "settle what costs quality, conflicting_answers first (from line 21 on)"
    alone = checked(tmp_path, labelled(20, "Yes, of course."))
    assert next_step(alone).startswith("`harness data split ")
    valid = write(tmp_path / "valid.jsonl", labelled(26, "Yes, of course.")[20:])
    assert "pytest suites/" in next_step(checked(tmp_path, labelled(20, "Yes, of course."), valid=valid))


def test_amounts_that_stand_together_have_the_digits_the_smallest_needs() -> None:
    assert usd_digits([12.0, 0.5]) == 2
    assert usd_digits([12.0, 0.05]) == 4
    assert usd_digits([None, 0.0]) == 2
