"""Every object of the fine-tuning life, in every state, against the official client's own types: strictly."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai._legacy_response import LegacyAPIResponse
from openai.types import Model, ModelDeleted
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from tests.localserver import fake_trainer
from tests.localserver.fakes import BASE, Server, preference_rows, running_server, strictly, training_rows

# What real job objects hold and the client's type does not name.
JOB_EXTRAS = {"user_provided_suffix", "usage_metrics", "shared_with_openai", "eval_id"}
# What is measured of DPO. OpenAI's names for it are not known; these are this server's.
DPO_EXTRAS = {"train_preference_accuracy", "train_reward_margin"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("types")) as running:
        yield running


@pytest.fixture(scope="module")
def done(served: Server) -> FineTuningJob:
    """A succeeded job with validation, checkpoints and metadata."""
    return served.wait(
        served.train(
            validation_file=served.upload(training_rows(2, start=90)).id,
            hyperparameters={"n_epochs": 3, "batch_size": 4},
            metadata={"team": "a"},
        )
    )


def raw(response: LegacyAPIResponse[Any]) -> Any:
    return response.http_response.json()


def strict_job(data: Any) -> FineTuningJob:
    """The job by the client's type; where real answers leave the type, the field is looked at and then put right.

    `hyperparameters` of the type cannot be null, but are for DPO; its `status` has no word for a paused job.
    """
    if data["method"]["type"] == "dpo":
        assert data["hyperparameters"] is None
        data = data | {"hyperparameters": {}}
    if data["status"] == "paused":
        data = data | {"status": "queued"}
    return strictly(FineTuningJob, data, JOB_EXTRAS)


def test_a_job_is_of_its_type_in_every_state(served: Server) -> None:
    jobs = served.client.fine_tuning.jobs
    file = served.upload(training_rows())
    created = raw(
        jobs.with_raw_response.create(model=BASE.name, training_file=file.id, seed=fake_trainer.WAITS)
    )
    assert strict_job(created).status == "validating_files"
    assert created["error"] is None
    served.wait(strict_job(created), "running")
    job_id = created["id"]
    assert strict_job(raw(jobs.with_raw_response.retrieve(job_id))).status == "running"
    paused = raw(jobs.with_raw_response.pause(job_id))
    assert (paused["status"], strict_job(paused).id) == ("paused", job_id)
    strict_job(raw(jobs.with_raw_response.resume(job_id)))
    cancelled = raw(jobs.with_raw_response.cancel(job_id))
    assert strict_job(cancelled).status == "cancelled"
    assert (cancelled["error"], cancelled["fine_tuned_model"], cancelled["trained_tokens"]) == (
        None,
        None,
        None,
    )


def test_a_succeeded_job_is_of_its_type(served: Server, done: FineTuningJob) -> None:
    data = raw(served.client.fine_tuning.jobs.with_raw_response.retrieve(done.id))
    job = strict_job(data)
    assert job.status == "succeeded"
    assert job.method
    assert job.method.supervised
    assert job.method.supervised.hyperparameters
    assert job.hyperparameters.model_dump() == job.method.supervised.hyperparameters.model_dump()
    assert job.metadata == {"team": "a"}
    assert job.trained_tokens
    assert job.finished_at
    assert data["organization_id"].startswith("org-")
    assert (data["integrations"], data["usage_metrics"], data["eval_id"]) == ([], None, None)
    assert (data["error"], data["estimated_finish"], data["shared_with_openai"]) == (None, None, False)


def test_a_failed_job_is_of_its_type(served: Server) -> None:
    failed = served.wait(served.train(seed=fake_trainer.FAILS))
    job = strict_job(raw(served.client.fine_tuning.jobs.with_raw_response.retrieve(failed.id)))
    assert job.error
    assert (job.status, job.error.code, job.error.message) == ("failed", "bad_luck", "Not today.")
    assert (job.fine_tuned_model, job.result_files, job.trained_tokens) == (None, [], None)


def test_a_dpo_job_its_events_and_checkpoints_are_of_their_types(served: Server) -> None:
    jobs = served.client.fine_tuning.jobs
    made = served.wait(
        served.train(preference_rows(), method={"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1}}})
    )
    job = strict_job(raw(jobs.with_raw_response.retrieve(made.id)))
    assert job.method
    assert job.method.dpo
    assert job.method.dpo.hyperparameters
    assert job.method.dpo.hyperparameters.beta == 0.1
    page = raw(jobs.checkpoints.with_raw_response.list(made.id))
    checkpoint = strictly(FineTuningJobCheckpoint, page["data"][0], DPO_EXTRAS)
    assert checkpoint.metrics.train_loss == pytest.approx(2 / 3)
    events = raw(jobs.with_raw_response.list_events(made.id))["data"]
    metrics = next(event for event in events if event["type"] == "metrics")
    strictly(FineTuningJobEvent, metrics)
    assert set(metrics["data"]) == {
        "step",
        "total_steps",
        "train_loss",
        "train_mean_token_accuracy",
        *DPO_EXTRAS,
    }


def test_a_list_of_jobs_is_of_its_type(served: Server, done: FineTuningJob) -> None:
    page = raw(served.client.fine_tuning.jobs.with_raw_response.list())
    assert {key: type(value) for key, value in page.items()} == {
        "object": str,
        "data": list,
        "has_more": bool,
    }
    assert done.id in {strict_job(entry).id for entry in page["data"]}


def test_events_are_of_their_type(served: Server, done: FineTuningJob) -> None:
    page = raw(served.client.fine_tuning.jobs.with_raw_response.list_events(done.id, limit=50))
    assert {key: type(value) for key, value in page.items()} == {
        "object": str,
        "data": list,
        "has_more": bool,
    }
    events = [strictly(FineTuningJobEvent, event) for event in page["data"]]
    assert {event.type for event in events} == {"message", "metrics"}
    assert len({event.id for event in events}) == len(events) == 4 + 9 + 4


def test_checkpoints_are_of_their_type(served: Server, done: FineTuningJob) -> None:
    page = raw(served.client.fine_tuning.jobs.checkpoints.with_raw_response.list(done.id))
    checkpoints = [strictly(FineTuningJobCheckpoint, entry) for entry in page["data"]]
    assert [checkpoint.step_number for checkpoint in checkpoints] == [9, 6, 3]
    assert all(checkpoint.fine_tuning_job_id == done.id for checkpoint in checkpoints)
    assert set(page) == {"object", "data", "first_id", "last_id", "has_more"}
    assert checkpoints[0].metrics.full_valid_loss == pytest.approx(1 / 9)


def test_models_are_of_their_types(served: Server, done: FineTuningJob) -> None:
    models = served.client.models
    page = raw(models.with_raw_response.list())
    assert set(page) == {"object", "data"}
    names = [strictly(Model, entry).id for entry in page["data"]]
    assert names[0] == BASE.name
    assert done.fine_tuned_model in names
    one = strictly(Model, raw(models.with_raw_response.retrieve(names[1])))
    assert (one.object, one.owned_by, one.shutdown_date) == ("model", "local", None)
    deleted = strictly(ModelDeleted, raw(models.with_raw_response.delete(names[1])))
    assert (deleted.id, deleted.object, deleted.deleted) == (names[1], "model", True)
