"""Pause and resume: a job that rests trains nothing, blocks nobody, and goes on where it was."""

import sys
from pathlib import Path

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.localserver import fake_trainer
from tests.localserver.fakes import Server, running_server, trainer_setup, wait_for

# Three steps, each of them an epoch; the trainer waits after the second.
THREE_STEPS = {"n_epochs": 3, "batch_size": 12}


def waiting(server: Server, *, seed: int = fake_trainer.WAITS) -> FineTuningJob:
    """A job whose trainer has told of its second step and waits."""
    job = server.train(seed=seed, hyperparameters=THREE_STEPS)
    wait_for(lambda: "Step 2/3: training loss=1.00" in messages(server, job))
    return job


def messages(server: Server, job: FineTuningJob) -> list[str]:
    return [event.message for event in server.events(job)]


def test_a_paused_job_trains_nothing_and_goes_on_where_it_was(server: Server) -> None:
    job = waiting(server)
    jobs = server.client.fine_tuning.jobs
    assert jobs.pause(job.id).status == "paused"
    assert server.wait(server.train()).status == "succeeded"
    assert "Step 3/3: training loss=0.67" not in messages(server, job)
    assert jobs.resume(job.id).status in {"queued", "running"}
    done = server.wait(job)
    assert done.status == "succeeded"
    assert messages(server, job)[3:] == [
        "Fine-tuning job started",
        "Step 1/3: training loss=2.00",
        "Step 2/3: training loss=1.00",
        "Fine-tuning job paused",
        "Fine-tuning job resumed, moving job to queued state",
        "Fine-tuning job goes on after step 2",
        "Step 3/3: training loss=0.67",
        *messages(server, job)[-4:],
    ]


def test_what_was_trained_before_and_after_a_pause_is_one_job(server: Server) -> None:
    job = waiting(server)
    server.client.fine_tuning.jobs.pause(job.id)
    server.client.fine_tuning.jobs.resume(job.id)
    done = server.wait(job)
    checkpoints = server.client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [(entry.step_number, entry.metrics.train_loss) for entry in checkpoints] == [
        (3, 2 / 3),
        (2, 1),
        (1, 2),
    ]
    answers = [
        server.client.chat.completions.create(
            model=entry.fine_tuned_model_checkpoint, messages=[{"role": "user", "content": "hi"}]
        )
        for entry in checkpoints
    ]
    assert [answer.choices[0].message.content for answer in answers] == [
        "step-3 hi",
        "step-2 hi",
        "step-1 hi",
    ]
    table = server.table(done)
    assert [row.split(",")[0] for row in table] == ["step", "1", "2", "3"]


def test_a_queued_job_can_be_paused_and_lets_others_pass(server: Server) -> None:
    first = waiting(server)
    second, third = server.train(), server.train()
    server.wait(second, "queued")
    server.client.fine_tuning.jobs.pause(second.id)
    server.client.fine_tuning.jobs.cancel(first.id)
    assert server.wait(third).status == "succeeded"
    assert server.client.fine_tuning.jobs.retrieve(second.id).status == "paused"
    server.client.fine_tuning.jobs.resume(second.id)
    assert server.wait(second).status == "succeeded"
    assert "Fine-tuning job started" in messages(server, second)


def test_a_resumed_job_takes_its_old_place_in_the_queue(server: Server) -> None:
    older = waiting(server)
    server.client.fine_tuning.jobs.pause(older.id)
    at_work, younger = waiting(server), server.train()
    server.wait(younger, "queued")
    server.client.fine_tuning.jobs.resume(older.id)
    server.client.fine_tuning.jobs.cancel(at_work.id)
    first, second = server.wait(older), server.wait(younger)
    assert (first.status, second.status) == ("succeeded", "succeeded")
    assert first.finished_at is not None
    assert second.finished_at is not None
    assert first.finished_at <= second.finished_at


def test_a_job_resumed_before_its_trainer_has_paused_goes_on(server: Server) -> None:
    job = waiting(server)
    for _ in range(3):
        server.client.fine_tuning.jobs.pause(job.id)
        server.client.fine_tuning.jobs.resume(job.id)
    assert server.wait(job).status == "succeeded"
    assert [event.message for event in server.events(job) if event.type == "metrics"] == [
        "Step 1/3: training loss=2.00",
        "Step 2/3: training loss=1.00",
        "Step 3/3: training loss=0.67",
    ]


def test_a_training_that_ended_as_it_was_paused_succeeds_when_resumed(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        job = waiting(server, seed=fake_trainer.TOO_LATE)
        server.client.fine_tuning.jobs.pause(job.id)
        wait_for((tmp_path / "jobs" / job.id / "attempt-1" / "outcome.json").exists)
        assert server.wait(server.train()).status == "succeeded"
        assert server.client.fine_tuning.jobs.retrieve(job.id).status == "paused"
        server.client.fine_tuning.jobs.resume(job.id)
        assert server.wait(job).status == "succeeded"
        assert messages(server, job)[-1] == "The job has successfully completed"
    assert not (tmp_path / "jobs" / job.id / "attempt-2").exists()


def test_a_trainer_that_dies_while_it_pauses_fails_its_job(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        job = waiting(server)
        state = tmp_path / "jobs" / job.id / "attempt-1" / "state"
        state.rename(state.with_name("elsewhere"))
        state.write_text("nothing can be saved here")
        server.client.fine_tuning.jobs.pause(job.id)
        failed = server.wait(job)
        assert failed.error
        assert failed.error.message.startswith("The trainer ended with status 1")


def test_a_paused_job_can_be_cancelled(server: Server) -> None:
    job = waiting(server)
    server.client.fine_tuning.jobs.pause(job.id)
    assert server.client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert server.wait(server.train()).status == "succeeded"
    assert server.client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="already completed"):
        server.client.fine_tuning.jobs.cancel(job.id)


def test_a_paused_job_stays_paused_over_a_restart(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        job = waiting(server)
        server.client.fine_tuning.jobs.pause(job.id)
    with running_server(tmp_path) as server:
        assert server.wait(server.train()).status == "succeeded"
        assert server.client.fine_tuning.jobs.retrieve(job.id).status == "paused"
        server.client.fine_tuning.jobs.resume(job.id)
        assert server.wait(job).status == "succeeded"
        assert "Fine-tuning job goes on after step 2" in messages(server, job)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("pause", "cannot be paused: its status is 'succeeded', but must be 'queued' or 'running'."),
        ("resume", "cannot be resumed: its status is 'succeeded', but must be 'paused'."),
    ],
)
def test_an_ended_job_can_be_neither_paused_nor_resumed(server: Server, wish: str, message: str) -> None:
    job = server.wait(server.train())
    status, answer = server.post(f"/v1/fine_tuning/jobs/{job.id}/{wish}", b"")
    error = answer["error"]
    assert (status, error["code"], error["type"]) == (400, "invalid_job_status", "invalid_request_error")
    assert error["message"] == f"Job {job.id} {message}"


def test_a_pause_ends_a_server_that_is_told_to_stop_at_once(tmp_path: Path) -> None:
    """The trainer here is deaf to the pause: it is killed when its grace is over."""
    deaf = (sys.executable, "-c", "import time; time.sleep(60)")
    setup = trainer_setup(command=deaf, grace_s=0.1)
    with running_server(tmp_path, trainer=setup) as server:
        job = server.train()
        server.wait(job, "running")
        server.client.fine_tuning.jobs.pause(job.id)
    with running_server(tmp_path) as server:
        assert server.client.fine_tuning.jobs.retrieve(job.id).status == "paused"
