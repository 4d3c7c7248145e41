"""Servers that end while a job trains, in order or not: nothing is lost, nothing is told twice."""

import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from harness.localserver.jobs.queue import MAX_CRASHES
from harness.localserver.state.store import open_store, read_fine_tunes
from tests.localserver import fake_trainer
from tests.localserver.fakes import BASE, Server, running_server, trainer_setup, training_rows, wait_for
from tests.localserver.jobs.test_pausing import messages, waiting

KILLED = "The server was killed while the job was running"


def left_by_a_killed_server(state: Path, *, saved_after: int | None, crashes: int = 0) -> str:
    """A job that was told up to its second step of three, with its state saved after a step, or never."""
    with running_server(state) as server:
        job_id = waiting(server).id
    store = open_store(state)
    job = store.find_job(job_id)
    assert job is not None
    told = [event for event in store.events(job) if "The server was stopped" not in event.message]
    lines = [json.dumps(dict(vars(event))) for event in told]
    (store.job_folder(job) / "events.jsonl").write_text("\n".join(lines) + "\n")
    attempt = store.attempt_folder(job)
    (attempt / "outcome.json").unlink()
    (attempt / "state" / "step-2").rename(attempt / "saved")
    if saved_after is not None:
        (attempt / "saved" / "state.json").write_text(json.dumps({"step": saved_after}))
        (attempt / "saved").rename(attempt / "state" / f"step-{saved_after}")
    store.keep_job(replace(job, status="running", crashes=crashes))
    store.close()
    return job_id


def finished(server: Server, job_id: str) -> FineTuningJob:
    job = server.wait(server.client.fine_tuning.jobs.retrieve(job_id))
    assert job.status == "succeeded"
    return job


def each_step_once(server: Server, job: FineTuningJob) -> bool:
    told = [event.message for event in server.events(job) if event.type == "metrics"]
    rows = [row.split(",")[0] for row in server.table(job)]
    return told == [
        "Step 1/3: training loss=2.00",
        "Step 2/3: training loss=1.00",
        "Step 3/3: training loss=0.67",
    ] and rows == ["step", "1", "2", "3"]


