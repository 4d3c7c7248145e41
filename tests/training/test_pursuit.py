import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import EndpointError
from harness.records import Endpoint, TrainingJob
from harness.testing import FaultyEndpoint
from harness.testing.endpoints import DROPPED, Fault
from harness.training import (
    JobProgress,
    TrainingRequest,
    cancel_job,
    delete_model,
    follow_job,
    job_events,
    list_jobs,
    list_models,
    start_job,
    wait_until_served,
)
from harness.training.jobs import pursuit
from tests.training.provider import Provider

NOT_FOUND = Fault(status=404, message="The model `ft:m` does not exist", code="model_not_found")


def endpoint(base_url: str) -> Endpoint:
    return Endpoint(label="test", base_url=base_url, api_key="k", max_retries=0)


def started(provider: Provider, folder: Path) -> TrainingJob:
    (folder / "t.jsonl").write_text("{}\n")
    request = TrainingRequest(model="m", training_file=folder / "t.jsonl")
    return start_job(endpoint(provider.base_url), request, on_progress=lambda _: None, poll_s=0.0).job


# --- following -------------------------------------------------------------------------------------------


def test_outage_is_told_once_and_the_job_is_followed_on(tmp_path: Path) -> None:
    told: list[JobProgress] = []
    with Provider() as provider:
        job = started(provider, tmp_path)
        provider.lose = [f"GET /fine_tuning/jobs/{job.id}"] * 3
        done = follow_job(endpoint(provider.base_url), job, on_progress=told.append, poll_s=0.0)
    assert done.status == "succeeded"
    assert sum("the job goes on, asking again" in note.message for note in told) == 1


def test_endpoint_that_stays_away_ends_the_following(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pursuit, "OUTAGE_LIMIT_S", 0.0)
    with Provider() as provider:
        job = started(provider, tmp_path)
    with pytest.raises(EndpointError, match="is the server running"):
        follow_job(endpoint(provider.base_url), job, on_progress=lambda _: None, poll_s=0.0)


def test_wrong_key_is_no_outage(tmp_path: Path) -> None:
    with Provider() as provider:
        job = started(provider, tmp_path)
        provider.refuse[f"GET /fine_tuning/jobs/{job.id}"] = (401, {"error": {"message": "bad key"}})
        with pytest.raises(EndpointError, match="bad key"):
            follow_job(endpoint(provider.base_url), job, on_progress=lambda _: None, poll_s=0.0)


def test_failed_job_is_followed_to_its_end_and_given_back(tmp_path: Path) -> None:
    with Provider(statuses=["queued", "failed"], error={"message": "no"}) as provider:
        done = follow_job(
            endpoint(provider.base_url), started(provider, tmp_path), on_progress=lambda _: None, poll_s=0.0
        )
    assert (done.status, done.error) == ("failed", "no")


@pytest.mark.parametrize(
    ("said", "means"), [("completed", "succeeded"), ("ERROR", "failed"), ("canceled", "cancelled")]
)
def test_other_spellings_of_the_end_are_ends(tmp_path: Path, said: str, means: str) -> None:
    with Provider(statuses=["queued", said]) as provider:
        done = follow_job(
            endpoint(provider.base_url), started(provider, tmp_path), on_progress=lambda _: None, poll_s=0.0
        )
    assert done.status == means


# --- the fresh model -------------------------------------------------------------------------------------


def test_model_that_is_served_later_is_waited_for_with_one_message() -> None:
    told: list[JobProgress] = []
    with FaultyEndpoint(faults=[NOT_FOUND, 503, 429, DROPPED]) as fresh:
        where = endpoint(fresh.base_url)
        assert wait_until_served(where, "ft:m", on_progress=told.append, poll_s=0.0)
        assert fresh.requests == 5
        assert fresh.bodies[0]["max_tokens"] == 1
    assert [note.message for note in told] == [
        "ft:m is not served yet (404 model_not_found), as happens in the first minutes: waiting up to 10 min",
        "ft:m answers",
    ]


def test_waiting_for_a_model_has_a_limit() -> None:
    told: list[JobProgress] = []
    with FaultyEndpoint(faults=itertools.repeat(NOT_FOUND)) as never:
        where = endpoint(never.base_url)
        assert not wait_until_served(where, "ft:m", on_progress=told.append, limit_s=0.0, poll_s=0.0)
    assert [note.message for note in told] == ["ft:m is still not served (404 model_not_found)"]


