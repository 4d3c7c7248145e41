import json
from pathlib import Path

import pytest

from harness import check_dataset
from harness.errors import SuiteError, UsageError

SUITE = """
name: routing
role: target
scorers: [{type: exact_match}]
cases:
  - {id: parcel, prompt: "Where is the parcel I ordered on Monday?", expected: delivery}
  - {id: short, prompt: "Hello", expected: greeting}
"""


def training_file(path: Path, *asked: str) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "delivery"}]}
        for text in asked
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_a_suite_asks_is_found_among_the_training_rows(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "routing.suite.yaml").write_text(SUITE)
    train = training_file(
        tmp_path / "train.jsonl", "Hello", "where is the parcel  i ordered on Monday?", "Who are you?"
    )
    report = check_dataset(train, model="smollm2-135m-instruct", suites=tmp_path / "suites")
    leak = next(warning for warning in report.warnings if warning.name == "suite_leak")
    assert leak.lines == (2,)
    assert leak.figures == {"cases": [["routing", "parcel"]]}


def test_a_suite_that_asks_with_another_system_prompt_than_the_training_rows_is_told(tmp_path: Path) -> None:
    (tmp_path / "routing.suite.yaml").write_text(SUITE.replace("cases:", "system: Be brief.\ncases:"))
    report = check_dataset(
        training_file(tmp_path / "train.jsonl", "Who are you?", "And who is she?"),
        model="gpt-4o-mini",
        suites=tmp_path,
    )
    drift = next(warning for warning in report.warnings if warning.name == "system_prompt_drift")
    assert drift.figures["cases"] == [["routing", "parcel"], ["routing", "short"]]
    assert "'Be brief.' 2" in drift.what


def test_no_suites_or_broken_ones_are_errors(tmp_path: Path) -> None:
    train = training_file(tmp_path / "train.jsonl", "a")
    with pytest.raises(UsageError, match="no suites there"):
        check_dataset(str(train), model="gpt-4o-mini", suites=str(tmp_path))
    (tmp_path / "bad.suite.yaml").write_text("name: 5")
    with pytest.raises(SuiteError):
        check_dataset(train, model="gpt-4o-mini", suites=tmp_path)
