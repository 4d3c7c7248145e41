"""Batches over HTTP: what is checked, what is answered, what becomes of a batch that is cancelled or killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch, Completion, FileObject
from openai.types.chat import ChatCompletion

from harness.errors import StorageError
from harness.localserver.jobs import batch_input
from tests.localserver.api.exchanges import envelope
from tests.localserver.fakes import BASE, FOREVER, EchoEngine, Server, running_server, strictly, wait_for

BATCHES = "/v1/batches"
CHAT = "/v1/chat/completions"
ENDED = ("completed", "failed", "expired", "cancelled")


def request(custom_id: str, content: str = "hello", **changes: object) -> dict[str, Any]:
    """A line of the input."""
    body = {"model": BASE.name, "messages": [{"role": "user", "content": content}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | changes


def body(**changes: object) -> dict[str, Any]:
    return {"model": BASE.name, "messages": [{"role": "user", "content": "hello"}]} | changes


def lines(*rows: object) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def begin(server: Server, *rows: object, **parameters: Any) -> Batch:
    file = server.upload(lines(*rows), purpose="batch")
    given = {"endpoint": CHAT, "completion_window": "24h", "input_file_id": file.id} | parameters
    return server.client.batches.create(**given)


def wait(server: Server, batch: Batch, *until: str) -> Batch:
    def found() -> Batch | None:
        now = server.client.batches.retrieve(batch.id)
        return now if now.status in (until or ENDED) else None

    return wait_for(found)


def content(server: Server, file_id: str | None) -> dict[str, Any]:
    """The lines of an output file by custom id."""
    assert file_id is not None
    rows = [json.loads(line) for line in server.client.files.content(file_id).content.splitlines()]
    assert all(set(row) == {"id", "custom_id", "response", "error"} for row in rows)
    return {row["custom_id"]: row for row in rows}


def raw(server: Server, batch: Batch) -> Batch:
    return strictly(Batch, server.get(f"{BATCHES}/{batch.id}")[1])


def faults(server: Server, *rows: object) -> list[tuple[int | None, str | None, str | None]]:
    """What is wrong with an input: line, code, param."""
    failed = wait(server, begin(server, *rows))
    assert failed.status == "failed"
    assert failed.errors is not None
    return [(fault.line, fault.code, fault.param) for fault in failed.errors.data or []]


# --- the whole way ---


def test_a_whole_batch(server: Server) -> None:
    created = begin(
        server,
        request("a", "one two"),
        request("b", "你 好 🙂"),
        request("c", body=body(temperature=9)),
        metadata={"team": "x"},
    )
    assert created.status == "validating"
    done = wait(server, created)
    assert (done.status, done.model, done.errors) == ("completed", BASE.name, None)
    assert done.request_counts.model_dump() == {"completed": 2, "failed": 1, "total": 3}
    assert (done.usage.input_tokens, done.usage.output_tokens, done.usage.total_tokens) == (5, 5, 10)
    assert done.usage.input_tokens_details.cached_tokens == 2
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at
    assert done.expires_at == done.created_at + 86_400
    assert done.metadata == {"team": "x"}
    answers = content(server, done.output_file_id)
    assert set(answers) == {"a", "b"}
    answer = strictly(ChatCompletion, answers["b"]["response"]["body"])
    assert answer.choices[0].message.content == "你 好 🙂"
    assert (answers["a"]["response"]["status_code"], answers["a"]["error"]) == (200, None)
    refused = content(server, done.error_file_id)["c"]["response"]
    assert (refused["status_code"], envelope(refused["body"])["param"]) == (400, "temperature")


def test_batch_objects_are_the_clients_type_in_every_state(server: Server) -> None:
    file = server.upload(lines(request("a")), purpose="batch")
    asked = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
    created = strictly(Batch, server.post(BATCHES, asked)[1])
    wait(server, created)
    assert raw(server, created).status == "completed"
    failed = wait(server, begin(server, b"{"))
    assert raw(server, failed).failed_at is not None
    held = wait(server, begin(server, request("a", FOREVER)), "in_progress")
    assert raw(server, held).in_progress_at is not None
    assert strictly(Batch, server.post(f"{BATCHES}/{held.id}/cancel", b"")[1]).status == "cancelling"
    wait(server, held)
    assert raw(server, held).cancelled_at is not None


def test_the_output_is_a_file_among_files(server: Server) -> None:
    done = wait(
        server, begin(server, request("a"), output_expires_after={"anchor": "created_at", "seconds": 3600})
    )
    file = strictly(FileObject, server.get(f"/v1/files/{done.output_file_id}")[1])
    assert (file.purpose, file.filename) == ("batch_output", f"{done.id}_output.jsonl")
    assert file.expires_at == file.created_at + 3600
    assert done.error_file_id is None
    assert [other.id for other in server.client.files.list(purpose="batch_output")] == [file.id]
    server.client.files.delete(file.id)
    assert server.client.batches.retrieve(done.id).output_file_id == file.id


def test_completions_are_batched_too(server: Server) -> None:
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/completions",
        "body": {"model": BASE.name, "prompt": ["x", "y"]},
    }
    done = wait(server, begin(server, line, endpoint="/v1/completions"))
    answer = strictly(Completion, content(server, done.output_file_id)["a"]["response"]["body"])
    assert [choice.text for choice in answer.choices] == ["x", "y"]
    assert done.usage.input_tokens == 2


def test_batches_are_listed_newest_first_and_paged(server: Server) -> None:
    begun = [begin(server, request("a")).id for _ in range(5)]
    assert [batch.id for batch in server.client.batches.list(limit=2)] == begun[::-1]
    page = server.get(f"{BATCHES}?limit=2&after={begun[4]}")[1]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (begun[3], begun[2], True)
    for batch in server.client.batches.list():
        wait(server, batch)


def test_a_broken_engine_is_an_error_of_each_request(tmp_path: Path) -> None:
    with running_server(tmp_path, engine=EchoEngine(fails=True)) as server:
        done = wait(server, begin(server, request("a"), request("b")))
        assert (done.status, done.output_file_id) == ("completed", None)
        assert done.request_counts.failed == 2
        response = content(server, done.error_file_id)["b"]["response"]
        assert (response["status_code"], envelope(response["body"])["type"]) == (500, "server_error")


# --- what is refused ---


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"input_file_id": None}, "input_file_id", "missing_required_parameter"),
        ({"endpoint": "/v1/embeddings"}, "endpoint", "invalid_value"),
        ({"endpoint": 7}, "endpoint", "invalid_type"),
        ({"completion_window": "1h"}, "completion_window", "invalid_value"),
        ({"completion_window": None}, "completion_window", "missing_required_parameter"),
        ({"metadata": {"tags": ["a"]}}, "metadata.tags", "invalid_type"),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 60}},
            "output_expires_after.seconds",
            "integer_below_min_value",
        ),
        (
            {"output_expires_after": {"anchor": "then", "seconds": 3600}},
            "output_expires_after.anchor",
            "invalid_value",
        ),
        ({"priority": 1}, "priority", "unknown_parameter"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(
    shared: Server, changes: dict[str, object], param: str, code: str
) -> None:
    asked = {"input_file_id": "file-x", "endpoint": CHAT, "completion_window": "24h"} | changes
    status, answer = shared.post(BATCHES, asked)
    error = envelope(answer)
    assert (status, error["param"], error["code"]) == (400, param, code)
    assert shared.get(BATCHES)[1]["data"] == []


def test_a_file_for_another_purpose_is_no_input(server: Server) -> None:
    file = server.upload(lines(request("a")))
    with pytest.raises(openai.BadRequestError, match="expected 'batch'"):
        begin(server, input_file_id=file.id)


def test_a_batch_without_its_file_fails(server: Server) -> None:
    failed = wait(server, begin(server, input_file_id="file-nothing"))
    fault = failed.errors.data[0]
    assert (fault.code, fault.param, fault.line) == ("invalid_request", "file_id", None)
    assert (
        fault.message
        == "Cannot find file file-nothing, or organization org-local does not have access to it."
    )


@pytest.mark.parametrize("path", ["batch_nothing", "batch_..%2F..%2Flock"])
def test_what_is_not_there_is_a_404(shared: Server, path: str) -> None:
    for method, place in (("GET", path), ("POST", f"{path}/cancel")):
        status, _, answer = shared.ask(method, f"{BATCHES}/{place}", b"")
        assert status == 404
        envelope(json.loads(answer))


def test_every_line_at_fault_is_named(server: Server) -> None:
    found = faults(
        server,
        request("a"),
        b"{not json",
        b"",
        request("a"),
        request("b", url="/v1/completions"),
        request("c", method="GET"),
        request("d", body=body(stream=True)),
        request("e", body=body(model="another")),
        {"custom_id": "f"},
        request("g", body={}),
        request("h", body="text"),
        [1],
        request(7),  # type: ignore[arg-type]
        b'{"custom_id": "\\ud800"}',
        b"\xff",
    )
    assert found == [
        (2, "invalid_json_line", None),
        (4, "duplicate_custom_id", "custom_id"),
        (5, "invalid_url", "url"),
        (6, "invalid_method", "method"),
        (7, "streaming_unsupported", "body.stream"),
        (8, "mismatched_model", "body.model"),
        (9, "missing_required_parameter", "method"),
        (9, "missing_required_parameter", "url"),
        (9, "missing_required_parameter", "body"),
        (10, "invalid_request", "body.model"),
        (10, "invalid_request", "body.messages"),
        (11, "invalid_request", "body"),
        (12, "invalid_request", None),
        (13, "invalid_request", "custom_id"),
        (14, "invalid_json_line", None),
        (15, "invalid_json_line", None),
    ]
    assert not server.engine.requests


def test_a_model_that_is_not_served_is_a_fault_of_its_first_line(server: Server) -> None:
    rows = [request("a", body=body(model="gpt-9")), request("b", body=body(model="gpt-9"))]
    assert faults(server, *rows) == [(1, "model_not_found", "body.model")]


def test_an_empty_input_is_a_fault(server: Server) -> None:
    assert faults(server, b"") == [(None, "empty_file", None)]


def test_too_many_requests_or_bytes_are_a_fault(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "MAX_REQUESTS", 2)
    assert faults(server, *[request(str(number)) for number in range(3)]) == [(None, "too_many_tasks", None)]
    monkeypatch.setattr(batch_input, "MAX_INPUT_BYTES", 10)
    assert faults(server, request("a")) == [(None, "file_too_large", None)]


def test_an_endless_line_is_a_fault_and_the_next_is_read(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_input, "MAX_LINE_BYTES", 300)
    rows = [request("a", "x" * 1000), request("b"), request("b")]
    assert faults(server, *rows) == [(1, "invalid_request", None), (3, "duplicate_custom_id", "custom_id")]


# --- cancelling, being killed ---


def test_a_cancelled_batch_keeps_what_is_done(server: Server) -> None:
    batch = begin(server, request("a"), request("b", FOREVER), request("c"))
    wait_for(lambda: server.client.batches.retrieve(batch.id).request_counts.completed == 2)
    assert server.client.batches.cancel(batch.id).status == "cancelling"
    done = wait(server, batch)
    assert done.status == "cancelled"
    assert done.cancelling_at <= done.cancelled_at
    assert done.request_counts.model_dump() == {"completed": 2, "failed": 0, "total": 3}
    assert set(content(server, done.output_file_id)) == {"a", "c"}
    error = content(server, done.error_file_id)["b"]
    assert (error["response"], error["error"]["code"]) == (None, "batch_cancelled")
    assert [abandoned.prompt[0]["content"] for abandoned in server.engine.abandoned] == [FOREVER]
    assert server.client.batches.cancel(batch.id).status == "cancelled"


@pytest.mark.parametrize("rows", [[request("a")], [b"{"]])
def test_a_batch_that_has_ended_cannot_be_cancelled(server: Server, rows: list[object]) -> None:
    done = wait(server, begin(server, *rows))
    with pytest.raises(openai.ConflictError) as caught:
        server.client.batches.cancel(done.id)
    assert caught.value.body["message"] == f"Cannot cancel a batch with status '{done.status}'."


def test_the_input_may_be_deleted_once_the_batch_is_created(server: Server) -> None:
    batch = begin(server, *[request(str(number)) for number in range(100)])
    server.client.files.delete(batch.input_file_id)
    assert wait(server, batch).request_counts.completed == 100


def test_a_stopped_server_asks_the_rest_when_it_starts_again(tmp_path: Path) -> None:
    with running_server(tmp_path, engine=EchoEngine(together=2)) as server:
        batch = begin(server, request("a", "one"), request("b", "two"), request("c", "three"))
        wait_for(lambda: server.client.batches.retrieve(batch.id).request_counts.completed == 2)
    with running_server(tmp_path) as server:
        done = wait(server, batch)
        assert (done.status, done.request_counts.completed, done.usage.output_tokens) == ("completed", 3, 3)
        assert set(content(server, done.output_file_id)) == {"a", "b", "c"}
        assert [asked.prompt[0]["content"] for asked in server.engine.requests] == ["three"]


def test_a_server_whose_batches_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    record = tmp_path / "batches" / "batch_x" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    with pytest.raises(StorageError, match="not a record this version can read"), running_server(tmp_path):
        pass


def test_answers_of_a_killed_server_are_not_asked_for_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.localserver.fake_server", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = [json.loads(process.stdout.readline()) for _ in range(2)]
            with openai.OpenAI(base_url=told[1]["base_url"], api_key="any", max_retries=0) as client:
                rows = [request(str(number)) for number in range(20)]
                file = client.files.create(
                    file=("a.jsonl", lines(*rows, request("held", FOREVER))), purpose="batch"
                )
                batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
                wait_for(lambda: client.batches.retrieve(batch.id).request_counts.completed == 20)
        finally:
            os.kill(process.pid, signal.SIGKILL)
    output = tmp_path / "batches" / batch.id / "output.jsonl"
    with output.open("ab") as written:
        written.write(b'{"id": "batch_req_half')  # as if it had been killed in the middle of a line
    with running_server(tmp_path) as server:
        wait_for(lambda: server.engine.requests)
        assert server.client.batches.retrieve(batch.id).request_counts.completed == 20
        server.client.batches.cancel(batch.id)
        done = wait(server, batch)
        assert len(content(server, done.output_file_id)) == 20
        assert [asked.prompt[0]["content"] for asked in server.engine.requests] == [FOREVER]
        assert (done.usage.input_tokens, done.usage.output_tokens) == (20, 20)
    assert [path.name for path in output.parent.iterdir()] == ["record.json"]