def test_a_server_stopped_in_order_loses_no_step(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        running, queued = waiting(server), server.train()
        server.wait(queued, "queued")
    with running_server(tmp_path) as server:
        job = finished(server, running.id)
        assert each_step_once(server, job)
        told = messages(server, job)
        assert told[6:8] == [
            "The server was stopped while the job was running",
            "Fine-tuning job goes on after step 2",
        ]
        assert finished(server, queued.id).status == "succeeded"


def test_the_queue_keeps_its_order_over_a_restart(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        jobs = [waiting(server), *(server.train(seed=seed) for seed in range(4))]
        for job in jobs[1:]:
            server.wait(job, "queued")
    with running_server(tmp_path) as server:
        for job in jobs:
            finished(server, job.id)
        starts = [
            (event.created_at, number)
            for number, job in enumerate(jobs)
            for event in server.events(job)
            if event.message == "Fine-tuning job started"
        ]
    assert starts == sorted(starts)


def test_a_trainer_that_saves_too_slowly_is_killed_and_its_job_goes_on_from_the_last_state(
    tmp_path: Path,
) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    with running_server(
        tmp_path, trainer=trainer_setup(command=(sys.executable, "-c", deaf), grace_s=0.1)
    ) as server:
        job = server.train()
        server.wait(job, "running")
    with running_server(tmp_path) as server:
        finished(server, job.id)
        told = messages(server, job)
    assert "The server was stopped while the job was running" in told
    assert "No saved state was found: the job starts again from step 1" in told


@pytest.mark.parametrize("saved_after", [1, 2])
def test_a_killed_job_goes_on_from_its_newest_state(tmp_path: Path, saved_after: int) -> None:
    job_id = left_by_a_killed_server(tmp_path, saved_after=saved_after)
    with running_server(tmp_path) as server:
        job = finished(server, job_id)
        assert each_step_once(server, job)
        told = messages(server, job)
        assert told[6:9] == [
            KILLED,
            f"Fine-tuning job goes on after step {saved_after}",
            "Step 3/3: training loss=0.67",
        ]
        checkpoints = server.client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [entry.step_number for entry in checkpoints] == [3, 2, 1]
    folder = tmp_path / "jobs" / job_id
    kept = sorted(
        (path.parent.parent.name, path.name) for path in folder.glob("attempt-*/checkpoints/step-*")
    )
    expected = {
        1: [("attempt-1", "step-1"), ("attempt-2", "step-2")],
        2: [("attempt-1", "step-1"), ("attempt-1", "step-2")],
    }
    assert kept == [*expected[saved_after], ("attempt-2", "step-3")]


def test_a_job_killed_before_it_saved_anything_starts_again_and_says_so(tmp_path: Path) -> None:
    job_id = left_by_a_killed_server(tmp_path, saved_after=None)
    with running_server(tmp_path) as server:
        job = finished(server, job_id)
        assert each_step_once(server, job)
        assert messages(server, job)[6:8] == [
            KILLED,
            "No saved state was found: the job starts again from step 1",
        ]


def test_steps_taken_before_the_kill_but_not_told_are_told(tmp_path: Path) -> None:
    job_id = left_by_a_killed_server(tmp_path, saved_after=2)
    events = tmp_path / "jobs" / job_id / "events.jsonl"
    lines = [line for line in events.read_text().splitlines() if '"metrics"' not in line]
    events.write_text("\n".join(lines) + "\n")
    with running_server(tmp_path) as server:
        assert each_step_once(server, finished(server, job_id))


def test_a_job_that_keeps_killing_its_server_is_given_up(tmp_path: Path) -> None:
    job_id = left_by_a_killed_server(tmp_path, saved_after=None, crashes=MAX_CRASHES - 1)
    with running_server(tmp_path) as server:
        job = server.wait(server.client.fine_tuning.jobs.retrieve(job_id))
        assert job.error
        assert job.error.message == (
            "The server was killed 3 times while the job ran and got no further; it is given up."
        )


def test_a_job_that_gets_further_between_kills_is_not_given_up(tmp_path: Path) -> None:
    job_id = left_by_a_killed_server(tmp_path, saved_after=2, crashes=MAX_CRASHES - 1)
    with running_server(tmp_path) as server:
        assert each_step_once(server, finished(server, job_id))


def test_a_training_that_ended_while_its_server_was_dying_is_kept(tmp_path: Path) -> None:
    job_id = left_by_a_killed_server(tmp_path, saved_after=2)
    (tmp_path / "jobs" / job_id / "attempt-1" / "outcome.json").write_text(
        '{"status": "succeeded", "trained_tokens": 42}'
    )
    with running_server(tmp_path) as server:
        job = finished(server, job_id)
        assert job.trained_tokens == 42
        assert KILLED not in messages(server, job)
    assert not (tmp_path / "jobs" / job_id / "attempt-2").exists()


def test_a_server_killed_as_it_told_of_success_tells_the_same_again(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        job = server.wait(server.train(hyperparameters={"n_epochs": 2}))
        before = server.events(job)
    store = open_store(tmp_path)
    stored = store.find_job(job.id)
    assert stored is not None
    store.keep_job(replace(stored, status="running", finished_at=None, trained_tokens=None, result_files=()))
    store.close()
    with running_server(tmp_path) as server:
        again = finished(server, job.id)
        assert server.events(again) == before
        assert again.fine_tuned_model == job.fine_tuned_model
        assert again.result_files == job.result_files


def test_a_server_killed_while_it_validated_validates_again(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        job_id = waiting(server).id
    store = open_store(tmp_path)
    job = store.find_job(job_id)
    assert job is not None
    store.keep_job(replace(job, status="validating_files", attempt=0, seed=5))
    store.close()
    with running_server(tmp_path) as server:
        told = Counter(messages(server, finished(server, job_id)))
    assert told[f"Validating training file: {job.training_file}"] == 1


def test_however_often_a_job_is_interrupted_each_step_counts_once(tmp_path: Path) -> None:
    """Paused, stopped in order, and stopped so fast that the trainer loses what it did since its last epoch, in turn."""

    def steps_told(server: Server) -> int:
        return sum(event.type == "metrics" for event in server.events(job))

    def further(server: Server) -> None:
        before = steps_told(server)
        wait_for(lambda: steps_told(server) > before)

    with running_server(tmp_path) as server:
        job = server.train(seed=fake_trainer.SLOW, hyperparameters={"n_epochs": 40, "batch_size": 4})
        server.wait(job, "running")
    for grace_s in (0.0, 5.0, 0.0):
        with running_server(tmp_path, trainer=trainer_setup(grace_s=grace_s)) as server:
            further(server)
            server.client.fine_tuning.jobs.pause(job.id)
            server.client.fine_tuning.jobs.resume(job.id)
            further(server)
    with running_server(tmp_path) as server:
        done = finished(server, job.id)
        told = [event.data["step"] for event in server.events(done) if event.type == "metrics"]  # type: ignore[index]
        assert told == list(range(1, 121))
        assert [row.split(",")[0] for row in server.table(done)] == ["step", *map(str, range(1, 121))]
        checkpoints = list(server.client.fine_tuning.jobs.checkpoints.list(done.id, limit=100))
        assert [entry.step_number for entry in checkpoints] == list(range(120, 0, -3))
    models = read_fine_tunes(tmp_path)
    assert [model.adapter.name for model in models] == [f"step-{step}" for step in range(3, 121, 3)]
    assert all(model.adapter.is_dir() for model in models)


def test_jobs_of_another_base_wait_for_their_own(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        job = waiting(server)
    other = replace(BASE, name="other-base", digest="e" * 64)
    with running_server(tmp_path, base=other) as server:
        own = server.client.files.create(file=("rows.jsonl", training_rows()), purpose="fine-tune")
        second = server.client.fine_tuning.jobs.create(model="other-base", training_file=own.id)
        assert server.wait(second).status == "succeeded"
        assert server.client.fine_tuning.jobs.retrieve(job.id).status == "queued"
        assert messages(server, job)[-1] == (
            "The server serves another model: the job waits for one that serves tiny-base"
        )
    with running_server(tmp_path) as server:
        assert each_step_once(server, finished(server, job.id))


def test_a_killed_server_process_loses_neither_job_nor_models(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-m", "tests.localserver.fake_server", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        ready = json.loads(process.stdout.readline())
        with OpenAI(base_url=ready["base_url"], api_key="any", max_retries=0) as client:
            file = client.files.create(file=("rows.jsonl", training_rows()), purpose="fine-tune")
            done, killed, queued = [
                client.fine_tuning.jobs.create(
                    model=BASE.name,
                    training_file=file.id,
                    seed=seed,
                    hyperparameters={"n_epochs": 3, "batch_size": 12},
                )
                for seed in (1, fake_trainer.WAITS, 2)
            ]
            events = client.fine_tuning.jobs.list_events
            wait_for(lambda: events(killed.id, limit=1).data[0].message.startswith("Step 2/3"))
            name = client.fine_tuning.jobs.retrieve(done.id).fine_tuned_model
            assert name
        process.send_signal(signal.SIGKILL)
    with running_server(state) as server:
        job = finished(server, killed.id)
        assert each_step_once(server, job)
        assert KILLED in messages(server, job)
        finished(server, queued.id)
        assert server.client.models.retrieve(name).id == name
        assert server.client.files.content(file.id).content == training_rows()