def test_model_that_a_person_must_deploy_is_not_waited_for() -> None:
    told: list[JobProgress] = []
    undeployed = Fault(status=404, message="The API deployment does not exist.", code="DeploymentNotFound")
    with FaultyEndpoint(faults=itertools.repeat(undeployed)) as azure:
        assert not wait_until_served(endpoint(azure.base_url), "m.ft-1", on_progress=told.append, poll_s=0.0)
        assert azure.requests == 1
    assert [note.message for note in told] == [
        "m.ft-1 answers once it is deployed; the deployment's name is then the model's"
    ]


@pytest.mark.parametrize(
    "fault",
    [
        401,
        400,
        Fault(status=404, message="This is not a chat model", code=None),
        Fault(status=404, message="Not Found"),
    ],
)
def test_trouble_that_waiting_does_not_mend_is_not_waited_for(fault: Fault | int) -> None:
    told: list[JobProgress] = []
    with FaultyEndpoint(faults=itertools.repeat(fault)) as other:
        assert wait_until_served(endpoint(other.base_url), "ft:m", on_progress=told.append, poll_s=0.0)
        assert other.requests == 1
    assert not told


def test_endpoints_own_name_of_the_limit_is_used() -> None:
    with FaultyEndpoint() as server:
        where = replace(endpoint(server.base_url), max_tokens_field="max_completion_tokens")
        assert wait_until_served(where, "m", on_progress=lambda _: None)
        assert server.bodies[0]["max_completion_tokens"] == 1


# --- the rest of a job's life ----------------------------------------------------------------------------


def test_job_is_cancelled_once(tmp_path: Path) -> None:
    with Provider(statuses=["queued", "queued"]) as provider:
        where, job = endpoint(provider.base_url), started(provider, tmp_path)
        now, was_cancelled = cancel_job(where, job.id)
        assert (now.status, was_cancelled) == ("cancelled", True)
        again, was_cancelled = cancel_job(where, job.id)
        assert (again.status, was_cancelled) == ("cancelled", False)
    assert sum(asked.endswith("/cancel") for asked in provider.asked) == 1


def test_jobs_are_listed_newest_first_over_pages(tmp_path: Path) -> None:
    with Provider() as provider:
        for epochs in range(1, 6):
            (tmp_path / "t.jsonl").write_text("{}\n")
            request = TrainingRequest(model="m", training_file=tmp_path / "t.jsonl", epochs=epochs)
            start_job(endpoint(provider.base_url), request, on_progress=lambda _: None, poll_s=0.0)
        where = endpoint(provider.base_url)
        assert [job.id for job in list_jobs(where)] == [f"ftjob-{n}" for n in (5, 4, 3, 2, 1)]
        assert [job.id for job in list_jobs(where, at_most=3)] == ["ftjob-5", "ftjob-4", "ftjob-3"]


def test_server_that_gives_its_first_page_again_is_asked_no_third_time(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("{}\n")
    with Provider() as provider:
        request = TrainingRequest(model="m", training_file=tmp_path / "t.jsonl")
        start_job(endpoint(provider.base_url), request, on_progress=lambda _: None, poll_s=0.0)
        provider.refuse["GET /fine_tuning/jobs"] = (200, {"data": list(provider.jobs)})  # without `has_more`
        provider.asked.clear()
        assert [job.id for job in list_jobs(endpoint(provider.base_url))] == ["ftjob-1"]
        assert len(provider.asked) == 2


def test_events_are_oldest_first_and_of_a_job_that_exists(tmp_path: Path) -> None:
    with Provider() as provider:
        where, job = endpoint(provider.base_url), started(provider, tmp_path)
        follow_job(where, job, on_progress=lambda _: None, poll_s=0.0)
        assert [event.message for event in job_events(where, job.id)] == [
            "Created fine-tuning job: ftjob-1",
            "The job has successfully completed",
        ]
        with pytest.raises(EndpointError, match="no such job"):
            job_events(where, "ftjob-9")


def test_model_is_deleted_and_a_wrong_name_has_its_neighbour() -> None:
    with Provider() as provider:
        provider.models = {"ft:m:acme::one", "m"}
        where = endpoint(provider.base_url)
        with pytest.raises(EndpointError, match="has no model ft:m:acme::on ") as caught:
            delete_model(where, "ft:m:acme::on")
        assert "ft:m:acme::one" in caught.value.remedy
        delete_model(where, "ft:m:acme::one")
        assert [model.id for model in list_models(where)] == ["m"]


def test_azures_older_routes_have_their_version_and_header(tmp_path: Path) -> None:
    with Provider() as provider:
        url = provider.base_url.removesuffix("/v1") + "/v1?api-version=2024-10-21"
        assert list_jobs(endpoint(url)) == ()
        assert provider.asked == ["GET /fine_tuning/jobs"]
        assert "api-version=2024-10-21" in provider.queries[0].split("&")
        assert provider.keys == ["k"]
