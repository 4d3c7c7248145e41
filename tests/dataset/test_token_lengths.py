import json
from pathlib import Path

import pytest

from harness.dataset.checking import check_file
from harness.dataset.findings import Finding
from harness.dataset.report import DatasetReport

LIMIT = 4_096


def checked(path: Path, *words: int, model: str = "gpt-3.5-turbo-0613") -> DatasetReport:
    """Ten short rows, then rows whose questions are so many words of one token."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": " hello" * many},
                {"role": "assistant", "content": "yes"},
            ]
        }
        for many in (*[1] * 10, *words)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return check_file(path, model=model)


def too_long(report: DatasetReport) -> list[Finding]:
    return [warning for warning in report.warnings if warning.name == "too_long"]


def test_rows_beyond_the_models_limit_are_named_with_what_is_lost(tmp_path: Path) -> None:
    # A row is billed 3 + role + content of each message, and 1.
    frame = (3 + 1) + (3 + 1 + 1) + 1
    report = checked(tmp_path / "train.jsonl", 4_086, 5_000, 6_000)
    (found,) = too_long(report)
    longest, lost = 6_000 + frame, (5_000 + frame) + (6_000 + frame) - 2 * LIMIT
    assert found == Finding(
        name="too_long",
        level="warning",
        what="2 rows are longer than 4,096 tokens, the limit of gpt-3.5-turbo-0613",
        count=2,
        lines=(12, 13),
        why=f"a job cuts rows at the end, where the answer is; lost: {lost:,} tokens",
        remedy="shorten the context or split the conversations",
        figures={"limit": LIMIT, "longest": longest, "lost": lost},
    )
    assert report.billed_tokens == 10 * (frame + 1) + 3 * LIMIT
    assert report.uncut_tokens == report.billed_tokens + lost


@pytest.mark.parametrize("words", [0, 4_086])
def test_a_row_of_exactly_the_limit_is_not_cut(tmp_path: Path, words: int) -> None:
    report = checked(tmp_path / "train.jsonl", words)
    assert too_long(report) == []
    assert report.billed_tokens == report.uncut_tokens


def test_one_row_is_told_in_the_singular(tmp_path: Path) -> None:
    (found,) = too_long(checked(tmp_path / "train.jsonl", 4_087))
    assert found.what.startswith("1 row is longer than 4,096 tokens")
    assert found.why.endswith("lost: 1 token")


def test_a_model_of_unknown_limit_cuts_nothing(tmp_path: Path) -> None:
    report = checked(tmp_path / "train.jsonl", 20_000, model="acme/own")
    assert too_long(report) == []
    assert report.billed_tokens == report.uncut_tokens
