import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import EndpointError, StorageError
from harness.records import Endpoint, TrainingJob
from harness.training import (
    JobProgress,
    Terms,
    TrainingRequest,
    find_job,
    fine_tune,
    recorded_jobs,
    request_digest,
    start_job,
)
from harness.training.jobs import creation
from harness.training.ledger import UPLOADS
from tests.training.provider import Provider

CREATION = "POST /fine_tuning/jobs"
UPLOAD = "POST /files"
NO_TERMS = Terms()


@pytest.fixture
def asked(tmp_path: Path) -> TrainingRequest:
    for name in ("tickets.jsonl", "valid.jsonl"):
        (tmp_path / name).write_text(f'{{"{name}": 1}}\n')
    return TrainingRequest(
        model="m",
        training_file=tmp_path / "tickets.jsonl",
        validation_file=tmp_path / "valid.jsonl",
        epochs=2,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / ".harness" / "jobs.jsonl"


def endpoint(provider: Provider, *, retries: int = 0) -> Endpoint:
    return Endpoint(label="test", base_url=provider.base_url, api_key="k", max_retries=retries)


def train(
    provider: Provider,
    request: TrainingRequest,
    ledger: Path | None,
    *,
    told: Callable[[JobProgress], None] = lambda _: None,
    terms: Terms = NO_TERMS,
) -> TrainingJob:
    return fine_tune(endpoint(provider), request, on_progress=told, poll_s=0.0, ledger=ledger, terms=terms)


# --- one job ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", ["kept", "dropped"])
def test_job_whose_answer_was_lost_is_found_and_not_made_again(
    asked: TrainingRequest, ledger: Path, metadata: str
) -> None:
    told: list[JobProgress] = []
    with Provider(metadata=metadata) as provider:
        provider.lose = [CREATION]
        job = train(provider, asked, ledger, told=told.append)
        again = train(provider, asked, ledger)
    assert (job.id, again.id) == ("ftjob-1", "ftjob-1")
    assert len(provider.created) == 1
    assert any("looking for the job before anything is created again" in note.message for note in told)
    assert any(note.message == "ftjob-1 was made all the same" for note in told)


def test_lost_job_that_nobody_lists_is_not_made_again_in_the_same_call(
    asked: TrainingRequest, ledger: Path
) -> None:
    with Provider(metadata="dropped") as provider:
        provider.lose = [CREATION]
        provider.refuse["GET /fine_tuning/jobs"] = (200, {"object": "list", "data": [], "has_more": False})
        with pytest.raises(EndpointError, match="no job of it is listed") as caught:
            train(provider, asked, ledger)
        assert "looks for the job before it creates one" in caught.value.remedy
        del provider.refuse["GET /fine_tuning/jobs"]
        assert train(provider, asked, ledger).id == "ftjob-1"
        assert len(provider.created) == 1


def test_process_that_died_before_the_answer_finds_its_job(asked: TrainingRequest, ledger: Path) -> None:
    """What a killed process leaves: the question in the ledger, the job at the provider, no digest in it."""
    with Provider(metadata="dropped") as provider:
        train(provider, asked, ledger)
        question, *_ = ledger.read_text().splitlines()
        assert json.loads(question)["job"]["status"] == "asked"
        ledger.write_text(question + "\n")
        assert train(provider, asked, ledger).id == "ftjob-1"
        assert len(provider.created) == 1
    assert [entry.job.id for entry in recorded_jobs(ledger)] == ["ftjob-1"]


@pytest.mark.parametrize(
    "change",
    [
        lambda job: job.update(validation_file=None),
        lambda job: job.update(created_at=1000),
        lambda job: job.update(hyperparameters={"n_epochs": 5}),
    ],
)
def test_job_of_other_files_time_or_epochs_is_not_taken_for_the_lost_one(
    asked: TrainingRequest, ledger: Path, change: Callable[[dict[str, object]], None]
) -> None:
    with Provider(metadata="dropped") as provider:
        train(provider, asked, ledger)
        ledger.write_text(ledger.read_text().splitlines()[0] + "\n")
        change(provider.jobs[0])
        assert train(provider, asked, ledger).id == "ftjob-2"


def test_refused_creation_leaves_no_question_open(asked: TrainingRequest, ledger: Path) -> None:
    with Provider(metadata="dropped") as provider:
        provider.refuse[CREATION] = (400, {"error": {"message": "no such model"}})
        with pytest.raises(EndpointError, match="no such model"):
            train(provider, asked, ledger)
        provider.asked.clear()
        del provider.refuse[CREATION]
        train(provider, asked, ledger)
        assert provider.asked.count("GET /fine_tuning/jobs") == 1, "nothing is looked for again and again"


@pytest.mark.parametrize(
    "reply", [(500, {"error": {"message": "oops"}}), (200, b"<html>"), (200, b"{"), (200, b"{}")]
)
def test_creation_with_no_clear_answer_is_asked_once(
    asked: TrainingRequest, ledger: Path, reply: tuple[int, object]
) -> None:
    with Provider() as provider:
        provider.refuse[CREATION] = reply
        with pytest.raises(EndpointError, match="no job of it is listed"):
            start_job(
                endpoint(provider, retries=3), asked, on_progress=lambda _: None, poll_s=0.0, ledger=ledger
            )
        assert provider.asked.count(CREATION) == 1
        assert provider.asked.count("GET /fine_tuning/jobs") == 1 + creation.LOOKS


def test_two_that_ask_for_the_same_at_once_make_one_job(asked: TrainingRequest, ledger: Path) -> None:
    jobs: list[str] = []
    with Provider() as provider:

        def ask() -> None:
            jobs.append(train(provider, asked, ledger).id)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert jobs == ["ftjob-1"] * 4
    assert (len(provider.created), len(provider.files)) == (1, 2)


def test_job_is_found_without_making_one(asked: TrainingRequest, ledger: Path) -> None:
    with Provider() as provider:
        assert find_job(endpoint(provider), asked, ledger=ledger) is None
        train(provider, asked, ledger)
        found = find_job(endpoint(provider), asked, ledger=ledger)
        assert found is not None
        assert found.id == "ftjob-1"
    assert len(provider.created) == 1


def test_preferences_are_asked_for_by_method(asked: TrainingRequest) -> None:
    with Provider() as provider:
        train(provider, replace(asked, method="dpo"), None)
    (body,) = provider.created
    assert body["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2}}}
    assert "hyperparameters" not in body


def test_method_is_part_of_the_digest(asked: TrainingRequest) -> None:
    where = Endpoint(label="test")
    other = replace(asked, method="dpo")
    assert request_digest(asked, endpoint=where) != request_digest(other, endpoint=where)


# --- one upload ------------------------------------------------------------------------------------------


def test_file_is_uploaded_once_for_several_jobs(asked: TrainingRequest, ledger: Path) -> None:
    told: list[JobProgress] = []
    with Provider() as provider:
        train(provider, asked, ledger)
        train(provider, replace(asked, epochs=3), ledger, told=told.append)
        assert [name for name, _ in provider.files] == ["tickets.jsonl", "valid.jsonl"]
        assert [body["training_file"] for body in provider.created] == ["file-1", "file-1"]
    assert told[0].message == "tickets.jsonl is at test already, as file-1"


def test_copy_under_another_name_is_not_uploaded_again(
    asked: TrainingRequest, ledger: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(asked.training_file.read_bytes())
    with Provider() as provider:
        train(provider, asked, ledger)
        train(provider, replace(asked, training_file=copy, epochs=3), ledger)
        assert len(provider.files) == 2


def test_file_that_the_provider_deleted_is_uploaded_again(asked: TrainingRequest, ledger: Path) -> None:
    with Provider() as provider:
        train(provider, asked, ledger)
        provider.gone.add("file-1")
        train(provider, replace(asked, epochs=3), ledger)
        assert [name for name, _ in provider.files] == ["tickets.jsonl", "valid.jsonl", "tickets.jsonl"]
        assert provider.created[1]["training_file"] == "file-3"


def test_changed_file_is_uploaded_again(asked: TrainingRequest, ledger: Path) -> None:
    with Provider() as provider:
        train(provider, asked, ledger)
        asked.training_file.write_text('{"more": 2}\n')
        train(provider, asked, ledger)
        assert len(provider.files) == 3


def test_upload_whose_answer_was_lost_is_not_sent_again(asked: TrainingRequest, ledger: Path) -> None:
    with Provider() as provider:
        provider.lose = [UPLOAD]
        job = fine_tune(
            endpoint(provider, retries=2), asked, on_progress=lambda _: None, poll_s=0.0, ledger=ledger
        )
        assert job.status == "succeeded"
        assert [name for name, _ in provider.files] == ["tickets.jsonl", "valid.jsonl"]


def test_ledgers_of_another_endpoint_do_not_count(asked: TrainingRequest, ledger: Path) -> None:
    with Provider() as provider:
        train(provider, asked, ledger)
        other = replace(endpoint(provider), label="other")
        fine_tune(other, asked, on_progress=lambda _: None, poll_s=0.0, ledger=ledger)
        assert len(provider.files) == 4


# --- the ledger ------------------------------------------------------------------------------------------


def test_job_is_recorded_with_files_settings_and_cost(asked: TrainingRequest, ledger: Path) -> None:
    terms = Terms(place="acme", train_price=5.0, estimate_usd=0.25)
    with Provider() as provider:
        job = train(provider, asked, ledger, terms=terms)
    (entry,) = recorded_jobs(ledger)
    assert entry.job == job
    assert set(entry.files) == {"train", "valid"}
    assert entry.uploads == {"train": "file-1", "valid": "file-2"}
    assert entry.paths["train"] == str(asked.training_file)
    assert (entry.place, entry.endpoint, entry.estimate_usd) == ("acme", "test", 0.25)
    assert entry.cost_usd == 42 * 5.0 / 1_000_000, "billed tokens times the price"
    assert entry.job.hyperparameters["n_epochs"] == 2


def test_job_found_again_keeps_what_was_recorded_of_it(asked: TrainingRequest, ledger: Path) -> None:
    first = Terms(place="acme", train_price=5.0, estimate_usd=0.25)
    with Provider(statuses=("queued", "running", "running", "succeeded")) as provider:
        start_job(
            endpoint(provider), asked, on_progress=lambda _: None, poll_s=0.0, ledger=ledger, terms=first
        )
        train(provider, asked, ledger, terms=Terms(place="elsewhere"))
    (entry,) = recorded_jobs(ledger)
    assert (entry.job.status, entry.place, entry.train_price) == ("succeeded", "acme", 5.0)
    assert entry.uploads == {"train": "file-1", "valid": "file-2"}
    assert set(entry.files) == {"train", "valid"}


def test_job_that_another_machine_made_is_recorded_when_it_is_found(
    asked: TrainingRequest, ledger: Path
) -> None:
    with Provider() as provider:
        train(provider, asked, None)
        train(provider, asked, ledger)
    (entry,) = recorded_jobs(ledger)
    assert entry.job.id == "ftjob-1"
    assert set(entry.files) == {"train", "valid"}


def test_server_that_lists_no_jobs_still_makes_them(asked: TrainingRequest, ledger: Path) -> None:
    with Provider() as provider:
        provider.refuse["GET /fine_tuning/jobs"] = (404, {"error": {"message": "Not Found"}})
        assert train(provider, asked, ledger).id == train(provider, asked, ledger).id
        assert len(provider.created) == 1


def test_newer_ledger_stops_before_anything_is_made(asked: TrainingRequest, ledger: Path) -> None:
    ledger.parent.mkdir()
    ledger.write_text('{"schema": 2, "something": "new"}\n')
    with Provider() as provider:
        with pytest.raises(StorageError, match=r"jobs\.jsonl:1: schema 2, this version knows 1.*upgrade"):
            train(provider, asked, ledger)
        assert not provider.files
        assert not provider.created


def test_damaged_lines_are_told_and_stay(
    asked: TrainingRequest, ledger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Provider() as provider:
        train(provider, asked, ledger)
        kept = ledger.read_text()
        ledger.write_text('{"schema": 1, "job"\n\n[]\n' + kept + '{"half a li')
        uploads = ledger.with_name(UPLOADS)
        uploads.write_text("rubbish\n" + uploads.read_text())
        train(provider, replace(asked, epochs=3), ledger)
        assert len(provider.files) == 2
    assert [entry.job.id for entry in recorded_jobs(ledger)] == ["ftjob-1", "ftjob-2"]
    assert ledger.read_text().startswith('{"schema": 1, "job"\n\n[]\n' + kept + '{"half a li\n{')
    for place in ("jobs.jsonl:1", "jobs.jsonl:3", "uploads.jsonl:1"):
        assert any(place in record.getMessage() for record in caplog.records)


def test_ledger_that_cannot_be_written_stops_no_job(
    asked: TrainingRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with Provider() as provider:
        assert train(provider, asked, tmp_path / "file" / "jobs.jsonl").status == "succeeded"
    assert "cannot be written" in caplog.text


def test_ledger_of_the_earlier_form_is_taken_over(asked: TrainingRequest, ledger: Path) -> None:
    with Provider(metadata="dropped") as provider:
        job = train(provider, asked, None)
        ledger.parent.mkdir()
        made_from = request_digest(asked, endpoint=endpoint(provider))
        ledger.with_name("jobs.json").write_text(json.dumps({made_from: job.id}))
        assert train(provider, asked, ledger).id == "ftjob-1"
        assert len(provider.created) == 1
