import json
import os
import signal
import sys
from pathlib import Path

import openai
import pytest

from tests.localserver import fake_trainer
from tests.localserver.fakes import (
    Server,
    preference_rows,
    running_server,
    trainer_setup,
    training_rows,
    wait_for,
)

TWO_EPOCHS = {"n_epochs": 2, "batch_size": 4}


def test_events_tell_the_story_in_openais_words(server: Server) -> None:
    validation = server.upload(training_rows(3, start=40))
    job = server.wait(server.train(validation_file=validation.id, hyperparameters=TWO_EPOCHS, suffix="Acme"))
    checkpoint, final = [
        entry.fine_tuned_model_checkpoint
        for entry in reversed(server.client.fine_tuning.jobs.checkpoints.list(job.id).data)
    ]
    assert [event.message for event in server.events(job)] == [
        f"Created fine-tuning job: {job.id}",
        f"Validating training file: {job.training_file} and validation file: {validation.id}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "Step 1/6: training loss=2.00, validation loss=3.00",
        "Step 2/6: training loss=1.00",
        "Step 3/6: training loss=0.67, validation loss=1.00, full validation loss=0.33",
        "Step 4/6: training loss=0.50",
        "Step 5/6: training loss=0.40, validation loss=0.60",
        "Step 6/6: training loss=0.33, full validation loss=0.17",
        f"Checkpoint created at step 3 with Snapshot ID: {checkpoint}",
        f"New fine-tuned model created: {final}",
        "The job has successfully completed",
    ]
    assert checkpoint.startswith("ft:tiny-base:local:acme:")
    assert checkpoint.endswith(":ckpt-step-3")
    assert final == job.fine_tuned_model
    assert checkpoint.split(":")[4] != final.split(":")[4]


def test_every_epoch_leaves_a_model_to_ask(server: Server) -> None:
    job = server.wait(server.train(hyperparameters={"n_epochs": 3, "batch_size": 4}))
    checkpoints = server.client.fine_tuning.jobs.checkpoints.list(job.id).data
    answers = [
        server.client.chat.completions.create(
            model=checkpoint.fine_tuned_model_checkpoint, messages=[{"role": "user", "content": "hi"}]
        )
        for checkpoint in checkpoints
    ]
    assert [answer.choices[0].message.content for answer in answers] == [
        "step-9 hi",
        "step-6 hi",
        "step-3 hi",
    ]


def test_a_missing_seed_is_filled_in(server: Server) -> None:
    seeds = {server.train().seed for _ in range(3)}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (
            training_rows(9),
            "invalid_n_examples",
            "Training file has 9 example(s), but must have at least 10 examples",
        ),
        (b"", "invalid_n_examples", "Training file has 0 example(s), but must have at least 10 examples"),
        (b"\0" * 100, "invalid_training_file", "Example 1 cannot be parsed"),
    ],
)
def test_a_bad_file_fails_the_job_and_not_the_upload(
    server: Server, content: bytes, code: str, message: str
) -> None:
    created = server.train(content)
    assert created.status == "validating_files"
    job = server.wait(created)
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.param) == (code, "training_file")
    assert message in job.error.message
    assert job.finished_at
    last = server.events(job)[-1]
    assert (last.level, last.message) == ("error", job.error.message)


def test_a_bad_validation_file_is_named_as_such(server: Server) -> None:
    job = server.wait(server.train(validation_file=server.upload(b"{}").id))
    assert job.error
    assert (job.error.code, job.error.param) == ("invalid_validation_file", "validation_file")


def test_a_trainer_that_dies_fails_its_job_with_its_last_words(server: Server) -> None:
    job = server.wait(server.train(seed=fake_trainer.CRASHES))
    assert job.error
    assert job.error.code == "server_error"
    assert job.error.message == "The trainer ended with status 1: out of luck"


def test_a_job_whose_state_cannot_be_stored_is_still_seen_to_have_failed(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        job = server.train(seed=fake_trainer.WAITS)
        folder = tmp_path / "jobs" / job.id
        pid = folder / "attempt-1" / "pid"
        trainer = int(wait_for(lambda: pid.exists() and pid.read_text()))
        (folder / "record.json").unlink()
        (folder / "record.json").mkdir()  # nothing can be stored there now
        os.kill(trainer, signal.SIGKILL)
        failed = server.wait(job)
        assert failed.error
        assert failed.error.message.endswith(
            "it was killed, most likely because the machine ran out of memory"
        )
        assert server.wait(server.train()).status == "succeeded"
        (folder / "record.json").rmdir()


def test_a_trainer_that_cannot_be_started_fails_its_job(tmp_path: Path) -> None:
    with running_server(tmp_path, trainer=trainer_setup(command=("/no/such/trainer",))) as server:
        job = server.wait(server.train())
        assert job.error
        assert "No such file or directory" in job.error.message
        assert server.client.models.list().data


def test_a_diverged_loss_is_null_on_the_wire(server: Server) -> None:
    job = server.wait(server.train(seed=fake_trainer.DIVERGES, hyperparameters={"n_epochs": 1}))
    assert job.status == "succeeded"
    metrics = next(event for event in server.events(job) if event.type == "metrics")
    assert metrics.message == "Step 1/3: training loss=nan"
    assert isinstance(metrics.data, dict)
    assert metrics.data["train_loss"] is None


def test_one_job_trains_at_a_time_and_the_next_follows(server: Server) -> None:
    first, second = server.train(seed=fake_trainer.WAITS), server.train()
    server.wait(first, "running")
    assert server.wait(second, "queued").status == "queued"
    server.client.fine_tuning.jobs.cancel(first.id)
    assert server.wait(second).status == "succeeded"


def test_inference_goes_on_while_a_job_trains(server: Server) -> None:
    done = server.wait(server.train())
    server.wait(server.train(seed=fake_trainer.WAITS), "running")
    for model in ("tiny-base", done.fine_tuned_model or ""):
        answer = server.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hello"}]
        )
        assert (answer.choices[0].message.content or "").endswith("hello")


