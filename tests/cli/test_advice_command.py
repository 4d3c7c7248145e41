import json
from pathlib import Path

import pytest
from stored_runs import store

from harness.advice import RULES
from harness.cli import main
from harness.evals import CURVE

GOOD, BAD = "20260302T120000Z-good-0001", "20260301T120000Z-bad-0002"
OVERFIT = "step,train_loss,valid_loss,full_valid_loss\n1,2.0,,\n50,0.5,,1.0\n100,0.3,,1.2\n150,0.2,,1.5\n"


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `reports` of a project that is the working folder: one run promotes, the older holds and overfitted."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "reports"
    (store(folder, BAD, good="base") / CURVE).write_text(OVERFIT, encoding="utf-8")
    store(folder, GOOD)
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    capsys.readouterr()
    assert main(arguments) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("reports")
def test_advice_is_told_in_order_with_what_was_seen_and_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "advice", BAD)
    assert lines[0].startswith("1. train 1 to 2 epochs less")
    assert lines[1].startswith("   saw:  the loss of the whole validation file was lowest after epoch 1 of 3")
    assert lines[2].startswith("   rule: OpenAI's fine-tuning guide")
    assert lines[3].startswith("2. add rows like numbers")


@pytest.mark.usefixtures("reports")
def test_a_run_that_promotes_is_to_be_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "advice", "latest")[0] == f"1. ship it: harness promote {GOOD}"


@pytest.mark.usefixtures("reports")
def test_advice_as_json_has_words_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads("\n".join(said(capsys, "advice", BAD, "--json")))
    assert told["run"] == BAD
    assert [advice["action"] for advice in told["advice"]] == ["fewer_epochs", "more_data", "cleaner_data"]
    assert set(told["advice"][0]) == {"action", "says", "saw", "source"}
    assert {advice["source"] for advice in told["advice"]} <= {rule.source for rule in RULES}


@pytest.mark.usefixtures("reports")
def test_show_ends_with_the_next_thing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "show", BAD)
    assert lines[-3].startswith("advice: train 1 to 2 epochs less")
    assert lines[-2].startswith("  saw: ")
    assert lines[-1].startswith("  then: add rows like numbers")
    assert lines[-1].endswith(f"(2 more: harness advice {BAD})")
    shown = json.loads("\n".join(said(capsys, "show", BAD, "--json")))
    assert shown["advice"][0]["action"] == "fewer_epochs"


@pytest.mark.usefixtures("reports")
def test_the_gate_gives_no_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", BAD]) == 1
    assert "advice:" not in capsys.readouterr().out


def test_a_copied_folder_is_enough(reports: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = said(capsys, "advice", BAD)
    copied = (reports / BAD).rename(tmp_path / "elsewhere")
    assert said(capsys, "advice", str(copied)) == before


@pytest.mark.usefixtures("reports")
def test_an_unknown_run_is_a_mistake_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advice", "20260301T120000Z-bad-0003"]) == 2
    assert "did you mean" in capsys.readouterr().err
