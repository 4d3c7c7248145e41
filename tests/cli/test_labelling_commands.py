import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.evals import LABELS, PAGE, VERDICT, open_run
from harness.labelling import items_of
from harness.records import Gate, ScorerSpec
from tests.judged_runs import by_truth, erring, filled, judged_suite, store_judged, truth_of

CASES = 120
RUN = "20260401T120000Z-judged-0001"
TRUTH = truth_of(CASES, candidate=0.5, base=0.5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose judge finds half of the candidate's bad answers good; the project is the working folder."""
    monkeypatch.chdir(tmp_path)
    flattering = erring(TRUTH, false_good={"candidate": 0.5, "base": 0.0}, false_bad=0.0)
    gates = (Gate(metric="manners", at_least=0.7),)
    return store_judged(tmp_path / "reports", flattering, suite=judged_suite(CASES), gates=gates)


def run_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main(arguments)
    said = capsys.readouterr()
    return status, said.out, said.err


def labelled(folder: Path, capsys: pytest.CaptureFixture[str], *, cases: int = 60) -> Path:
    """The sheet of the run, filled in by somebody who knows."""
    assert run_command(capsys, "label", RUN, "--n", str(cases), "--out", "sheet.csv")[0] == 0
    items = items_of(open_run(folder), "manners")
    return filled(Path("sheet.csv"), by_truth(items, TRUTH), out=Path("ann.csv"))


def test_a_sheet_is_written_where_one_works_and_never_over_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run_command(capsys, "label", "latest", "--n", "5")
    assert status == 0
    assert out.splitlines() == [
        f"labels-{RUN}.csv: 10 rows to label",
        f"then: harness calibrate {RUN} FILLED.csv",
    ]
    assert Path(f"labels-{RUN}.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    status, _, err = run_command(capsys, "label", "latest", "--n", "5")
    assert status == 2
    assert "is there already" in err


def test_a_page_is_written_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(capsys, "label", RUN, "--n", "5", "--format", "html")[0] == 0
    assert Path(f"labels-{RUN}.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_labels_turn_the_verdict_and_every_later_command_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, before, _ = run_command(capsys, "gate", RUN)
    assert status == 0
    assert "verdict: PROMOTE" in before
    status, out, _ = run_command(capsys, "calibrate", RUN, str(labelled(folder, capsys)))
    assert status == 0
    assert "read 120 labelled rows by ann; 0 without a label" in out
    assert "manners: 60 of 120 cases labelled on both sides, judge judge-1" in out
    assert "the verdict with these labels: HOLD" in out
    status, after, _ = run_command(capsys, "gate", RUN)
    assert status == 1
    assert "paired t, corrected by labels" in after
    assert "corrected by labels on 60 cases" in after
    assert run_command(capsys, "show", RUN)[1].startswith(after), "the same, and what to do next"
    assert "corrected by labels on 60 cases" in (folder / PAGE).read_text(encoding="utf-8")
    assert json.loads((folder / VERDICT).read_text(encoding="utf-8"))["outcome"] == "hold"


def test_the_figures_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_command(capsys, "calibrate", RUN, str(labelled(folder, capsys)), "--json")
    assert status == 0
    (suite,) = json.loads(out)
    figures = {figure["name"]: figure for figure in suite["figures"]}
    assert set(figures) == {"candidate", "base", "difference"}
    assert figures["candidate"]["judge_alone"] > 0.7
    assert figures["candidate"]["corrected"] < 0.6
    assert figures["base"]["judge_error"] == pytest.approx(0.0)
    low, high = figures["difference"]["interval"]
    truth = {
        role: sum(value for (_, one), value in TRUTH.items() if one == role) / CASES
        for role in ("candidate", "base")
    }
    assert low < truth["candidate"] - truth["base"] < high
    assert 0.6 < suite["kappa"] < 0.9
    assert 0.0 <= suite["trust"] <= 1.0
    assert (suite["cases"], suite["warnings"]) == (60, [])


def test_few_labels_are_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_command(capsys, "calibrate", RUN, str(labelled(folder, capsys, cases=20)))
    assert "warning: only 20 labelled cases" in out
    assert "50 are advised" in out


def test_much_that_nobody_can_say_is_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = labelled(folder, capsys)
    items = items_of(open_run(folder), "manners")
    known = by_truth(items, TRUTH)
    unsure = {item.id for number, item in enumerate(items) if number % 4 == 0}
    filled(sheet, lambda one: "cannot say" if one in unsure else known(one), out=Path("bo.csv"))
    _, out, _ = run_command(capsys, "calibrate", RUN, "bo.csv")
    assert "warning: people cannot say on " in out
    assert "% of kindness" in out


def test_mistakes_are_told_together_and_nothing_is_stored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(capsys, "label", RUN, "--n", "3", "--out", "sheet.csv")
    filled(Path("sheet.csv"), lambda _: "oen", out=Path("ann.csv"))
    status, _, err = run_command(capsys, "calibrate", RUN, "ann.csv")
    assert status == 2
    assert err.count("'oen' is no label") == 6
    assert not (folder / LABELS).exists()


def test_an_empty_sheet_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(capsys, "label", RUN, "--n", "3", "--out", "sheet.csv")
    status, _, err = run_command(capsys, "calibrate", RUN, "sheet.csv")
    assert status == 2
    assert "no row has a label" in err


def test_a_sheet_of_another_run_is_refused_and_a_repeated_run_takes_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another run's answers are others; a run repeated from the cache has the same."""
    sheet = labelled(folder, capsys)
    flattering = erring(TRUTH, false_good={"candidate": 0.5, "base": 0.0}, false_bad=0.0)
    store_judged(folder.parent, flattering, suite=judged_suite(CASES), name="repeated")
    store_judged(
        folder.parent,
        flattering,
        suite=judged_suite(CASES),
        name="newer",
        say=lambda case, role: f"{case} {role}",
    )
    assert run_command(capsys, "calibrate", "repeated", str(sheet))[0] == 0
    status, _, err = run_command(capsys, "calibrate", "newer", str(sheet))
    assert status == 2
    assert "was written for another run" in err


def test_a_run_without_a_judge_has_nothing_to_label(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exact = judged_suite(5, scorers=(ScorerSpec(type="exact_match", name="exact_match"),))
    store_judged(folder.parent, truth_of(5, candidate=1.0, base=0.0), suite=exact, name="plain")
    status, _, err = run_command(capsys, "label", "plain")
    assert status == 2
    assert "no suite of plain has a judge" in err


def test_no_case_is_no_sheet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run_command(capsys, "label", RUN, "--n", "0")
    assert status == 2
    assert "--n is 0" in err


def test_the_page_tells_how_much_people_labelled_and_not_who(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(capsys, "calibrate", RUN, str(labelled(folder, capsys)))
    page = (folder / PAGE).read_text(encoding="utf-8")
    assert "Labels by people" in page
    assert "120 answers" in page
    assert ">ann<" not in page
