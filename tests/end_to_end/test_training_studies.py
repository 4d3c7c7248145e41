"""The two questions with the real model: would more data help, and how many epochs? Few rows, six epochs.

Half of the rows against all of them, both for six epochs; then all checkpoints of the job on all rows; then a run that judges
its model, with advice. All share one server, and what was trained once. The numbers differ between processors, so only what
must hold on any is asserted. It needs what `test_main_job.py` needs.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import localserver
from harness.errors import EndpointError
from harness.evals import list_runs, open_run, read_checkpoint_study, read_scaling_study
from harness.records import CheckpointStudy, Json, Run, ScalingStudy
from harness.training import diagnose, read_curve

ROOT = Path(__file__).parent.parent.parent
DESKS = ("account", "billing", "bug", "feature", "sales", "shipping")
ROWS = {"train": (24, 14), "valid": (0, 10)}
"""Tickets and Marv's answers in each file. Tickets are asked; the wording of Marv's answers is what is learnt by heart."""
CASES = 24
MARV = "You are Marv"
EPOCHS = 6
# Small batches and large steps, more than is good for so few rows: they are known by heart before the end.
BATCH_SIZE, LEARNING_RATE_MULTIPLIER = 2, 2.0
PATIENCE_S = 400
CONFIGURATION = f"""
[tool.harness]
train = "train.jsonl"
valid = "valid.jsonl"

[tool.harness.training]
epochs = {EPOCHS}
learning_rate_multiplier = {LEARNING_RATE_MULTIPLIER}
batch_size = {BATCH_SIZE}
seed = 0
"""

pytest.importorskip("torch", reason="the embedded model needs the extra `local`")


@dataclass(frozen=True)
class Studies:
    """A folder in which all commands were run, with what each printed."""

    folder: Path
    printed: dict[str, str]

    def study_folder(self, kind: str) -> Path:
        """Where a study of its own was kept."""
        (found,) = (self.folder / "reports").glob(f"{kind}-*")
        return found

    @property
    def scaling(self) -> ScalingStudy:
        """Half against all of the rows."""
        study = read_scaling_study(self.study_folder("scaling"))
        assert study is not None, self.printed["scaling"]
        return study

    @property
    def epochs(self) -> CheckpointStudy:
        """The checkpoints of the job on all rows."""
        study = read_checkpoint_study(self.study_folder("epochs"))
        assert study is not None, self.printed["epochs"]
        return study

    @property
    def run(self) -> Run:
        """The run that judged its model."""
        return open_run(list_runs(self.folder / "reports")[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of two tasks and one suite: as many tickets and cases of each desk."""
    made = tmp_path_factory.mktemp("studies")
    for name, (tickets, others) in ROWS.items():
        lines = (ROOT / "fixtures" / "support" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        taken = balanced({line: json.loads(line)["messages"][-1]["content"] for line in lines}, tickets)
        taken += [line for line in lines if MARV in line][:others]
        (made / f"{name}.jsonl").write_text("\n".join(taken) + "\n", encoding="utf-8")
    (made / "suites").mkdir()
    lines = (ROOT / "suites" / "ticket_routing.cases.jsonl").read_text(encoding="utf-8").splitlines()
    cases = balanced({line: json.loads(line)["expected"] for line in lines}, CASES)
    (made / "suites" / "ticket_routing.cases.jsonl").write_text("\n".join(cases) + "\n", encoding="utf-8")
    suite = (ROOT / "suites" / "ticket_routing.suite.yaml").read_text(encoding="utf-8")
    (made / "suites" / "ticket_routing.suite.yaml").write_text(suite, encoding="utf-8")
    (made / "pyproject.toml").write_text(CONFIGURATION, encoding="utf-8")
    return made


def balanced(desks: dict[str, str], count: int) -> list[str]:
    """The first lines of each desk, as many of each, in the order of the file."""
    of_desk = {
        desk: [line for line, of in desks.items() if of == desk][: count // len(DESKS)] for desk in DESKS
    }
    taken = {line for lines in of_desk.values() for line in lines}
    assert len(taken) == count
    return [line for line in desks if line in taken]


@pytest.fixture(scope="module")
def state(folder: Path) -> Iterator[Path]:
    """A local server that all commands join."""
    state = folder / ".harness" / "local-server"
    try:
        server = localserver.start(state)
    except EndpointError as error:
        pytest.skip(f"the embedded model cannot be had here: {error}")
    with server:
        told = {"base_url": server.base_url, "model": server.model, "weights": server.weights}
        localserver.write_address(state, told, lasting=True)
        yield state


@pytest.fixture(scope="module")
def studies(folder: Path, state: Path) -> Studies:
    """Everything run once; answers and trainings are shared."""
    commands = {
        "scaling": ["harness", "experiment", "scaling", "--fractions", "1/2,1"],
        "epochs": ["harness", "experiment", "epochs"],
        "run": ["pytest", "suites"],
        "advice": ["harness", "advice", "latest", "--json"],
    }
    printed: dict[str, str] = {}
    for name, command in commands.items():
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={
                name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "PYTEST"))
            },
            check=False,
        )
        # The run ends by its verdict, which so few cases may leave open.
        assert done.returncode == 0 or name == "run", done.stdout + done.stderr
        printed[name] = done.stdout
    return Studies(folder=folder, printed=printed)


