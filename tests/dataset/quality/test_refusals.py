import json
from pathlib import Path

import pytest

from harness.dataset.checking import check_file
from harness.dataset.findings import Finding

NO = "I'm sorry, but I can't help with that."


def refusal_findings(path: Path, refused: int, answered: int, expected: float | None) -> list[Finding]:
    answers = [NO] * refused + ["The parcel arrives on Thursday."] * answered
    rows = [
        {"messages": [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": answer}]}
        for number, answer in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check_file(path, model="gpt-4o-mini", expected_refusals=expected)
    return [finding for finding in report.findings if finding.name == "refusal_share"]


def test_sixty_percent_where_five_are_wanted_says_how_many_to_remove(tmp_path: Path) -> None:
    (found,) = refusal_findings(tmp_path / "a", 60, 40, 0.05)
    assert found.figures["share"] == pytest.approx(0.6)
    assert "5% are expected" in found.what
    assert "remove 58 of the refusals" in found.remedy
    assert found.lines[:3] == (1, 2, 3)


def test_too_few_refusals_are_told_too(tmp_path: Path) -> None:
    (found,) = refusal_findings(tmp_path / "a", 0, 100, 0.2)
    assert "add 25 rows that refuse" in found.remedy


@pytest.mark.parametrize(
    ("refused", "answered", "expected"), [(5, 95, 0.05), (8, 92, 0.05), (1, 11, None), (3, 7, 0.15)]
)
def test_what_may_be_chance_or_does_not_matter_is_no_finding(
    tmp_path: Path, refused: int, answered: int, expected: float | None
) -> None:
    assert refusal_findings(tmp_path / "a", refused, answered, expected) == []


def test_many_refusals_without_an_expectation_ask_for_one(tmp_path: Path) -> None:
    (found,) = refusal_findings(tmp_path / "a", 30, 70, None)
    assert "--expect-refusals" in found.remedy
