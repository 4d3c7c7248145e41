import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import EndpointError, UsageError
from harness.records import Endpoint, TrainingJob
from harness.training import (
    JobProgress,
    TrainingRequest,
    checkpoints_of,
    curve_of,
    fine_tune,
    latest_job,
    recorded_jobs,
    request_digest,
    retrieve_job,
)
from tests.training.provider import Provider

KEY = "sk-test-0123456789abcdef"
METRICS = [
    {"step": 1, "total_steps": 3, "train_loss": 2.00001},
    {"step": 2, "total_steps": 3, "train_loss": 1.0, "valid_loss": 1.5},
    {"step": 3, "total_steps": 3, "train_loss": 0.5, "full_valid_loss": 1.25},
]


@pytest.fixture
def request_(tmp_path: Path) -> TrainingRequest:
    for name in ("tickets.jsonl", "valid.jsonl"):
        (tmp_path / name).write_text(f'{{"{name}": 1}}\n')
    return TrainingRequest(
        model="m",
        training_file=tmp_path / "tickets.jsonl",
        validation_file=tmp_path / "valid.jsonl",
        epochs=2,
    )


def endpoint(provider: Provider) -> Endpoint:
    return Endpoint(label="test", base_url=provider.base_url, api_key=KEY, max_retries=0)


def train(
    provider: Provider,
    request: TrainingRequest,
    *,
    told: list[JobProgress] | None = None,
    ledger: Path | None = None,
) -> TrainingJob:
    on_progress = told.append if told is not None else lambda _: None
    return fine_tune(endpoint(provider), request, on_progress=on_progress, poll_s=0.0, ledger=ledger)


def test_job_is_created_followed_and_returned(request_: TrainingRequest) -> None:
    told: list[JobProgress] = []
    with Provider(metrics=METRICS) as provider:
        job = train(provider, request_, told=told)
    assert (job.status, job.fine_tuned_model, job.trained_tokens) == ("succeeded", "ft:m:local::ftjob-1", 42)
    assert job.hyperparameters["n_epochs"] == 2
    assert job.digest == request_digest(request_, endpoint=endpoint(provider))
    assert [name for name, _ in provider.files] == ["tickets.jsonl", "valid.jsonl"]
    (body,) = provider.created
    assert body["hyperparameters"] == {"n_epochs": 2}
    assert body["metadata"] == {"harness_digest": job.digest}
    assert not {"seed", "suffix", "method"} & body.keys()
    assert [note.message for note in told if note.message] == [
        "uploading tickets.jsonl (21 bytes) to test",
        "uploading valid.jsonl (19 bytes) to test",
        "Created fine-tuning job: ftjob-1",
        "The job has successfully completed",
    ]


def test_progress_has_step_losses_and_seconds_left(request_: TrainingRequest) -> None:
    told: list[JobProgress] = []
    many = [{"step": n, "total_steps": 10, "train_loss": 1 / n} for n in range(1, 6)]
    with Provider(metrics=many) as provider:
        train(provider, request_, told=told)
    running = next(note for note in told if note.step is not None)
    assert (running.step, running.total_steps, running.train_loss) == (4, 10, 0.25)
    # The fake's clock ticks ten seconds a step, and six steps are left.
    assert running.seconds_left == 60.0


def test_validation_loss_stays_until_the_next_one(request_: TrainingRequest) -> None:
    told: list[JobProgress] = []
    with Provider(metrics=METRICS) as provider:
        train(provider, request_, told=told)
    assert [note.valid_loss for note in told if note.step == 3] == [1.5]


def test_same_request_is_trained_once(request_: TrainingRequest) -> None:
    told: list[JobProgress] = []
    with Provider() as provider:
        first = train(provider, request_)
        second = train(provider, request_, told=told)
    assert first.id == second.id
    assert len(provider.created) == 1
    assert len(provider.files) == 2
    assert "reused" in told[0].message


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, model="n"),
        lambda r: replace(r, epochs=3),
        lambda r: replace(r, seed=1),
        lambda r: replace(r, validation_file=None),
        lambda r: replace(r, training_file=r.validation_file),
    ],
)
def test_any_change_of_the_request_is_trained_anew(
    request_: TrainingRequest, change: Callable[[TrainingRequest], TrainingRequest]
) -> None:
    with Provider() as provider:
        train(provider, request_)
        train(provider, change(request_))
    assert len(provider.created) == 2


def test_digest_follows_the_bytes_not_the_name_of_a_file(request_: TrainingRequest, tmp_path: Path) -> None:
    where = Endpoint(label="test")
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(request_.training_file.read_bytes())
    assert request_digest(replace(request_, training_file=copy), endpoint=where) == request_digest(
        request_, endpoint=where
    )
    before = request_digest(request_, endpoint=where)
    request_.training_file.write_text("{}")
    assert request_digest(request_, endpoint=where) != before


def test_digest_is_the_same_on_another_port(request_: TrainingRequest) -> None:
    one, two = (Endpoint(label="local", base_url=f"http://127.0.0.1:{port}/v1") for port in (1, 2))
    assert request_digest(request_, endpoint=one) == request_digest(request_, endpoint=two)


