import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.localserver.fakes import BASE, EchoEngine, Server, running_server, training_rows

CHAT = "/v1/chat/completions"
JOBS = "/v1/fine_tuning/jobs"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the many requests that change nothing."""
    with running_server(tmp_path_factory.mktemp("shared")) as running:
        yield running


def envelope(body: Any) -> dict[str, Any]:
    """The error of an answer, which has OpenAI's four keys and nothing else."""
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


def chat(**changes: object) -> dict[str, object]:
    return {"model": BASE.name, "messages": HELLO} | changes


def job(server: Server, **changes: object) -> dict[str, object]:
    file = server.upload(training_rows(1))  # a job by mistake made of it would fail at once
    return {"model": BASE.name, "training_file": file.id} | changes


def form(*parts: tuple[str, bytes], boundary: str = "xx", end: bool = True) -> tuple[bytes, dict[str, str]]:
    """A multipart body of (content disposition, content) and its headers."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    )
    closing = f"--{boundary}--\r\n".encode() if end else b""
    return body + closing, {"content-type": f"multipart/form-data; boundary={boundary}"}


FILE = ('name="file"; filename="a.jsonl"', b"{}")
PURPOSE = ('name="purpose"', b"fine-tune")


# --- whatever is asked ---


def test_every_answer_bears_a_request_id_of_its_own(shared: Server) -> None:
    ids = [shared.ask("GET", path)[1]["x-request-id"] for path in ("/v1/models", "/v1/models", "/nowhere")]
    assert all(request_id.startswith("req_") for request_id in ids)
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("GET", "/v1/files/", 404, "unknown_url"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("PUT", "/v1/files", 405, "method_not_supported"),
        ("POST", "/v1/models", 405, "method_not_supported"),
        ("GET", "/v1/files/file-nothing", 404, None),
        ("DELETE", "/v1/files/..%2F..%2Flock", 404, "unknown_url"),
        ("GET", "/v1/files/file-nothing/content", 404, None),
        ("GET", f"{JOBS}/ftjob-nothing", 404, "fine_tune_not_found"),
        ("POST", f"{JOBS}/ftjob-nothing/cancel", 404, "fine_tune_not_found"),
        ("GET", f"{JOBS}/ftjob-nothing/events", 404, "fine_tune_not_found"),
        ("GET", f"{JOBS}/ftjob-nothing/checkpoints", 404, "fine_tune_not_found"),
        ("GET", "/v1/models/gpt-9", 404, "model_not_found"),
        ("DELETE", "/v1/models/ft:gpt-9:x::y", 404, "model_not_found"),
        ("DELETE", f"/v1/models/{BASE.name}", 403, "insufficient_permissions"),
    ],
)
def test_what_is_not_there_is_refused_in_openais_envelope(
    shared: Server, method: str, path: str, status: int, code: str | None
) -> None:
    found, _, body = shared.ask(method, path)
    error = envelope(json.loads(body))
    assert (found, error["code"], error["type"]) == (status, code, "invalid_request_error")


def test_a_wrong_method_says_which_are_right(shared: Server) -> None:
    _, headers, _ = shared.ask("PATCH", "/v1/chat/completions")
    assert headers["allow"] == "POST"


@pytest.mark.parametrize("path", [CHAT, JOBS])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'"text"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b'{"model": "\0"}',
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
    ],
)
def test_malformed_json_is_a_400(shared: Server, path: str, body: bytes) -> None:
    status, answer = shared.post(path, body)
    assert status == 400
    assert envelope(answer)["type"] == "invalid_request_error"


def test_an_endless_body_is_cut_off(shared: Server) -> None:
    status, answer = shared.post(CHAT, b" " * (20 * 2**20))
    assert (status, envelope(answer)["code"]) == (413, "request_too_large")


# --- keys ---


def test_without_a_key_anybody_on_this_machine_may_ask_but_no_web_page(shared: Server) -> None:
    assert shared.ask("GET", "/v1/models")[0] == 200
    status, _, body = shared.ask("GET", "/v1/models", headers={"origin": "https://example.com"})
    assert status == 403
    envelope(json.loads(body))


def test_a_key_is_demanded_of_every_request_once_there_is_one(tmp_path: Path) -> None:
    with running_server(tmp_path, api_key="s3cret") as server:
        assert server.client.models.list().data
        for headers, code in [
            ({}, None),
            ({"authorization": "Basic abc"}, None),
            ({"authorization": "Bearer wrong"}, "invalid_api_key"),
        ]:
            status, _, body = server.ask("GET", "/nowhere", headers=headers)
            assert (status, envelope(json.loads(body))["code"]) == (401, code)
            assert b"s3cret" not in body


# --- files ---


@pytest.mark.parametrize("parts", [(FILE, PURPOSE), (PURPOSE, FILE)])
def test_the_fields_of_an_upload_come_in_any_order(
    shared: Server, parts: tuple[tuple[str, bytes], ...]
) -> None:
    status, _, body = shared.ask("POST", "/v1/files", *form(*parts))
    assert status == 200
    assert json.loads(body)["filename"] == "a.jsonl"


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"{}", {"content-type": "application/json"}, "expected multipart/form-data"),
        (b"{}", {}, "expected multipart/form-data"),
        (b"", {"content-type": "multipart/form-data"}, "no boundary"),
        (b"nonsense", {"content-type": "multipart/form-data; boundary=xx"}, "Could not parse multipart form"),
        (*form(FILE, PURPOSE, end=False), "last boundary is missing"),
        (*form(FILE), "Missing required parameter: 'purpose'"),
        (*form(PURPOSE), "Missing required parameter: 'file'"),
        (*form(FILE, ('name="purpose"', b"world domination")), "'world domination' is not one of"),
        (*form(FILE, FILE, PURPOSE), "more than one file"),
        (*form(FILE, PURPOSE, ('name="mood"', b"good")), "Unknown parameter: 'mood'"),
        (*form(FILE, PURPOSE, ('name="expires_after[seconds]"', b"3600")), "'expires_after[seconds]' is not"),
        (*form(FILE, ('name="purpose"', b"x" * 100_000)), "beside the file"),
        (*form(FILE, ("x" * 100_000, b"x")), "Could not parse multipart form"),
        (*form(*[(f'name="n{number}"', b"") for number in range(50)]), "more than 20 fields"),
    ],
)
def test_a_form_that_is_none_is_a_400_and_leaves_nothing(
    shared: Server, body: bytes, headers: dict[str, str], message: str
) -> None:
    before = len(shared.client.files.list().data)
    status, _, answer = shared.ask("POST", "/v1/files", body, headers)
    assert status == 400
    assert message in envelope(json.loads(answer))["message"]
    assert len(shared.client.files.list().data) == before


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, max_upload_bytes=1000) as server:
        assert server.upload(b"x" * 1000).bytes == 1000
        with pytest.raises(openai.APIStatusError) as caught:
            server.upload(b"x" * 5_000_000)
        assert (caught.value.status_code, caught.value.code) == (413, "file_too_large")
        assert len(server.client.files.list().data) == 1
    assert not list((tmp_path / "uploads").iterdir())


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b", "файл.jsonl", "x" * 1000])
def test_no_file_name_reaches_the_file_system(shared: Server, name: str) -> None:
    body, headers = form((f'name="file"; filename="{name}"', b"content"), PURPOSE)
    _, _, answer = shared.ask("POST", "/v1/files", body, headers)
    file = json.loads(answer)
    assert file["filename"] == name
    assert shared.client.files.content(file["id"]).content == b"content"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("limit=10001", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("after=file-nothing", "after"),
        ("order=sideways", "order"),
    ],
)
def test_a_page_that_cannot_be_is_refused(shared: Server, query: str, param: str) -> None:
    status, answer = shared.get(f"/v1/files?{query}")
    assert (status, envelope(answer)["param"]) == (400, param)


def test_files_are_listed_by_purpose(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        server.upload(b"{}", purpose="batch")
        kept = server.upload(b"{}")
        assert [file.id for file in server.client.files.list(purpose="fine-tune")] == [kept.id]


def test_a_result_file_is_served_in_base64(server: Server) -> None:
    done = server.wait(server.train())
    file = server.client.files.retrieve(done.result_files[0])
    assert (file.purpose, file.filename) == ("fine-tune-results", "step_metrics.csv")
    content = base64.b64decode(server.client.files.content(file.id).content, validate=True)
    assert content.startswith(b"step,train_loss")
    assert len(content) == file.bytes


# --- jobs ---


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": "gpt-9"}, "model", "model_not_available"),
        ({"model": 7}, "model", "invalid_type"),
        ({"training_file": None}, "training_file", "missing_required_parameter"),
        ({"training_file": "file-nothing"}, "training_file", None),
        ({"training_file": "../../lock"}, "training_file", None),
        ({"validation_file": "file-nothing"}, "validation_file", None),
        ({"suffix": "x" * 65}, "suffix", "string_above_max_length"),
        ({"suffix": "a:b"}, "suffix", "invalid_value"),
        ({"suffix": "a/b"}, "suffix", "invalid_value"),
        ({"seed": -1}, "seed", "integer_below_min_value"),
        ({"seed": 2**31}, "seed", "integer_above_max_value"),
        ({"seed": True}, "seed", "invalid_type"),
        ({"integrations": [{"type": "wandb"}]}, "integrations", "unsupported_parameter"),
        ({"metadata": "x"}, "metadata", "invalid_type"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata", "object_above_max_properties"),
        ({"metadata": {"k" * 65: ""}}, "metadata", "string_above_max_length"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
        ({"metadata": {"k": 1}}, "metadata.k", "invalid_type"),
        ({"metadata": {"k": None}}, "metadata.k", "invalid_type"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs", "integer_below_min_value"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs", "integer_above_max_value"),
        ({"hyperparameters": {"n_epochs": 10**400}}, "hyperparameters.n_epochs", "integer_above_max_value"),
        ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs", "invalid_type"),
        ({"hyperparameters": {"batch_size": 257}}, "hyperparameters.batch_size", "integer_above_max_value"),
        ({"hyperparameters": {"batch_size": 1.5}}, "hyperparameters.batch_size", "invalid_type"),
        ({"hyperparameters": {"prompt_loss": 1}}, "hyperparameters.prompt_loss", "unknown_parameter"),
        ({"method": {"type": "dpo"}}, "method.type", "unsupported_value"),
        ({"method": {"supervised": {}}}, "method.type", "missing_required_parameter"),
        ({"method": {"type": "supervised", "dpo": {}}}, "method.dpo", "unknown_parameter"),
        ({"method": []}, "method", "invalid_type"),
        (
            {"method": {"type": "supervised"}, "hyperparameters": {}},
            "hyperparameters",
            "invalid_parameter_combination",
        ),
        ({"modle": "x"}, "modle", "unknown_parameter"),
    ],
)
def test_a_job_that_cannot_be_is_refused(
    shared: Server, changes: dict[str, object], param: str, code: str | None
) -> None:
    before = shared.get(JOBS)[1]["data"]
    status, answer = shared.post(JOBS, job(shared, **changes))
    error = envelope(answer)
    assert (status, error["param"], error["code"]) == (400, param, code)
    assert shared.get(JOBS)[1]["data"] == before


@pytest.mark.parametrize("multiplier", ["0", "-1", "1e999", "5e-324"])
def test_a_rate_that_cannot_be_trained_with_is_refused(shared: Server, multiplier: str) -> None:
    body = json.dumps(job(shared, hyperparameters={"learning_rate_multiplier": "RATE"}))
    status, answer = shared.post(JOBS, body.replace('"RATE"', multiplier))
    assert (status, envelope(answer)["param"]) == (400, "hyperparameters.learning_rate_multiplier")


def test_a_file_for_another_purpose_is_no_training_file(shared: Server) -> None:
    file = shared.upload(training_rows(), purpose="batch")
    status, answer = shared.post(JOBS, {"model": BASE.name, "training_file": file.id})
    assert (status, envelope(answer)["param"]) == (400, "training_file")


def test_jobs_without_metadata_can_be_listed(server: Server) -> None:
    with_metadata, without = server.train(metadata={"a": "b"}), server.train()
    listed = server.get(f"{JOBS}?metadata=null")[1]["data"]
    assert [job["id"] for job in listed] == [without.id]
    assert with_metadata.id not in {job["id"] for job in listed}


# --- chat ---


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": ["hello"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role", "invalid_value"),
        (
            {"messages": [*HELLO, {"role": "tool", "content": "x"}]},
            "messages[1].role",
            "unsupported_parameter",
        ),
        ({"messages": [{"role": "user"}]}, "messages[0].content", None),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content", None),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages[0].content[0]", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            "unsupported_parameter",
        ),
        ({"messages": [HELLO[0] | {"mood": "x"}]}, "messages[0].mood", "unknown_parameter"),
        ({"messages": [HELLO[0] | {"tool_calls": [{}]}]}, "messages[0].tool_calls", "unsupported_parameter"),
        ({"temperature": -0.1}, "temperature", "decimal_below_min_value"),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"temperature": 10**400}, "temperature", "decimal_above_max_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"top_p": 1.1}, "top_p", "decimal_above_max_value"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 2**31}, "max_tokens", "integer_above_max_value"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "invalid_parameter_combination"),
        ({"seed": 2**63}, "seed", "integer_above_max_value"),
        ({"stop": ["a"] * 5}, "stop", "array_above_max_length"),
        ({"stop": 7}, "stop", "invalid_type"),
        ({"stop": [7]}, "stop", "invalid_type"),
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"stream": True}, "stream", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
        ({"presence_penalty": 0.5}, "presence_penalty", "unsupported_parameter"),
        ({"logit_bias": {"5": 1}}, "logit_bias", "unsupported_parameter"),
        ({"tools": [{"type": "function"}]}, "tools", "unsupported_parameter"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"temprature": 0}, "temprature", "unknown_parameter"),
    ],
)
def test_a_chat_that_cannot_be_answered_as_asked_is_refused(
    shared: Server, changes: dict[str, object], param: str, code: str | None
) -> None:
    status, answer = shared.post(CHAT, chat(**changes))
    error = envelope(answer)
    assert (status, error["param"], error["code"]) == (400, param, code)


def test_values_that_ask_for_nothing_are_taken(shared: Server) -> None:
    neutral = {
        "n": 1,
        "stream": False,
        "logprobs": False,
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "logit_bias": {},
        "response_format": {"type": "text"},
        "tools": [],
        "tool_choice": "auto",
        "stop": None,
        "user": "somebody",
        "service_tier": "auto",
    }
    assert shared.post(CHAT, chat(**neutral))[0] == 200


def test_an_answer_can_be_sent_back_as_a_message(shared: Server) -> None:
    first = shared.post(CHAT, chat())[1]["choices"][0]["message"]
    status, answer = shared.post(CHAT, chat(messages=[*HELLO, first, {"role": "user", "content": "again"}]))
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "again")


def test_developers_parts_and_nul_bytes_reach_the_engine_as_text(shared: Server) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b\0"}]
    messages = [{"role": "developer", "content": "brief"}, {"role": "user", "content": parts, "name": "Ann"}]
    assert shared.post(CHAT, chat(messages=messages))[0] == 200
    assert shared.engine.requests[-1].prompt == (
        {"role": "system", "content": "brief"},
        {"role": "user", "content": "a\nb\0"},
    )


def test_without_a_limit_the_rest_of_the_context_may_be_used(shared: Server) -> None:
    shared.post(CHAT, chat(messages=[{"role": "user", "content": "one two three"}]))
    assert shared.engine.requests[-1].max_tokens == EchoEngine.context_length - 3


@pytest.mark.parametrize(
    ("words", "max_tokens", "message"),
    [
        (50, None, "your messages resulted in 50 tokens"),
        (51, 5, "your messages resulted in 51 tokens"),
        (40, 11, "you requested 51 tokens (40 in the messages, 11 in the completion)"),
    ],
)
def test_what_does_not_fit_the_context_is_refused(
    shared: Server, words: int, max_tokens: int | None, message: str
) -> None:
    content = " ".join(["word"] * words)
    status, answer = shared.post(
        CHAT, chat(messages=[{"role": "user", "content": content}], max_tokens=max_tokens)
    )
    error = envelope(answer)
    assert (status, error["code"]) == (400, "context_length_exceeded")
    assert message in error["message"]


@pytest.mark.parametrize("messages", [[{"role": "user", "content": "é" * 3201}], HELLO * 51])
def test_what_cannot_possibly_fit_is_refused_without_counting(
    shared: Server, messages: list[dict[str, str]]
) -> None:
    status, answer = shared.post(CHAT, chat(messages=messages))
    assert (status, envelope(answer)["code"]) == (400, "context_length_exceeded")
    assert "bytes" in answer["error"]["message"]


def test_a_state_folder_that_fails_is_a_500_with_the_reason(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        file = server.upload(b"{}")
        content = tmp_path / "files" / f"{file.id}.bytes"
        content.unlink()
        (tmp_path / "uploads").rmdir()
        with pytest.raises(openai.InternalServerError, match="No such file or directory"):
            server.upload(b"{}")
        assert server.client.files.retrieve(file.id).id == file.id


def test_a_full_context_is_answered(shared: Server) -> None:
    content = " ".join(["word"] * 40)
    assert shared.post(CHAT, chat(messages=[{"role": "user", "content": content}], max_tokens=10))[0] == 200


def test_a_broken_engine_is_a_500_and_the_server_lives_on(tmp_path: Path) -> None:
    with running_server(tmp_path, engine=EchoEngine(fails=True)) as server:
        status, answer = server.post(CHAT, chat())
        assert (status, envelope(answer)["type"]) == (500, "server_error")
        assert "engine broke" not in answer["error"]["message"]
        assert server.get("/v1/models")[0] == 200


def test_a_client_that_goes_away_does_no_harm(shared: Server) -> None:
    async def hang_up() -> None:
        _, writer = await asyncio.open_connection(*shared.host.split(":"))
        writer.write(b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n")
        writer.write(b"content-type: multipart/form-data; boundary=xx\r\n\r\n--xx\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    asyncio.run(hang_up())
    assert shared.get("/v1/models")[0] == 200


@pytest.mark.parametrize("path", ["/v1/models/{}", "/v1/models/{}:ckpt-step-3"])
def test_colons_in_names_may_be_encoded(server: Server, path: str) -> None:
    done = server.wait(server.train(hyperparameters={"n_epochs": 2, "batch_size": 4}))
    names = [model.id for model in server.client.models.list()]
    wanted = next(name for name in names if name.startswith("ft:") and name.endswith(path[13:]))
    for spelled in (wanted, wanted.replace(":", "%3A")):
        assert server.get(f"/v1/models/{spelled}")[1]["id"] == wanted
    assert server.ask("DELETE", f"/v1/models/{wanted.replace(':', '%3A')}")[0] == 200
    assert server.get(f"/v1/models/{wanted}")[0] == 404
    assert done.fine_tuned_model in names


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        "messages",
        "model",
        "temperature",
        "max_tokens",
        "stop",
        "seed",
        "n",
        "tools",
        "metadata",
        "suffix",
        "method",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from([CHAT, JOBS]), changes=st.dictionaries(KEYS, JSON, min_size=1, max_size=3))
def test_any_json_gets_an_answer_or_a_4xx(shared: Server, path: str, changes: dict[str, object]) -> None:
    status, answer = shared.post(path, {"model": BASE.name, "messages": HELLO} | changes)
    assert status == 200 or 400 <= status < 500
    if status != 200:
        envelope(answer)
