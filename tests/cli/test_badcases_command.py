import json
from pathlib import Path

import pytest
from stored_runs import CASES, damage, edit_rows, store

from harness.cli import main

ROWS = [
    {"messages": [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "no idea"}]}
    for number in range(5)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    store(tmp_path / "reports", "bad", good="base")
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["badcases", *arguments])
    return status, *capsys.readouterr()


def test_failing_cases_are_told_and_rows_begun_for_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = said(capsys, "bad", "--out", "rows.jsonl", "--train", "train.jsonl", "--siblings", "3")
    assert status == 0
    assert f"{CASES} of {CASES} cases fail" in out
    assert "numbers: n0 (regressed)" in out
    assert "answered  no idea" in out
    assert "line 1 (" in out
    assert "never the cases themselves" in out
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 3 * CASES
    assert [message["role"] for message in rows[0]["messages"]] == ["user", "assistant"]
    sheet = (folder / "rows.md").read_text()
    assert "## Lines 1, 2, 3: numbers: n0" in sheet
    assert "Never the case itself" in sheet


def test_a_skeleton_is_refused_until_it_is_written_and_holds_no_case(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "bad", "--out", "rows.jsonl")
    assert main(["data", "check", "rows.jsonl"]) == 1
    out = capsys.readouterr().out
    assert "ERROR unwritten_row: 40" in out
    assert "rows.jsonl:1: messages[0]: still to be written: a row of `harness badcases`" in out
    assert "0 of 40 rows can be trained on" in out
    status, out, _ = said(capsys, "bad", "--check", "rows.jsonl")
    assert status == 1
    assert "rows.jsonl:1: messages[0]: still to be written" in out
    assert "rows.jsonl: 40 of 40 rows must not be trained on" in out
    assert not any(f'"{number}?"' in (folder / "rows.jsonl").read_text() for number in range(CASES))


def test_filled_rows_are_checked_against_every_case(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "train.jsonl").write_text(json.dumps(ROWS[1]) + "\n")
    status, out, _ = said(capsys, "bad", "--check", "train.jsonl")
    assert status == 1
    assert "train.jsonl:1: is the case numbers: n1, write about another matter" in out
    sibling = {
        "messages": [
            {"role": "user", "content": "How many legs has a cat?"},
            {"role": "assistant", "content": "4"},
        ]
    }
    (folder / "train.jsonl").write_text(json.dumps(sibling) + "\n")
    status, out, _ = said(capsys, "bad", "--check", "train.jsonl")
    assert (status, out) == (0, "train.jsonl: none of 1 rows is a case of the run's suites\n")
    status, out, _ = said(capsys, "bad", "--check", "train.jsonl", "--json")
    assert (status, json.loads(out)["repeats"]) == (0, [])


def test_nothing_is_written_over_without_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rows.md").write_text("mine")
    status, _, err = said(capsys, "bad", "--out", "rows.jsonl")
    assert status == 2
    assert "rows.md is there already" in err
    assert "--force" in err
    assert (folder / "rows.md").read_text() == "mine"
    assert not (folder / "rows.jsonl").exists()
    assert said(capsys, "bad", "--out", "rows.jsonl", "--force")[0] == 0


def test_the_training_file_is_never_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "train.jsonl").read_bytes()
    status, _, err = said(capsys, "bad", "--out", "train.jsonl", "--train", "train.jsonl", "--force")
    assert status == 2
    assert "train.jsonl would be written over" in err
    assert (folder / "train.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--out", "rows.csv"], "ends in .jsonl"),
        (["--out", "rows.jsonl", "--siblings", "0"], "at least 1"),
        (["--out", "rows.jsonl", "--neighbours", "-1"], "at least 0"),
        (["--out", "rows.jsonl", "--train", "gone.jsonl"], "gone.jsonl: no such file"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_is_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = said(capsys, "bad", *arguments)
    assert status in {1, 2}
    assert told in err


@pytest.mark.usefixtures("folder")
def test_without_a_training_file_everything_else_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "bad", "--out", "rows.jsonl")
    assert status == 0
    assert "note: no training file is known: give it as --train FILE" in out
    assert f"{CASES} no training file" in out
    assert "line 1 (" not in out


def test_the_configured_file_is_taken_and_a_changed_one_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "harness.toml").write_text('train = "train.jsonl"\n')
    damage(folder / "reports" / "bad", data={"train": "0" * 64})
    out = said(capsys, "bad", "--out", "rows.jsonl")[1]
    assert "has changed since" in out
    assert "line 1 (" in out


def test_a_run_without_failing_cases_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(folder / "reports", "fine")
    status, out, _ = said(capsys, "fine", "--out", "rows.jsonl")
    assert status == 0
    assert f"0 of {CASES} cases fail" in out
    assert not (folder / "rows.jsonl").exists()


def test_hostile_text_steers_no_terminal_and_is_no_markup(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_rows(folder / "reports" / "bad", outcome={"text": "\x1b[2J<script>\u202e# no heading"})
    hostile = {
        "messages": [{"role": "user", "content": "3?\x1b[31m"}, {"role": "assistant", "content": "\x07"}]
    }
    (folder / "train.jsonl").write_text(json.dumps(hostile) + "\n")
    _, out, _ = said(capsys, "bad", "--out", "rows.jsonl", "--train", "train.jsonl")
    sheet = (folder / "rows.md").read_text(encoding="utf-8")
    for text in (out, sheet):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "    [2J<script> # no heading" in " ".join(sheet.split("\n"))


@pytest.mark.usefixtures("folder")
def test_everything_is_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "bad", "--out", "rows.jsonl", "--train", "train.jsonl", "--json")
    found = json.loads(out)
    assert (len(found["cases"]), found["train"]) == (CASES, "train.jsonl")
    first = found["cases"][0]
    assert first["reasons"] == {"exact_match": "compared"}
    assert {"line", "prompt", "answer", "similarity", "is_near", "lesson"} == set(first["rows"][0])
