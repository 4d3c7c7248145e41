import json
import shutil
import subprocess
from pathlib import Path

import pytest
from stored_runs import CASES, damage, edit_rows, store

from harness.cli import main

GOOD, BAD = "20260302T120000Z-good-0001", "20260301T120000Z-bad-0002"
REASON = "the provider switches the old one off tonight"


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `reports` of a project that is the working folder: the newest run promotes, the older holds."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    for key, value in (("name", "Ada Lovelace"), ("email", "ada@example.org")):
        subprocess.run(["git", "config", f"user.{key}", value], check=True)
    folder = tmp_path / "reports"
    store(folder, BAD, good="base", model="ft:m:acme::old")
    store(folder, GOOD)
    return folder


class Said:
    """What a command printed and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        self.status = main(arguments)
        self.out, self.err = capsys.readouterr()


def on_record(reports: Path) -> list[dict[str, object]]:
    text = (reports / "promoted.json").read_text(encoding="utf-8")
    promotions = json.loads(text)["promotions"]
    assert isinstance(promotions, list)
    return promotions


# --- promote ---------------------------------------------------------------------------------------


def test_promotion_is_recorded_with_who_when_and_why(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Said(capsys, "promote", "latest")
    assert said.status == 0
    assert said.out.splitlines() == [
        "promoted ft:m:acme::abc123 (test), by Ada Lovelace <ada@example.org>",
        "recorded in reports/promoted.json: commit it",
        f"for runs elsewhere to reuse its answers: git add -f reports/{GOOD}/manifest.json reports/{GOOD}/results.jsonl",
    ]
    (promotion,) = on_record(reports)
    assert promotion["run"] == GOOD
    assert promotion["by"] == "Ada Lovelace <ada@example.org>"
    assert promotion["verdict"] == "promote"
    assert promotion["override"] is None
    assert str(promotion["reason"]).startswith("numbers improved by 100 points")


def test_name_that_is_given_is_recorded(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Said(capsys, "promote", GOOD, "--by", "the release\njob")
    assert on_record(reports)[0]["by"] == "the release job"


@pytest.mark.parametrize("flag", ["--by", "--override"])
def test_saying_nothing_is_no_name_and_no_reason(
    reports: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    said = Said(capsys, "promote", GOOD, flag, " \t")
    assert said.status == 2
    assert f"{flag} says nothing" in said.err
    assert not (reports / "promoted.json").exists()


def test_run_without_a_promote_verdict_is_refused_with_its_reasons(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Said(capsys, "promote", BAD)
    assert (said.status, said.out) == (1, "")
    assert f"{BAD} is not promoted: its verdict is HOLD" in said.err
    assert "  - numbers got worse by 100 points" in said.err
    assert "--override REASON" in said.err
    assert not (reports / "promoted.json").exists()


def test_verdict_is_computed_from_the_rows_not_read_from_its_file(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports / BAD / "verdict.json").write_text('{"outcome": "promote"}', encoding="utf-8")
    assert Said(capsys, "promote", BAD).status == 1


def test_override_keeps_its_reason_and_the_verdict(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "promote", BAD, "--override", REASON)
    assert said.status == 0
    assert "the verdict was HOLD; the reason to override it stays on record" in said.out
    (promotion,) = on_record(reports)
    assert (promotion["verdict"], promotion["override"]) == ("hold", REASON)
    shown = Said(capsys, "promoted").out
    assert f"overridden: {REASON}" in shown


def test_interrupted_run_needs_a_reason(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(reports / GOOD, status="interrupted")
    assert Said(capsys, "promote", GOOD).status == 1
    assert Said(capsys, "promote", GOOD, "--override", REASON).status == 0
    assert (on_record(reports)[0]["status"], on_record(reports)[0]["verdict"]) == ("interrupted", "undecided")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "running"}, "is not at its end"),
        ({"schema": 99}, "has schema 99"),
        ({"suties": []}, "is damaged: suties: unknown key"),
    ],
)
def test_run_nobody_can_vouch_for_is_refused_whatever_the_reason(
    reports: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], words: str
) -> None:
    damage(reports / GOOD, **changes)
    for override in ((), ("--override", REASON)):
        said = Said(capsys, "promote", GOOD, *override)
        assert said.status == 1
        assert words in said.err
    assert not (reports / "promoted.json").exists()


def test_rows_that_cannot_be_judged_are_refused_whatever_the_reason(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_rows(reports / GOOD, scores={"exact_match": {"value": 7.5, "reason": "?"}})
    said = Said(capsys, "promote", GOOD, "--override", REASON)
    assert said.status == 1
    assert "is damaged" in said.err


def test_run_that_is_in_production_is_not_promoted_twice(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Said(capsys, "promote", GOOD)
    said = Said(capsys, "promote", GOOD, "--by", "Grace")
    assert said.status == 0
    assert said.out.startswith("ft:m:acme::abc123 is in production already: since ")
    assert len(on_record(reports)) == 1


def test_newer_run_of_the_model_in_production_takes_the_records_place(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Said(capsys, "promote", GOOD)
    again = store(reports, "20260303T120000Z-again-0003")
    said = Said(capsys, "promote", again.name)
    assert "it was in production already, since " in said.out
    assert [one["run"] for one in on_record(reports)] == [again.name, GOOD]


def test_run_that_was_compared_with_another_model_is_told(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Said(capsys, "promote", BAD, "--override", REASON)
    said = Said(capsys, "promote", GOOD)
    assert said.status == 0
    assert "note: this run compared it with m, not with ft:m:acme::old" in said.out


def test_broken_record_is_not_written_over(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (reports / "promoted.json").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    said = Said(capsys, "promote", GOOD)
    assert said.status == 1
    assert "promoted.json:1: git could not merge it" in said.err
    assert (reports / "promoted.json").read_text(encoding="utf-8") == "<<<<<<< HEAD\n"
    assert Said(capsys, "promoted").status == 1


def test_run_from_elsewhere_is_recorded_here(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move(reports / GOOD, reports.parent / "attached")
    said = Said(capsys, "promote", "attached")
    assert said.status == 0
    assert "git add -f" not in said.out
    assert on_record(reports)[0]["run"] == GOOD


# --- promoted and runs -----------------------------------------------------------------------------


@pytest.mark.usefixtures("reports")
def test_nothing_promoted_yet_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "promoted")
    assert (said.status, said.out) == (0, "no model is promoted yet: `harness promote RUN` records one\n")
    assert Said(capsys, "promoted", "--json").out == "null\n"
    assert Said(capsys, "promoted", "--json", "--history").out == "[]\n"


@pytest.mark.usefixtures("reports")
def test_history_is_shown_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    Said(capsys, "promote", BAD, "--override", REASON)
    Said(capsys, "promote", GOOD)
    history = Said(capsys, "promoted", "--history").out.splitlines()
    assert [line.split()[1] for line in history[::2]] == ["ft:m:acme::abc123", "ft:m:acme::old"]
    both = json.loads(Said(capsys, "promoted", "--history", "--json").out)
    assert [one["run"] for one in both] == [GOOD, BAD]
    assert json.loads(Said(capsys, "promoted", "--json").out) == both[0]


@pytest.mark.usefixtures("reports")
def test_runs_say_which_is_in_production(capsys: pytest.CaptureFixture[str]) -> None:
    Said(capsys, "promote", GOOD)
    first, second = Said(capsys, "runs").out.splitlines()
    assert first.endswith("  (in production)")
    assert "production" not in second
    rows = json.loads(Said(capsys, "runs", "--json").out)
    assert [row["promoted"] for row in rows] == [True, False]


@pytest.mark.usefixtures("reports")
def test_run_that_was_promoted_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    Said(capsys, "promote", BAD, "--override", REASON, "--by", "Ada")
    last = Said(capsys, "show", BAD).out.splitlines()[-1]
    assert last.startswith("promoted 20")
    assert last.endswith(f", by Ada, overriding the verdict: {REASON}")
    assert "by Ada" not in Said(capsys, "show", GOOD).out


def test_broken_record_hides_no_run(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (reports / "promoted.json").write_text("{", encoding="utf-8")
    said = Said(capsys, "runs")
    assert said.status == 0
    assert len(said.out.splitlines()) == 2
    assert "promoted.json is damaged" in said.err


def test_record_cannot_steer_the_terminal(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = store(reports, "20260306T120000Z-x-0006", model="evil\x1b[2J\u202e\nmodel")
    for said in (
        Said(capsys, "promote", evil.name),
        Said(capsys, "promoted"),
        Said(capsys, "promoted", "--history"),
    ):
        assert said.status == 0
        assert "\x1b" not in said.out
        assert "\u202e" not in said.out


# --- compare ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reports")
def test_candidates_of_two_runs_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "compare", BAD, GOOD)
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[:2] == [f"A  {BAD}  ft:m:acme::old (test)", f"B  {GOOD}  ft:m:acme::abc123 (test)"]
    (row,) = (line.split() for line in lines if line.startswith("numbers  "))
    assert row[1:5] == [str(CASES), "0.0", "100.0", "+100.0"]
    assert f"improved  numbers: {CASES} (n0, n1, " in said.out
    back = Said(capsys, "compare", GOOD, BAD)
    assert f"regressed numbers: {CASES} (n0, n1, " in back.out


@pytest.mark.usefixtures("reports")
def test_comparison_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(Said(capsys, "compare", BAD, GOOD, "--json").out)
    assert (found["earlier"], found["later"]) == (BAD, GOOD)
    assert found["suites"]["numbers"]["difference"] == 1.0
    assert {case["change"] for case in found["cases"]} == {"improved"}


def test_runs_without_a_case_in_common_are_refused(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((reports / GOOD / "manifest.json").read_text(encoding="utf-8"))
    manifest["suites"][0]["scorers"][0]["settings"] = {"field": "other"}
    (reports / GOOD / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    said = Said(capsys, "compare", BAD, GOOD)
    assert said.status == 1
    assert "refused   numbers: its scorers are others, so no case is judged alike" in said.out
    assert "nothing can be compared" in said.out


@pytest.mark.usefixtures("reports")
def test_unknown_run_is_a_mistake_of_the_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert Said(capsys, "compare", BAD, "nothing").status == 2
