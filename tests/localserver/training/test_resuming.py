import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.localserver.training import lean_learner
from harness.localserver.training.learner import Figures
from harness.localserver.training.opening import open_learner
from harness.localserver.training.plan import TrainingError, TrainingPlan
from harness.localserver.training.trainer import PAUSE, Ending, Training, main, train
from tests.localserver.tiny_model import write_tiny_model
from tests.localserver.training.jobs import adapter, metrics, outcome, plan, write_pairs

STEPS = 8


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", context=256)


@pytest.fixture(scope="module")
def whole(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that was never interrupted: steps 3, 5 and 8 end its epochs."""
    folder = tmp_path_factory.mktemp("whole")
    train(plan(weights, folder), folder)
    return folder


def run_until(job: TrainingPlan, folder: Path, *, step: int) -> Ending:
    """Train, with somebody asking for a pause while that step is taken."""
    folder.mkdir(exist_ok=True)
    taken = int(job.resume_from.name.removeprefix("step-")) if job.resume_from else 0
    with open_learner(job) as learner:
        learn = learner.learn

        def learn_and_ask(members: Sequence[int], *, rate: float) -> Figures:
            nonlocal taken
            taken += 1
            if taken == step:
                (folder / PAUSE).touch()
            return learn(members, rate=rate)

        learner.learn = learn_and_ask  # type: ignore[method-assign]
        return Training(job, folder, learner).run()


def told(folder: Path) -> list[dict[str, float]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in metrics(folder)]


@pytest.mark.parametrize("step", [1, 3, 4])
def test_paused_and_resumed_is_never_interrupted(
    tmp_path: Path, weights: Path, whole: Path, step: int
) -> None:
    job = plan(weights, tmp_path)
    assert run_until(job, tmp_path / "first", step=step) == Ending(step=step, trained_tokens=None)
    state = tmp_path / "first" / "state" / f"step-{step}"
    second = tmp_path / "second"
    second.mkdir()
    ending = train(replace(job, resume_from=state), second)
    assert ending.trained_tokens is not None
    assert told(tmp_path / "first") + told(second) == told(whole)
    assert adapter(second, STEPS) == adapter(whole, STEPS)


def test_paused_at_every_step_is_never_interrupted(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32, where the last bits of a sum show what it was computed beside."""
    monkeypatch.setattr(lean_learner, "training_precision", lambda _device: torch.float32)
    job, lines = plan(weights, tmp_path), []
    train(job, tmp_path)
    for step in range(1, STEPS + 1):
        folder = tmp_path / str(step)
        run_until(job, folder, step=step)
        lines += told(folder)
        job = replace(job, resume_from=folder / "state" / f"step-{step}")
    assert lines == told(tmp_path)
    assert adapter(tmp_path / "8", STEPS) == adapter(tmp_path, STEPS)


def test_preferences_resume_to_the_same_bits(tmp_path: Path, weights: Path) -> None:
    """The log-probabilities before training are computed anew, to the same bits."""
    job = plan(
        weights,
        tmp_path,
        training_file=str(write_pairs(tmp_path / "pairs.jsonl", 10)),
        validation_file=None,
        method="dpo",
        beta=0.1,
    )
    train(job, tmp_path)
    run_until(job, tmp_path / "first", step=4)
    (tmp_path / "second").mkdir()
    train(replace(job, resume_from=tmp_path / "first" / "state" / "step-4"), tmp_path / "second")
    assert told(tmp_path / "first") + told(tmp_path / "second") == told(tmp_path)
    assert adapter(tmp_path / "second", STEPS) == adapter(tmp_path, STEPS)


def test_killed_after_a_state_is_never_interrupted(tmp_path: Path, weights: Path, whole: Path) -> None:
    """The metrics go into a pipe read line by line, so that the process is known to be in its fifth step when it dies."""
    job = plan(weights, tmp_path)
    os.mkfifo(tmp_path / "metrics.jsonl")
    command = [sys.executable, "-m", "harness.localserver.training.trainer", str(tmp_path)]
    with subprocess.Popen(command) as process, (tmp_path / "metrics.jsonl").open() as lines:
        steps = [json.loads(lines.readline())["step"] for _ in range(4)]
        process.send_signal(signal.SIGKILL)
    assert steps == [1, 2, 3, 4]
    state = tmp_path / "state" / "step-3"
    (tmp_path / "second").mkdir()
    train(replace(job, resume_from=state), tmp_path / "second")
    assert told(tmp_path / "second") == told(whole)[3:]
    assert adapter(tmp_path / "second", STEPS) == adapter(whole, STEPS)


def test_pause_is_an_outcome_and_no_failure(tmp_path: Path, weights: Path) -> None:
    plan(weights, tmp_path)
    (tmp_path / PAUSE).touch()
    assert main(tmp_path) == 0
    assert outcome(tmp_path) == {"status": "paused", "step": 1}
    assert len(metrics(tmp_path)) == 1


def test_pause_asked_for_in_the_last_step_comes_too_late(tmp_path: Path, weights: Path) -> None:
    ending = run_until(plan(weights, tmp_path), tmp_path / "run", step=STEPS)
    assert ending.trained_tokens is not None


def test_job_that_ended_before_it_could_say_so_only_says_so(
    tmp_path: Path, weights: Path, whole: Path
) -> None:
    job = plan(weights, tmp_path)
    ending = train(replace(job, resume_from=whole / "state" / "step-8"), tmp_path)
    assert (ending.step, metrics(tmp_path)) == (STEPS, [])
    assert ending.trained_tokens is not None


def test_only_the_newest_state_is_kept(whole: Path) -> None:
    assert [path.name for path in (whole / "state").iterdir()] == ["step-8"]


def test_state_is_saved_between_epochs_too(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.localserver.training.trainer.STATE_EVERY_S", 0.0)
    job = plan(weights, tmp_path, n_epochs=1, batch_size=1)
    with open_learner(job) as learner:
        learn, seen = learner.learn, []

        def learn_and_look(members: Sequence[int], *, rate: float) -> Figures:
            seen.append([path.name for path in tmp_path.glob("state/*")])
            return learn(members, rate=rate)

        learner.learn = learn_and_look  # type: ignore[method-assign]
        Training(job, tmp_path, learner).run()
    assert seen == [[]] + [[f"step-{step}"] for step in range(1, 10)]


def refused(job: TrainingPlan, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    with pytest.raises(TrainingError) as caught:
        train(job, folder)
    assert caught.value.code == "state_unreadable"
    assert not (folder / "checkpoints").exists()
    return str(caught.value)


def paused(weights: Path, folder: Path) -> TrainingPlan:
    """A job paused after its fourth step, to be resumed."""
    job = plan(weights, folder)
    run_until(job, folder / "first", step=4)
    return replace(job, resume_from=folder / "first" / "state" / "step-4")


@pytest.mark.parametrize("damage", ["cut", "altered", "gone", "unsealed", "all gone"])
def test_damaged_state_is_refused(tmp_path: Path, weights: Path, damage: str) -> None:
    job = paused(weights, tmp_path)
    assert job.resume_from is not None
    learner, seal = job.resume_from / "learner.safetensors", job.resume_from / "seal.json"
    whole = learner.read_bytes()
    if damage == "cut":
        learner.write_bytes(whole[:-1000])
    elif damage == "altered":
        learner.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])
    elif damage == "gone":
        learner.unlink()
    else:
        seal.unlink()
        if damage == "all gone":
            learner.unlink()
            job.resume_from.rmdir()
    assert "the saved state" in refused(job, tmp_path / "second")


def test_state_of_another_job_is_refused(tmp_path: Path, weights: Path) -> None:
    job = paused(weights, tmp_path)
    assert "of another job" in refused(replace(job, seed=2), tmp_path / "second")
    with job.training_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"messages": [{"role": "assistant", "content": "new"}]}))
    assert "of another job" in refused(job, tmp_path / "second")


def test_state_of_another_model_is_refused(tmp_path: Path, weights: Path) -> None:
    other = write_tiny_model(tmp_path / "other.gguf", seed=1, context=256)
    job = replace(paused(weights, tmp_path), model=other)
    assert "of another model" in refused(job, tmp_path / "second")
