"""docs/reports.md names what there is: every key of the facts, every column of the table, every property, every flag."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from harness.cli import main
from harness.records import Advice
from harness.report import csv_rows, markdown
from harness.report.facts import GateFacts, ModelFigures, Regression, RunFacts, SuiteFacts

GUIDE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
JUNIT = (Path(__file__).parents[2] / "harness" / "pytest_plugin" / "junit.py").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return GUIDE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    """The names in the first cells of a table."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]


def test_every_key_of_the_facts_is_documented_and_no_other() -> None:
    assert sorted(first_cells(section("Facts as JSON"))) == sorted(
        [*(item.name for item in fields(RunFacts)), "page"]
    )


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("models", ModelFigures),
        ("suites", SuiteFacts),
        ("gates", GateFacts),
        ("regressions", Regression),
        ("advice", Advice),
    ],
)
def test_every_key_of_the_inner_facts_is_documented(key: str, kind: type) -> None:
    (row,) = [line for line in GUIDE.splitlines() if line.startswith(f"| `{key}`")]
    said = re.findall(r"`([^`]+)`", row.split("|")[2])
    assert said == [item.name for item in fields(kind)]


def test_columns_of_the_table_are_documented_in_their_order() -> None:
    told = section("Results as a table").split("Columns:", 1)[1].split(";", 1)[0]
    assert tuple(re.findall(r"`([^`]+)`", told)) == csv_rows.COLUMNS


def test_properties_are_documented() -> None:
    written = re.findall(r'yield f?"([a-z_{}]+)"', JUNIT)
    roles = ("candidate", "base", "promoted")
    names = {name.replace("{role}", role) for name in written for role in roles}
    assert set(first_cells(section("JUnit"))) == names


def test_limits_are_those_of_the_code() -> None:
    assert f"{markdown.LIMIT:,} bytes" in GUIDE
    assert f"{csv_rows.MOST_LETTERS:,} characters" in GUIDE


@pytest.mark.parametrize("flag", ["--markdown", "--json", "--csv", "--html", "--link", "--lang"])
def test_flags_are_those_of_the_command(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    assert flag in capsys.readouterr().out
