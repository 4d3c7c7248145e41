"""Whatever is sent: an answer that is no 5xx, OpenAI's envelope around every error, and the server lives on."""

import http.client
import itertools
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.localserver.api.exchanges import envelope
from tests.localserver.fakes import BASE, Server, training_rows
from tests.localserver.fuzz.inputs import (
    LISTS,
    METHODS,
    ODD_ARGUMENTS,
    broken,
    forms,
    json_bodies,
    near,
    replaced,
    targets,
    written,
)

_Test = TypeVar("_Test", bound=Callable[..., None])

# Hypothesis's own default is 100; the profile `long` asks for more.
SCALE = max(1, settings.default.max_examples // 100)
HELLO = [{"role": "user", "content": "hello"}]
SAMPLING = {
    "temperature": 0.5,
    "top_p": 0.9,
    "seed": 1,
    "stop": ["."],
    "frequency_penalty": 0.1,
    "logit_bias": {"5": 1},
}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "enum": ["b"]}},
    "required": ["a"],
    "additionalProperties": False,
}
CHAT = {
    "model": BASE.name,
    "messages": [{"role": "system", "content": [{"type": "text", "text": "brief"}]}, *HELLO],
    "max_tokens": 5,
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "a", "strict": True, "schema": SCHEMA},
    },
    "stream": False,
    "metadata": {"a": "b"},
    **SAMPLING,
}
TEXT = {
    "model": BASE.name,
    "prompt": ["hello", "you"],
    "max_tokens": 5,
    "logprobs": 1,
    "echo": False,
    **SAMPLING,
}
HYPERPARAMETERS = {"n_epochs": 1, "batch_size": "auto", "learning_rate_multiplier": 0.5}
JOB = {
    "model": BASE.name,
    "training_file": "FILE",
    "suffix": "a-b",
    "seed": 1,
    "metadata": {"a": "b"},
    "method": {"type": "dpo", "dpo": {"hyperparameters": HYPERPARAMETERS | {"beta": 0.1}}},
}
OLDER_JOB = {
    "model": BASE.name,
    "training_file": "FILE",
    "hyperparameters": HYPERPARAMETERS,
    "integrations": [],
}
BATCH = {
    "input_file_id": "ASKED",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
    "metadata": {"a": "b"},
    "output_expires_after": {"anchor": "created_at", "seconds": 3600},
}
BODIES = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", CHAT | {"stream": True, "stream_options": {"include_usage": True}}),
    ("/v1/completions", TEXT),
    ("/v1/fine_tuning/jobs", JOB),
    ("/v1/fine_tuning/jobs", OLDER_JOB),
    ("/v1/batches", BATCH),
]
ROWS = [
    {"messages": [*HELLO, {"role": "assistant", "content": "hi", "weight": 1}], "tools": []},
    {"prompt": "hello", "completion": " hi"},
    {
        "input": {"messages": HELLO},
        "preferred_output": [{"role": "assistant", "content": "good"}],
        "non_preferred_output": [{"role": "assistant", "content": "bad"}],
    },
]
# What may be said of a training file; anything else would be the server's own fault.
FILE_FAULTS = {"invalid_training_file", "invalid_n_examples", "invalid_file_format"}


