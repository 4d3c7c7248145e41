import json
import shutil
from pathlib import Path

import pytest
from stored_runs import CASES, damage, edit_rows, store

from harness import verdict
from harness.cli import main
from harness.records import Run, Verdict
from harness.verdict import verdict_of

GOOD, BAD = "20260302T120000Z-good-0001", "20260301T120000Z-bad-0002"


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `reports` of a project that is the working folder: the newest run promotes, the older holds."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "reports"
    store(folder, BAD, good="base")
    store(folder, GOOD)
    return folder


class Said:
    """What a command printed and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        capsys.readouterr()
        self.status = main(arguments)
        self.out, self.err = capsys.readouterr()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> object:
        return json.loads(self.out)


# --- runs ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reports")
def test_runs_are_listed_newest_first_with_their_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "runs")
    assert said.status == 0
    assert [line.split() for line in said.lines] == [
        [GOOD, "complete", "promote", str(2 * CASES), "rows", "ft:m:acme::abc123"],
        [BAD, "complete", "hold", str(2 * CASES), "rows", "ft:m:acme::abc123"],
    ]


@pytest.mark.usefixtures("reports")
def test_runs_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert Said(capsys, "runs", "--json").json == [
        {
            "run": name,
            "status": "complete",
            "verdict": verdict,
            "candidate": "ft:m:acme::abc123",
            "rows": 2 * CASES,
            "promoted": False,
        }
        for name, verdict in ((GOOD, "promote"), (BAD, "hold"))
    ]


def test_one_damaged_run_does_not_hide_the_others(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = store(reports, "20260303T120000Z-broken-0003")
    (broken / "manifest.json").write_text("{", encoding="utf-8")
    newer = store(reports, "20260304T120000Z-newer-0004")
    damage(newer, schema=99)
    odd = store(reports, "20260305T120000Z-odd-0005")
    damage(odd, suties=[])
    said = Said(capsys, "runs")
    assert said.status == 0
    assert [line.split()[:2] for line in said.lines] == [
        [odd.name, "damaged"],
        [newer.name, "damaged"],
        [broken.name, "damaged"],
        [GOOD, "complete"],
        [BAD, "complete"],
    ]
    assert "suties: unknown key, did you mean 'suites'?" in said.lines[0]
    assert "has schema 99, this version knows 1 (upgrade finetune-harness)" in said.lines[1]
    assert "not valid JSON" in said.lines[2]
    rows = Said(capsys, "runs", "--json").json
    assert isinstance(rows, list)
    assert [row["status"] for row in rows] == ["damaged"] * 3 + ["complete"] * 2
    assert all("problem" in row for row in rows[:3])


def test_rows_that_cannot_be_judged_are_damage_too(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_rows(reports / GOOD, scores={"exact_match": {"value": 7.5, "reason": "?"}})
    said = Said(capsys, "runs")
    assert said.status == 0
    assert said.lines[0].split()[1] == "damaged"
    assert "a score outside 0..1" in said.lines[0]
    assert said.lines[1].startswith(BAD)


@pytest.mark.usefixtures("reports")
def test_bug_met_in_one_run_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judged(run: Run) -> Verdict:
        if run.manifest.id == GOOD:
            raise ZeroDivisionError("a bug")
        return verdict_of(run)

    monkeypatch.setattr(verdict, "verdict_of", judged)
    said = Said(capsys, "runs")
    assert said.lines[0].split(maxsplit=2)[1:] == ["damaged", "ZeroDivisionError: a bug"]
    assert said.lines[1].startswith(BAD)


def test_run_without_any_row_is_listed(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (reports / GOOD / "results.jsonl").unlink()
    said = Said(capsys, "runs")
    assert said.status == 0
    assert said.lines[0].split()[2:4] == ["undecided", "0"]


@pytest.mark.parametrize("make", [True, False])
def test_no_runs_yet_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], make: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    if make:
        (tmp_path / "reports").mkdir()
    said = Said(capsys, "runs")
    assert (said.status, said.lines) == (0, ["no runs yet: `pytest suites/` makes one"])
    assert Said(capsys, "runs", "--json").json == []


def test_other_files_in_the_folder_are_no_runs(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (reports / "notes.txt").write_text("mine", encoding="utf-8")
    (reports / "empty").mkdir()
    assert len(Said(capsys, "runs").lines) == 2


def test_name_of_a_model_cannot_steer_the_terminal(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(reports, "20260306T120000Z-x-0006", model="evil\x1b[2J\u202e\nmodel")
    said = Said(capsys, "runs")
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out


def test_runs_are_found_from_a_folder_below_the_project(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports.parent / "harness.toml").write_text("", encoding="utf-8")
    inner = reports.parent / "suites"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert len(Said(capsys, "runs").lines) == 2


def test_folder_of_the_configuration_is_used(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports.rename(reports.parent / "elsewhere")
    (reports.parent / "harness.toml").write_text('reports = "elsewhere"\n', encoding="utf-8")
    assert len(Said(capsys, "runs").lines) == 2


def test_folder_of_the_flag_wins(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = reports.parent / "other"
    store(other, GOOD)
    assert len(Said(capsys, "runs", "--reports", str(other)).lines) == 1
    assert Said(capsys, "gate", BAD, "--reports", str(other)).status == 2


@pytest.mark.usefixtures("reports")
def test_folder_of_the_flag_must_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "runs", "--reports", "nowhere")
    assert said.status == 2
    assert said.err == "harness: nowhere: no such folder\n  --reports names the folder that holds the runs\n"


def test_broken_configuration_is_told_with_its_line(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports.parent / "harness.toml").write_text("concurency = 3\n", encoding="utf-8")
    said = Said(capsys, "runs")
    assert said.status == 2
    assert "harness.toml:1: concurency: unknown key, did you mean 'concurrency'?" in said.err


# --- which run -------------------------------------------------------------------------------------


def test_run_is_named_by_id_by_folder_or_as_the_latest(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (GOOD, str(reports / GOOD), f"reports/{GOOD}", "latest"):
        assert Said(capsys, "gate", name).status == 0
    for name in (BAD, str(reports / BAD)):
        assert Said(capsys, "gate", name).status == 1


def test_run_elsewhere_needs_no_reports_folder(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = reports.parent / "attached"
    shutil.move(reports / GOOD, moved)
    shutil.rmtree(reports)
    assert Said(capsys, "gate", "attached").status == 0


@pytest.mark.usefixtures("reports")
def test_unknown_run_is_told_with_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "show", GOOD.replace("good", "goood"))
    assert said.status == 2
    assert said.out == ""
    assert f"did you mean '{GOOD}'?" in said.err
    far = Said(capsys, "show", "something-else")
    assert "no run 'something-else' in " in far.err
    assert "`harness runs` lists them" in far.err


@pytest.mark.parametrize("command", ["show", "gate", "report"])
def test_latest_of_no_runs_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    said = Said(capsys, command, "latest")
    assert said.status == 2
    assert "`pytest suites/` makes one" in said.err


@pytest.mark.parametrize("command", ["show", "gate", "report"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 2}, ["has schema 2, this version knows 1", "upgrade finetune-harness"]),
        (
            {"status": "finished"},
            ["is damaged: status: 'finished' is not one of", "restore it or delete the folder"],
        ),
    ],
)
def test_run_that_cannot_be_read_is_not_judged(
    reports: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    changes: dict[str, object],
    words: list[str],
) -> None:
    damage(reports / GOOD, **changes)
    said = Said(capsys, command, GOOD)
    assert said.status == 1
    assert said.out == ""
    assert all(word in said.err for word in words)


# --- show and gate ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("reports")
def test_gate_answers_with_its_status_and_show_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert [Said(capsys, "gate", name).status for name in (GOOD, BAD)] == [0, 1]
    assert [Said(capsys, "show", name).status for name in (GOOD, BAD)] == [0, 0]


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize("command", ["show", "gate"])
def test_table_and_verdict_are_printed(capsys: pytest.CaptureFixture[str], command: str) -> None:
    said = Said(capsys, command, GOOD)
    assert "verdict: PROMOTE" in said.lines
    (row,) = (line.split() for line in said.lines if line.startswith("numbers"))
    assert row[1:6] == ["target", str(CASES), "0.0", "100.0", "+100.0"]


@pytest.mark.usefixtures("reports")
def test_verdict_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "gate", BAD, "--json")
    assert said.status == 1
    verdict = said.json
    assert isinstance(verdict, dict)
    assert verdict["outcome"] == "hold"
    assert verdict["suites"]["numbers"]["difference"] == -1.0


def test_verdict_is_computed_from_the_rows_not_read_from_its_file(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports / BAD / "verdict.json").write_text('{"outcome": "promote"}', encoding="utf-8")
    assert Said(capsys, "gate", BAD).status == 1


def test_run_that_lacks_answers_never_promotes(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = reports / GOOD / "results.jsonl"
    rows = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(rows[:-2]) + rows[-1][:50], encoding="utf-8")
    damage(reports / GOOD, status="interrupted")
    said = Said(capsys, "gate", GOOD)
    assert said.status == 1
    assert "verdict: UNDECIDED" in said.lines


# --- report ----------------------------------------------------------------------------------------


def test_page_is_written_again(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = reports / GOOD / "index.html"
    said = Said(capsys, "report", "latest")
    assert said.status == 0
    assert said.lines == [str(page)]
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    facts = Said(capsys, "report", GOOD, "--json").json
    assert isinstance(facts, dict)
    assert facts["page"] == str(page)


def test_page_shows_the_stored_curve(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Said(capsys, "report", GOOD)
    before = (reports / GOOD / "index.html").read_text(encoding="utf-8")
    (reports / GOOD / "curve.csv").write_text(
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.0,0.5,,\n2,1.0,0.6,1.5,0.55\n",
        encoding="utf-8",
    )
    assert Said(capsys, "report", GOOD).status == 0
    assert len((reports / GOOD / "index.html").read_text(encoding="utf-8")) > len(before)


def test_damaged_curve_is_told(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (reports / GOOD / "curve.csv").write_text("nonsense\n", encoding="utf-8")
    said = Said(capsys, "report", GOOD)
    assert said.status == 2
    assert "curve.csv" in said.err


def test_page_that_cannot_be_written_is_told_with_the_remedy(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports / GOOD / "index.html").mkdir()
    (reports / GOOD / "index.html" / "x").touch()
    said = Said(capsys, "report", GOOD)
    assert said.status == 1
    assert "index.html cannot be written: " in said.err
    assert "copy the run to a folder that can be written" in said.err