def test_a_running_job_can_be_cancelled(server: Server) -> None:
    job = server.train(seed=fake_trainer.WAITS)
    server.wait(job, "running")
    cancelled = server.client.fine_tuning.jobs.cancel(job.id)
    assert cancelled.status == "cancelled"
    assert cancelled.finished_at
    assert server.events(job)[-1].message == "Fine-tuning job cancelled"
    with pytest.raises(openai.BadRequestError, match="already completed"):
        server.client.fine_tuning.jobs.cancel(job.id)


def test_a_running_job_says_when_it_should_be_done(server: Server) -> None:
    job = server.train(seed=fake_trainer.WAITS)
    assert job.estimated_finish is None
    estimate = wait_for(lambda: server.client.fine_tuning.jobs.retrieve(job.id).estimated_finish)
    assert estimate >= job.created_at
    assert server.client.fine_tuning.jobs.cancel(job.id).estimated_finish is None


def test_a_queued_job_can_be_cancelled(server: Server) -> None:
    first, second = server.train(seed=fake_trainer.WAITS), server.train()
    server.wait(second, "queued")
    server.client.fine_tuning.jobs.cancel(second.id)
    server.client.fine_tuning.jobs.cancel(first.id)
    assert server.wait(second).status == "cancelled"
    assert server.wait(server.train()).status == "succeeded"


def test_a_trainer_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    setup = trainer_setup(command=(sys.executable, "-c", deaf), grace_s=0.2)
    with running_server(tmp_path, trainer=setup) as server:
        job = server.train()
        server.wait(job, "running")
        server.client.fine_tuning.jobs.cancel(job.id)
        second = server.train()
        assert server.wait(second, "running").status == "running"
        server.client.fine_tuning.jobs.cancel(second.id)


def test_a_file_deleted_before_it_is_read_fails_the_job(server: Server) -> None:
    blocker = server.upload(training_rows())
    job = server.client.fine_tuning.jobs.create(model="tiny-base", training_file=blocker.id)
    server.wait(job)
    server.client.files.delete(blocker.id)
    with pytest.raises(openai.BadRequestError, match="invalid training_file"):
        server.client.fine_tuning.jobs.create(model="tiny-base", training_file=blocker.id)


def test_what_only_the_trainer_needed_is_removed(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        jobs = [server.wait(server.train(seed=seed)) for seed in (1, fake_trainer.FAILS)]
    folders = [tmp_path / "jobs" / job.id for job in jobs]
    assert not [path for folder in folders for path in (*folder.glob("*.jsonl"),) if path.stem == "training"]
    assert [len(list((folder / "attempt-1" / "checkpoints").iterdir())) for folder in folders] == [8, 0]


def test_a_dpo_job_trains_on_pairs_of_answers(tmp_path: Path) -> None:
    method = {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1, "batch_size": 4}}}
    with running_server(tmp_path) as server:
        validation = server.upload(preference_rows(2))
        job = server.wait(server.train(preference_rows(), method=method, validation_file=validation.id))
        assert job.status == "succeeded"
        metrics = next(event for event in server.events(job) if event.type == "metrics")
    assert metrics.message == "Step 1/3: training loss=2.00, validation loss=3.00"
    assert isinstance(metrics.data, dict)
    assert metrics.data["train_preference_accuracy"] == 0.5
    given = json.loads((tmp_path / "jobs" / job.id / "attempt-1" / "job.json").read_text())
    assert (given["method"], given["beta"]) == ("dpo", 0.1)


def test_a_supervised_job_has_no_beta(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        job = server.wait(server.train())
    given = json.loads((tmp_path / "jobs" / job.id / "attempt-1" / "job.json").read_text())
    assert (given["method"], given["beta"], given["resume_from"]) == ("supervised", None, None)
    assert (given["model"], given["threads"], given["seed"]) == ("weights.gguf", 1, job.seed)


def test_answers_that_teach_nothing_are_warned_of(server: Server) -> None:
    same = preference_rows().replace(b"No idea.", b"1")
    job = server.wait(server.train(same, method={"type": "dpo"}))
    assert job.status == "succeeded"
    warnings = [event.message for event in server.events(job) if event.level == "warn"]
    assert warnings == [
        "1 example(s) of the training file have the same preferred and non-preferred output, which teaches nothing: 1"
    ]


def test_both_files_must_have_one_shape(server: Server) -> None:
    pairs = server.upload(b'{"prompt": "a", "completion": "b"}\n')
    job = server.wait(server.train(validation_file=pairs.id))
    assert job.error
    assert (job.error.code, job.error.param) == ("invalid_validation_file", "validation_file")
    assert "the training file is in the fine-tune-chat format" in job.error.message


def test_jobs_that_wait_say_when_they_should_be_done(server: Server) -> None:
    first, *others = [server.train(seed=seed) for seed in (fake_trainer.WAITS, 1, 2)]
    for other in others:
        server.wait(other, "queued")
    own = wait_for(lambda: server.client.fine_tuning.jobs.retrieve(first.id).estimated_finish)
    later = [server.client.fine_tuning.jobs.retrieve(other.id).estimated_finish for other in others]
    assert all(later)
    assert own <= later[0] <= later[1]
    server.client.fine_tuning.jobs.cancel(first.id)
    assert all(server.wait(other).status == "succeeded" for other in others)
