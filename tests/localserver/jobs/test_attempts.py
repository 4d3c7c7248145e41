"""What attempts leave on disk, and what counts of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.localserver.jobs.attempts import (
    has_saved,
    move_state,
    newest_state,
    read_history,
    saved_models,
    step_of,
    sweep,
)
from harness.localserver.state.objects import Checkpoint, Hyperparameters, StoredJob

JOB = StoredJob(
    id="ftjob-a",
    number=1,
    created_at=1,
    model="m",
    training_file="file-a",
    validation_file=None,
    hyperparameters=Hyperparameters(),
    seed=1,
    suffix=None,
    metadata=None,
)


def attempt(folder: Path, number: int, *steps: int, after: int = 0, state: int | None = None) -> Path:
    """An attempt that took these steps after that of an earlier state, saved a model at each and its state at one."""
    place = folder / f"attempt-{number}"
    place.mkdir()
    resumed = f"/anywhere/resumed/step-{after}" if after else None
    (place / "job.json").write_text(json.dumps({"resume_from": resumed}))
    lines = [
        {"step": step, "total_steps": 9, "train_loss": float(number), "epoch_end": True} for step in steps
    ]
    (place / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in steps:
        (place / "checkpoints" / f"step-{step}").mkdir(parents=True)
    if state is not None:
        (place / "state" / f"step-{state}").mkdir(parents=True)
    return place


def told(folder: Path, attempts: int) -> list[tuple[int, int]]:
    history = read_history(folder, attempts=attempts)
    assert saved_models(folder, history) == history
    return [(taken.attempt, taken.step.step) for taken in history]


def test_a_job_that_never_started_has_no_history(tmp_path: Path) -> None:
    assert told(tmp_path, 0) == []
    assert newest_state(tmp_path, attempts=0) is None


def test_steps_taken_again_count_once_and_as_the_later_attempt_took_them(tmp_path: Path) -> None:
    attempt(tmp_path, 1, 1, 2, 3, 4, 5)
    attempt(tmp_path, 2, 4, 5, 6, 7, after=3)
    attempt(tmp_path, 3, 6, 7, 8, after=5)
    assert told(tmp_path, 3) == [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7), (3, 8)]


def test_an_attempt_from_the_first_step_makes_earlier_ones_void(tmp_path: Path) -> None:
    attempt(tmp_path, 1, 1, 2, 3)
    attempt(tmp_path, 2, 1)
    assert told(tmp_path, 2) == [(2, 1)]


def test_an_attempt_whose_trainer_never_started_changes_nothing(tmp_path: Path) -> None:
    attempt(tmp_path, 1, 1, 2, state=2)
    (tmp_path / "attempt-2").mkdir()
    assert told(tmp_path, 3) == [(1, 1), (1, 2)]
    state = newest_state(tmp_path, attempts=3)
    assert state
    assert step_of(state) == 2


def test_a_model_without_its_line_is_not_one(tmp_path: Path) -> None:
    place = attempt(tmp_path, 1, 1, 2)
    (place / "checkpoints" / "step-3").mkdir()
    (place / "metrics.jsonl").write_text((place / "metrics.jsonl").read_text() + '{"step": 3, "total_')
    assert told(tmp_path, 1) == [(1, 1), (1, 2)]


def test_the_newest_state_is_one_that_is_whole(tmp_path: Path) -> None:
    place = attempt(tmp_path, 1, 1, state=9)
    for name in ("step-10", ".step-11", "step-12.part", "step-"):
        (place / "state" / name).mkdir()
    (place / "state" / "step-13").write_text("not a folder")
    found = newest_state(tmp_path, attempts=1)
    assert found == place / "state" / "step-10"


def test_an_attempt_killed_before_it_saved_hands_on_what_it_began_from(tmp_path: Path) -> None:
    attempt(tmp_path, 1, 1, 2, 3, state=3)
    second = attempt(tmp_path, 2, after=3)
    state = newest_state(tmp_path, attempts=1)
    assert state
    moved = move_state(state, second)
    assert moved == second / "resumed" / "step-3"
    assert newest_state(tmp_path, attempts=2) == moved
    assert not has_saved(tmp_path, attempt=2)
    (second / "state" / "step-5").mkdir(parents=True)
    assert newest_state(tmp_path, attempts=2) == second / "state" / "step-5"
    assert has_saved(tmp_path, attempt=2)


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_an_ended_job_keeps_its_models_and_its_metrics_only(tmp_path: Path, status: str) -> None:
    first = attempt(tmp_path, 1, 1, 2, state=2)
    second = attempt(tmp_path, 2, 2, 3, after=1)
    (tmp_path / "training.jsonl").write_text("{}")
    kept = [
        Checkpoint(id="a", created_at=1, step=1, model="x", attempt=1),
        Checkpoint(id="b", created_at=1, step=3, model="y"),  # of the last attempt, as older records have it
    ]
    job = replace(JOB, attempt=2, status=status, checkpoints=tuple(kept))  # type: ignore[arg-type]
    sweep(tmp_path, job)
    assert [path.name for path in (first / "checkpoints").iterdir()] == ["step-1"]
    assert [path.name for path in (second / "checkpoints").iterdir()] == ["step-3"]
    assert not (first / "state").exists()
    assert not (tmp_path / "training.jsonl").exists()
    assert (second / "metrics.jsonl").exists()


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
def test_nothing_of_an_unfinished_job_is_removed(tmp_path: Path, status: str) -> None:
    place = attempt(tmp_path, 1, 1, state=1)
    (tmp_path / "training.jsonl").write_text("{}")
    sweep(tmp_path, replace(JOB, attempt=1, status=status))  # type: ignore[arg-type]
    assert (place / "state" / "step-1").is_dir()
    assert (place / "checkpoints" / "step-1").is_dir()
    assert (tmp_path / "training.jsonl").exists()