def test_provider_that_ignores_the_filter_is_searched(request_: TrainingRequest) -> None:
    with Provider(filters=False) as provider:
        train(provider, request_)
        for seed in range(5):  # newer jobs of others, on further pages
            train(provider, replace(request_, seed=seed))
        train(provider, request_)
    assert len(provider.created) == 6


def test_deleted_model_is_trained_anew(request_: TrainingRequest) -> None:
    with Provider() as provider:
        train(provider, request_)
        provider.models.clear()
        train(provider, request_)
    assert len(provider.created) == 2


def test_job_under_way_is_followed(request_: TrainingRequest) -> None:
    told: list[JobProgress] = []
    with Provider(statuses=["queued", "running", "running", "succeeded"]) as provider:
        with pytest.raises(KeyboardInterrupt):
            fine_tune(endpoint(provider), request_, on_progress=interrupt, poll_s=0.0)
        job = train(provider, request_, told=told)
    assert job.id == "ftjob-1"
    assert len(provider.created) == 1
    assert told[0].message == "ftjob-1 is under way already"


def interrupt(progress: JobProgress) -> None:
    if progress.status and "not cancelled" not in progress.message:
        raise KeyboardInterrupt


def test_interrupt_says_how_to_come_back(request_: TrainingRequest) -> None:
    told: list[JobProgress] = []

    def tell(progress: JobProgress) -> None:
        told.append(progress)
        interrupt(progress)

    with Provider() as provider, pytest.raises(KeyboardInterrupt):
        fine_tune(endpoint(provider), request_, on_progress=tell, poll_s=0.0)
    assert told[-1].message == "ftjob-1 is not cancelled; the same command comes back to it"


@pytest.mark.parametrize("metadata", ["refused", "dropped"])
def test_ledger_stands_in_for_metadata(request_: TrainingRequest, tmp_path: Path, metadata: str) -> None:
    ledger = tmp_path / "state" / "jobs.jsonl"
    with Provider(metadata=metadata) as provider:
        job = train(provider, request_, ledger=ledger)
        again = train(provider, request_, ledger=ledger)
        assert len(provider.jobs) == 1
    assert (job.id, job.digest) == (again.id, again.digest)
    assert [(entry.job.digest, entry.job.id) for entry in recorded_jobs(ledger)] == [(job.digest, job.id)]


def test_ledger_of_a_forgotten_job_or_of_rubbish_does_no_harm(
    request_: TrainingRequest, tmp_path: Path
) -> None:
    ledger = tmp_path / "jobs.json"
    with Provider() as provider:
        digest = request_digest(request_, endpoint=endpoint(provider))
        ledger.write_text(json.dumps({digest: "ftjob-gone"}))
        assert train(provider, request_, ledger=ledger).id == "ftjob-1"
        ledger.write_text("rubbish")
        assert train(provider, request_, ledger=ledger).id == "ftjob-1"


def test_failed_job_says_why_with_its_line_numbers(request_: TrainingRequest) -> None:
    message = "The job failed due to an invalid training file. Flagged lines: 4, 13, 14"
    error = {"code": "invalid_training_file", "message": message, "param": "training_file"}
    with Provider(statuses=["validating_files", "failed"], error=error) as provider:
        with pytest.raises(EndpointError, match="Flagged lines: 4, 13, 14") as caught:
            train(provider, request_)
        assert "mend the file" in caught.value.remedy
        with pytest.raises(EndpointError):  # a failed job is no reason not to try again
            train(provider, request_)
        assert len(provider.created) == 2


def test_cancelled_job_is_an_error(request_: TrainingRequest) -> None:
    with (
        Provider(statuses=["queued", "cancelled"]) as provider,
        pytest.raises(EndpointError, match="was cancelled"),
    ):
        train(provider, request_)


def test_creation_is_never_retried(request_: TrainingRequest) -> None:
    with Provider() as provider:
        provider.refuse["POST /fine_tuning/jobs"] = (503, {"error": {"message": "busy"}})
        stubborn = replace(endpoint(provider), max_retries=3)
        with pytest.raises(EndpointError, match="busy"):
            fine_tune(stubborn, request_, on_progress=lambda _: None, poll_s=0.0)
        assert provider.asked.count("POST /fine_tuning/jobs") == 1


def test_closed_platform_is_explained(request_: TrainingRequest) -> None:
    refusal = {"error": {"message": "Fine-tuning is not available", "code": "training_not_available"}}
    with Provider() as provider:
        provider.refuse["POST /fine_tuning/jobs"] = (403, refusal)
        with pytest.raises(EndpointError, match="takes no new fine-tuning jobs"):
            train(provider, request_)


def test_error_holds_no_key(request_: TrainingRequest) -> None:
    with Provider() as provider:
        provider.refuse["GET /fine_tuning/jobs"] = (401, {"error": {"message": f"Incorrect API key: {KEY}"}})
        with pytest.raises(EndpointError, match="Incorrect API key") as caught:
            train(provider, request_)
    assert KEY not in str(caught.value)
    assert "check the key" in caught.value.remedy