def bounded(examples: int) -> Callable[[_Test], _Test]:
    """As many examples, always the same; a long run has more, and others."""
    return settings(
        max_examples=examples * SCALE,
        derandomize=SCALE == 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def check(server: Server, status: int, headers: dict[str, str], body: bytes, *, method: str = "POST") -> None:
    """The answer is one that OpenAI could have given, and the next caller gets one too."""
    assert status < 500, body
    assert {name.lower(): value for name, value in headers.items()}["x-request-id"].startswith("req_")
    if status >= 400 and method != "HEAD":
        envelope(json.loads(body))
    assert not any(word in body for word in (b"Traceback", b'File \\"', b"/fuzzed", b"site-packages"))
    assert server.ask("GET", "/v1/models")[0] == 200


@pytest.fixture(scope="module")
def files(fuzzed: Server) -> dict[bytes, bytes]:
    """The names that stand for files in a body: `FILE`, of which a job fails at once, and `ASKED`, which a batch can read."""
    asked = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": BASE.name}}
    batch = fuzzed.upload(written(asked), purpose="batch")
    return {b"FILE": fuzzed.upload(training_rows(1)).id.encode(), b"ASKED": batch.id.encode()}


def with_files(body: bytes, files: dict[bytes, bytes]) -> bytes:
    for name, file_id in files.items():
        body = body.replace(b'"%s"' % name, b'"%s"' % file_id)
    return body


@pytest.mark.parametrize(("path", "valid"), BODIES)
def test_the_fuzz_begins_with_what_is_valid(
    fuzzed: Server, files: dict[bytes, bytes], path: str, valid: dict[str, object]
) -> None:
    status, _, body = fuzzed.ask("POST", path, with_files(written(valid), files))
    assert status == 200, body


@pytest.mark.parametrize(("path", "valid"), BODIES)
def test_any_value_in_a_body_may_be_of_another_kind(
    fuzzed: Server, files: dict[bytes, bytes], path: str, valid: dict[str, object]
) -> None:
    for other in replaced(valid):
        body = with_files(written(other), files)
        status, _, answer = fuzzed.ask("POST", path, body, {"content-type": "application/json"})
        assert status < 500, (body, answer)
        if status >= 400:
            envelope(json.loads(answer))


@bounded(100)
@given(data=st.data())
def test_any_json_gets_an_answer(fuzzed: Server, files: dict[bytes, bytes], data: st.DataObject) -> None:
    path, valid = data.draw(st.sampled_from(BODIES))
    body = with_files(data.draw(json_bodies(valid)), files)
    check(fuzzed, *fuzzed.ask("POST", path, body, {"content-type": "application/json"}))


@bounded(100)
@given(form=forms())
def test_any_form_gets_an_answer(fuzzed: Server, form: tuple[bytes, str]) -> None:
    body, boundary = form
    kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
    check(fuzzed, *fuzzed.ask("POST", "/v1/files", body, kind))


@pytest.fixture(scope="module")
def known(fuzzed: Server) -> list[str]:
    """Names of things that are there: a job, its model, its result file."""
    job = fuzzed.wait(fuzzed.train(hyperparameters={"n_epochs": 2}))
    return [job.id, job.fine_tuned_model or "", *job.result_files]


@pytest.mark.parametrize("key", ["limit", "after", "order", "purpose", "metadata", "metadata[a]"])
def test_any_argument_of_a_list_may_be_odd(fuzzed: Server, known: list[str], key: str) -> None:
    for path, argument in itertools.product(LISTS, ODD_ARGUMENTS):
        status, _, body = fuzzed.ask("GET", f"{path}?{key}={argument}".replace("{}", known[0]))
        assert status < 500, (path, argument, body)
        if status >= 400:
            envelope(json.loads(body))


@bounded(150)
@given(method=METHODS, body=st.sampled_from([None, b"", b"{}", b"\0"]), data=st.data())
def test_any_url_gets_an_answer(
    fuzzed: Server, known: list[str], method: str, body: bytes | None, data: st.DataObject
) -> None:
    target = data.draw(targets(known))
    check(fuzzed, *fuzzed.ask(method, target, body), method=method)


REQUESTS = [
    b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
]


@bounded(80)
@given(data=st.data())
def test_any_bytes_on_the_socket_leave_the_server_alive(fuzzed: Server, data: st.DataObject) -> None:
    sent = data.draw(st.one_of(st.binary(max_size=100), *[broken(request) for request in REQUESTS]))
    for status, headers, body in exchanged(fuzzed, sent):
        assert status < 500, body
        if status >= 400:
            envelope(json.loads(body))
        assert status == 100 or headers["x-request-id"].startswith("req_")
    assert fuzzed.ask("GET", "/v1/models")[0] == 200


def exchanged(server: Server, sent: bytes) -> list[tuple[int, Any, bytes]]:
    """Every answer to these bytes, after which nothing more is sent."""
    host, _, port = server.host.rpartition(":")
    answers = []
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        stream = connection.makefile("rb")
        while stream.peek(1):
            answer = http.client.HTTPResponse(
                _Reread(stream), method="HEAD" if sent[:4] == b"HEAD" else "GET"
            )  # type: ignore[arg-type]
            answer.begin()
            answers.append((answer.status, answer.headers, answer.read()))
    return answers


class _Reread:
    """Gives one stream to several responses, each of which would close it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        pass


# --- training files ---


@st.composite
def training_files(draw: st.DrawFn) -> tuple[bytes, str]:
    """Bytes that are no training file, almost one, or one; and the method to train with, mostly the one that fits."""
    row = draw(st.sampled_from(ROWS))
    method = "dpo" if ("input" in row) != (draw(st.integers(0, 5)) == 3) else "supervised"
    rows = [draw(near(row)) for _ in range(draw(st.integers(1, 3)))] + [row] * draw(
        st.sampled_from([12, 12, 0])
    )
    text = b"".join(written(row) + b"\n" for row in rows)
    changed = st.one_of(st.binary(max_size=60), broken(text), st.just(text.decode().encode("utf-16")))
    return text if draw(st.booleans()) else draw(changed), method


@bounded(25)
@given(training=training_files())
def test_any_training_file_trains_or_fails_for_a_reason(fuzzed: Server, training: tuple[bytes, str]) -> None:
    content, method = training
    job = fuzzed.wait(fuzzed.train(content, method={"type": method}, seed=1))
    if job.status == "failed":
        assert job.error.code in FILE_FAULTS, job.error
        assert job.error.param == "training_file"
        assert job.error.message
    else:
        assert (job.status, bool(job.fine_tuned_model)) == ("succeeded", True)
    check(fuzzed, *fuzzed.ask("GET", f"/v1/fine_tuning/jobs/{job.id}/events?limit=100"))


def test_nothing_was_left_behind_by_what_was_refused(
    fuzzed: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Last in this file: the tests above have run on the same server."""
    state = next(Path(tmp_path_factory.getbasetemp()).glob("fuzzed*"))
    assert not list((state / "uploads").iterdir())