@pytest.fixture(scope="module")
def advice(studies: Studies) -> list[dict[str, Json]]:
    """What is advised on the run."""
    given = json.loads(studies.printed["advice"])
    assert given["run"] == studies.run.manifest.id
    return list(given["advice"])


# --- more data? ----------------------------------------------------------------------------------------


def test_all_of_the_rows_teach_more_than_half_of_them(studies: Studies) -> None:
    half, whole = sorted(studies.scaling.arms, key=lambda arm: arm.share)
    assert (half.share, whole.share) == (0.5, 1.0)
    assert whole.rows == sum(ROWS["train"]) == 2 * half.rows
    ((learnt_from_half,), (learnt_from_all,)) = half.marks, whole.marks
    assert learnt_from_half.cases == learnt_from_all.cases == CASES
    assert learnt_from_half.mean is not None
    assert learnt_from_all.mean is not None
    assert learnt_from_all.mean > learnt_from_half.mean


def test_twice_the_data_is_estimated_beside_the_literal_reading(studies: Studies) -> None:
    half, whole = (arm.marks[0].mean for arm in sorted(studies.scaling.arms, key=lambda arm: arm.share))
    estimate = studies.scaling.by_suite["ticket-routing"]
    assert estimate.low <= estimate.gain <= estimate.high
    assert half is not None
    assert whole is not None
    assert estimate.last_gain == pytest.approx(whole - half)
    line = next(
        line for line in studies.printed["scaling"].splitlines() if "likely" in line or "tell " in line
    )
    assert estimate.word in line
    assert f"{100 * (whole - half):+.1f}" in line, "what the last doubling brought, as if the next one did"
    assert "likely" in line or "cannot tell" in line


# --- how many epochs? ----------------------------------------------------------------------------------


def test_every_epoch_has_a_checkpoint_that_was_asked(studies: Studies) -> None:
    study, whole = studies.epochs, max(studies.scaling.arms, key=lambda arm: arm.share)
    assert [point.epoch for point in study.checkpoints] == [1, 2, 3, 4, 5, 6]
    assert all(point.marks[0].cases == CASES for point in study.checkpoints)
    assert study.job == whole.job, "what was trained on all rows for six epochs is not trained again"
    assert study.checkpoints[-1].marks == whole.marks
    assert study.choice is not None
    assert study.choice.on == "other cases", "greedy answers have no fresh trials"


def test_the_validation_loss_turns_up_before_the_end_while_the_rows_are_learnt_by_heart(
    studies: Studies,
) -> None:
    steps = read_curve(studies.study_folder("epochs") / "curve.csv").steps
    whole_file = steps["full_valid_loss"].dropna()
    assert len(whole_file) == EPOCHS
    assert whole_file.idxmin() != whole_file.index[-1]
    assert steps["train_loss"].tail(10).mean() < whole_file.min() / 2


def test_the_page_of_the_study_draws_loss_accuracy_and_the_suite_over_the_same_steps(
    studies: Studies,
) -> None:
    page = (studies.study_folder("epochs") / "index.html").read_text(encoding="utf-8")
    assert drawn(page) == DRAWN


# --- a run of its model --------------------------------------------------------------------------------

DRAWN = {"Loss", "Token accuracy, %", "Suites at checkpoints, score"}


def drawn(page: str) -> set[str]:
    """The panels of the figure that draws the training."""
    (figure,) = (
        found for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL) if "Token accuracy" in found
    )
    return DRAWN & set(re.findall(r"<text[^>]*>([^<]*)</text>", figure))


def test_the_run_trains_nothing_and_shows_the_study_on_its_page(studies: Studies) -> None:
    manifest = studies.run.manifest
    assert manifest.job is not None
    assert manifest.job.id == studies.epochs.job
    assert "is reused" in studies.printed["run"]
    assert studies.run.path is not None
    assert drawn((studies.run.path / "index.html").read_text(encoding="utf-8")) == DRAWN


def test_the_last_lines_of_the_run_are_the_first_of_the_advice(
    studies: Studies, advice: list[dict[str, Json]]
) -> None:
    assert f"advice: {advice[0]['says']}" in studies.printed["run"]
    assert f"saw: {advice[0]['saw']}" in studies.printed["run"]


def test_nobody_is_told_to_train_longer_what_is_overfit(
    studies: Studies, advice: list[dict[str, Json]]
) -> None:
    assert studies.run.path is not None
    assert diagnose(read_curve(studies.run.path / "curve.csv"), epochs=EPOCHS).word != "underfit"
    assert "more_epochs" not in {line["action"] for line in advice}


def test_the_checkpoint_that_the_suites_prefer_is_advised_and_no_fewer_epochs_beside_it(
    studies: Studies, advice: list[dict[str, Json]]
) -> None:
    choice = studies.epochs.choice
    assert choice is not None
    actions = [line["action"] for line in advice]
    assert ("earlier_checkpoint" in actions) == (not choice.is_last)
    assert "fewer_epochs" not in actions, "the suites are believed before the loss"
    if not choice.is_last:
        (says,) = (str(line["says"]) for line in advice if line["action"] == "earlier_checkpoint")
        assert says.endswith(f"--candidate {choice.model} --job {studies.epochs.job}")