def test_nobody_listening_is_an_endpoint_error(request_: TrainingRequest) -> None:
    with Provider() as provider:
        gone = endpoint(provider)
    with pytest.raises(EndpointError, match="is the server running"):
        retrieve_job(gone, "ftjob-1")


@pytest.mark.parametrize("reply", [b"<html>hi</html>", b"[]", b"null", b"{}"])
def test_answer_that_is_no_job_is_an_endpoint_error_or_an_empty_job(reply: bytes) -> None:
    with Provider() as provider:
        provider.refuse["GET /fine_tuning/jobs/x"] = (200, reply)
        provider.refuse["GET /fine_tuning/jobs"] = (200, reply)
        if reply == b"{}":
            assert retrieve_job(endpoint(provider), "x").status == "unknown"
        else:
            with pytest.raises(EndpointError, match="/v1"):
                retrieve_job(endpoint(provider), "x")
        with pytest.raises(EndpointError):
            latest_job(endpoint(provider))


def test_missing_training_file_is_a_usage_error(request_: TrainingRequest, tmp_path: Path) -> None:
    with Provider() as provider, pytest.raises(UsageError, match=r"none\.jsonl"):
        train(provider, replace(request_, training_file=tmp_path / "none.jsonl"))


def test_refused_file_names_the_reason(request_: TrainingRequest) -> None:
    with Provider() as provider:
        reply = {"id": "file-1", "status": "error", "status_details": "Example 7 cannot be parsed"}
        provider.refuse["POST /files"] = (200, reply)
        with pytest.raises(EndpointError, match="Example 7"):
            train(provider, request_)


def test_provider_without_events_is_followed_by_status(request_: TrainingRequest) -> None:
    told: list[JobProgress] = []
    with Provider() as provider:
        provider.refuse["GET /fine_tuning/jobs/ftjob-1/events"] = (404, {"error": {"message": "no"}})
        job = train(provider, request_, told=told)
        curve = curve_of(endpoint(provider), job)
    assert [note.status for note in told if note.status] == ["running", "succeeded"]
    assert curve is not None
    assert list(curve.steps["train_loss"]) == [2.0, 1.0]


def test_latest_job_is_the_newest_that_succeeded(request_: TrainingRequest) -> None:
    with Provider() as provider:
        with pytest.raises(EndpointError, match="no succeeded"):
            latest_job(endpoint(provider))
        train(provider, request_)
        train(provider, replace(request_, seed=2))
        provider.statuses = ["queued", "failed"]
        with pytest.raises(EndpointError):
            train(provider, replace(request_, seed=3))
        assert latest_job(endpoint(provider)).id == "ftjob-2"


def test_unknown_job_is_an_endpoint_error() -> None:
    with Provider() as provider, pytest.raises(EndpointError, match="no such job"):
        retrieve_job(endpoint(provider), "ftjob-none")


def test_curve_is_the_result_file_and_the_events(request_: TrainingRequest) -> None:
    with Provider(metrics=METRICS) as provider:
        curve = curve_of(endpoint(provider), train(provider, request_))
    assert curve is not None
    steps = curve.steps
    assert list(steps["step"]) == [1, 2, 3]
    assert list(steps["train_loss"]) == [2.00001, 1.0, 0.5]
    assert steps["train_accuracy"][0] == 0.5
    assert steps["full_valid_loss"][2] == 1.25


@pytest.mark.parametrize("content", [(404, {"error": {"message": "gone"}}), (200, b"<html>")])
def test_curve_without_its_result_file_comes_from_the_events(request_: TrainingRequest, content: Any) -> None:
    with Provider(metrics=METRICS) as provider:
        job = train(provider, request_)
        provider.refuse["GET /files/result/content"] = content
        curve = curve_of(endpoint(provider), job)
    assert curve is not None
    assert list(curve.steps["train_loss"]) == [2.00001, 1.0, 0.5]


def test_job_without_result_or_metrics_has_no_curve(request_: TrainingRequest) -> None:
    with Provider() as provider:
        job = train(provider, request_)
        provider.refuse["GET /files/result/content"] = (404, {})
        assert curve_of(endpoint(provider), job) is None


def test_checkpoints_are_in_the_order_of_their_steps(request_: TrainingRequest) -> None:
    with Provider() as provider:
        points = checkpoints_of(endpoint(provider), train(provider, request_))
    assert [(point.model, point.step) for point in points] == [
        ("ft:m:local::x:ckpt-step-10", 10),
        ("ft:m:local::x:ckpt-step-20", 20),
    ]
    assert points[0].metrics == {"step": 10.0, "full_valid_loss": 0.5}


@pytest.mark.parametrize(("variable", "value"), [("HTTP_PROXY", "::bad"), ("SSL_CERT_FILE", "/no/such.pem")])
def test_a_broken_environment_is_told_with_its_variables(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(EndpointError, match=f"no connection can be set up.*{variable}"):
        latest_job(Endpoint(label="test", base_url="http://127.0.0.1:9/v1", api_key="none"))
