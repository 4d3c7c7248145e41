"""Chat completions over HTTP: what is read, what reaches the engine, what comes back; answers at once."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.shared import ErrorObject

from harness.localserver.api.inference import MAX_TOKENS_AT_ONCE, answer_seed
from tests.localserver.api.exchanges import envelope
from tests.localserver.fakes import BASE, FOREVER, EchoEngine, Server, running_server, strictly, wait_for

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]


def chat(**changes: object) -> dict[str, object]:
    return {"model": BASE.name, "messages": HELLO} | changes


def says(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def json_schema(schema: object, **changes: object) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema} | changes}


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
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"n": 128, "max_tokens": MAX_TOKENS_AT_ONCE}, "n", None),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"stream": True, "stream_options": {"mood": 1}}, "stream_options.mood", "unknown_parameter"),
        ({"logprobs": 3}, "logprobs", "invalid_type"),
        ({"top_logprobs": 3}, "top_logprobs", None),
        ({"logprobs": False, "top_logprobs": 0}, "top_logprobs", None),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"presence_penalty": 2.5}, "presence_penalty", "decimal_above_max_value"),
        ({"frequency_penalty": -2.5}, "frequency_penalty", "decimal_below_min_value"),
        ({"logit_bias": [5]}, "logit_bias", "invalid_type"),
        ({"logit_bias": {"five": 1}}, "logit_bias", "invalid_value"),
        ({"logit_bias": {"9" * 5000: 1}}, "logit_bias", "invalid_value"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5", "decimal_above_max_value"),
        (
            {"logit_bias": {str(number): 1 for number in range(1025)}},
            "logit_bias",
            "object_above_max_properties",
        ),
        ({"tools": [{"type": "function"}]}, "tools", "unsupported_parameter"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
        ({"audio": {"voice": "ash"}}, "audio", "unsupported_parameter"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"temprature": 0}, "temprature", "unknown_parameter"),
    ],
)
def test_a_chat_that_cannot_be_answered_as_asked_is_refused(
    shared: Server, changes: dict[str, object], param: str, code: str | None
) -> None:
    status, answer = shared.post(CHAT, chat(**changes))
    error = strictly(ErrorObject, envelope(answer))
    assert (status, error.param, error.code, error.type) == (400, param, code, "invalid_request_error")


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
        "metadata": {"a": "b"},
        "store": True,
    }
    assert shared.post(CHAT, chat(**neutral))[0] == 200


# --- messages ---


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


# --- several answers ---


def test_n_answers_have_seeds_of_their_own_and_the_first_is_that_of_one(shared: Server) -> None:
    answer = strictly(ChatCompletion, shared.post(CHAT, chat(n=5, seed=11))[1])
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3, 4]
    seeds = [request.seed for request in shared.engine.requests[-5:]]
    assert seeds[0] == 11
    assert len(set(seeds)) == 5
    assert seeds == [answer_seed(11, number) for number in range(5)]


def test_a_prompt_with_several_answers_is_counted_once(shared: Server) -> None:
    usage = shared.post(CHAT, chat(n=3, messages=says("one two")))[1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (2, 6, 8)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 1


def test_without_a_seed_none_is_made_up(shared: Server) -> None:
    shared.post(CHAT, chat(n=2))
    assert [request.seed for request in shared.engine.requests[-2:]] == [None, None]


# --- what reaches the engine ---


def test_sampling_parameters_reach_the_engine(shared: Server) -> None:
    shared.post(
        CHAT,
        chat(
            temperature=0.25,
            top_p=0.5,
            stop=["", "."],
            frequency_penalty=-1,
            presence_penalty=1.5,
            logit_bias={"5": -100, "70": 2},
        ),
    )
    request = shared.engine.requests[-1]
    assert (request.temperature, request.top_p, request.stop) == (0.25, 0.5, (".",))
    assert (request.frequency_penalty, request.presence_penalty) == (-1, 1.5)
    assert request.logit_bias == {5: -100, 70: 2}


def test_without_a_limit_the_rest_of_the_context_may_be_used(shared: Server) -> None:
    shared.post(CHAT, chat(messages=says("one two three")))
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
    status, answer = shared.post(CHAT, chat(messages=says(content), max_tokens=max_tokens))
    error = envelope(answer)
    assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
    assert message in error["message"]


@pytest.mark.parametrize("messages", [says("é" * 3201), HELLO * 51])
def test_what_cannot_possibly_fit_is_refused_without_counting(
    shared: Server, messages: list[dict[str, str]]
) -> None:
    status, answer = shared.post(CHAT, chat(messages=messages))
    assert (status, envelope(answer)["code"]) == (400, "context_length_exceeded")
    assert "bytes" in answer["error"]["message"]


def test_a_full_context_is_answered(shared: Server) -> None:
    content = " ".join(["word"] * 40)
    assert shared.post(CHAT, chat(messages=says(content), max_tokens=10))[0] == 200


# --- log-probabilities ---


def test_log_probabilities_are_reported_as_they_were_asked_for(shared: Server) -> None:
    answer = shared.post(CHAT, chat(messages=says("one 你"), logprobs=True, top_logprobs=2))[1]
    content = strictly(ChatCompletion, answer).choices[0].logprobs.content
    assert [(token.token, token.logprob) for token in content] == [("one", 0.0), (" 你", -0.5)]
    assert content[1].bytes == list(" 你".encode())
    # The fake's second alternative is impossible, which JSON cannot say.
    assert [other.logprob for other in content[0].top_logprobs] == [-1.0, -9999.0]
    assert shared.engine.requests[-1].top_logprobs == 2


def test_log_probabilities_may_come_without_alternatives(shared: Server) -> None:
    answer = strictly(ChatCompletion, shared.post(CHAT, chat(logprobs=True))[1])
    assert [token.top_logprobs for token in answer.choices[0].logprobs.content] == [[]]
    assert shared.engine.requests[-1].top_logprobs == 0


def test_without_being_asked_for_there_are_no_log_probabilities(shared: Server) -> None:
    assert shared.post(CHAT, chat())[1]["choices"][0]["logprobs"] is None
    assert shared.engine.requests[-1].top_logprobs is None


# --- response_format ---


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"type": "xml"},
            "Invalid value: 'xml'. Supported values are: 'json_object', 'json_schema', and 'text'.",
        ),
        ({}, "Missing required parameter: 'response_format.type'."),
        ("json_object", "Invalid type for 'response_format': expected an object, but got a string instead."),
        (
            {"type": "json_object"},
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        ),
        ({"type": "json_schema"}, "Missing required parameter: 'response_format.json_schema'."),
        (
            {"type": "json_schema", "json_schema": {"schema": {}}},
            "Missing required parameter: 'response_format.json_schema.name'.",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "a"}},
            "Missing required parameter: 'response_format.json_schema.schema'.",
        ),
        (json_schema({}, name="a.b"), "string does not match pattern"),
        (json_schema({}, name="a" * 65), "string too long"),
        (json_schema({}, strict="yes"), "expected a boolean"),
        (json_schema(True), "expected an object"),
        (json_schema({"description": "x" * 120_000}), "more than the 120000 that are taken"),
        (json_schema({"enum": []}), "Invalid schema for response_format: nothing satisfies it"),
    ],
)
def test_a_response_format_that_cannot_be_is_refused(shared: Server, given: object, message: str) -> None:
    status, answer = shared.post(CHAT, chat(response_format=given))
    error = envelope(answer)
    assert status == 400
    assert error["param"].startswith("response_format") or error["param"] == "messages"
    assert message in error["message"]


OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = OPEN | {"additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array"}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'."),
        ({}, "got 'type: \"None\"'."),
        (OPEN, "In context=(), 'additionalProperties' is required to be supplied and to be false."),
        (
            CLOSED | {"required": []},
            "and to be an array including every key in properties. Missing 'a'.",
        ),
        (CLOSED | {"required": ["a", "b"]}, "Extra required key 'b' supplied."),
        (CLOSED | {"required": None}, "'required' is required to be supplied"),
        (
            CLOSED | {"properties": {"a": {"type": "array", "items": OPEN}}},
            "In context=('properties', 'a', 'items'), 'additionalProperties'",
        ),
        (CLOSED | {"$defs": {"inner": OPEN}}, "In context=('$defs', 'inner'), 'additionalProperties'"),
        (CLOSED | {"properties": {"a": {"anyOf": [OPEN]}}}, "In context=('properties', 'a', 'anyOf', '0')"),
    ],
)
def test_a_strict_schema_must_leave_nothing_open(shared: Server, schema: object, message: str) -> None:
    status, answer = shared.post(CHAT, chat(response_format=json_schema(schema, strict=True)))
    error = envelope(answer)
    assert (status, error["param"]) == (400, "response_format")
    assert error["message"].startswith("Invalid schema for response_format 'answer': ")
    assert message in error["message"]


def test_a_strict_schema_nested_too_deeply_is_refused(shared: Server) -> None:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(11):
        schema = CLOSED | {"properties": {"a": schema}}
    status, answer = shared.post(CHAT, chat(response_format=json_schema(schema, strict=True)))
    assert (status, "nested more than 10 levels" in envelope(answer)["message"]) == (400, True)


@pytest.mark.parametrize("strict", [True, False, None])
def test_a_schema_reaches_the_engine(shared: Server, strict: bool | None) -> None:
    schema = CLOSED if strict else OPEN
    assert shared.post(CHAT, chat(response_format=json_schema(schema, strict=strict)))[0] == 200
    assert json.loads(shared.engine.requests[-1].schema or "") == schema


def test_json_object_asks_for_any_object(shared: Server) -> None:
    messages = [{"role": "system", "content": "Answer in JSON."}, *HELLO]
    assert shared.post(CHAT, chat(messages=messages, response_format={"type": "json_object"}))[0] == 200
    assert json.loads(shared.engine.requests[-1].schema or "") == {"type": "object"}


# --- when things go wrong ---


def test_a_broken_engine_is_a_500_and_the_server_lives_on(tmp_path: Path) -> None:
    with running_server(tmp_path, engine=EchoEngine(fails=True)) as server:
        status, answer = server.post(CHAT, chat())
        assert (status, envelope(answer)["type"]) == (500, "server_error")
        assert "engine broke" not in answer["error"]["message"]
        assert server.get("/v1/models")[0] == 200


def test_when_one_of_several_answers_fails_the_others_are_abandoned(tmp_path: Path) -> None:
    engine = EchoEngine(together=3, fails=True)
    with running_server(tmp_path, engine=engine) as server:
        assert server.post(CHAT, chat(n=3))[0] == 500
    assert not engine.abandoned  # all of them had failed: there was nothing left to abandon


def test_a_client_that_goes_away_ends_its_generation(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        leave(server, chat(messages=says(f"one {FOREVER}"), n=2), after=0)
        assert server.engine.requests == server.engine.abandoned
        assert server.post(CHAT, chat())[0] == 200


def leave(server: Server, body: dict[str, Any], *, after: int) -> None:
    """Ask, hang up after so many bytes of the answer, and wait for the generation to end."""
    content = json.dumps(body).encode()
    host, _, port = server.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = (
            f"POST {CHAT} HTTP/1.1\r\nhost: {server.host}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        connection.sendall(head.encode() + content)
        wait_for(lambda: server.engine.requests)
        received = b""
        while len(received) < after:
            received += connection.recv(1000)
    wait_for(lambda: server.engine.abandoned)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SCHEMA_KEYS = st.sampled_from(["type", "properties", "required", "items", "anyOf", "$defs", "enum", "const"])
SCHEMAS = st.recursive(
    JSON, lambda inner: st.dictionaries(SCHEMA_KEYS, inner | st.lists(inner, max_size=2)), max_leaves=6
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schema=SCHEMAS, strict=st.booleans())
def test_any_schema_gets_an_answer_or_a_400(shared: Server, schema: object, strict: bool) -> None:
    status, answer = shared.post(CHAT, chat(response_format=json_schema(schema, strict=strict)))
    assert status in (200, 400)
    if status != 200:
        envelope(answer)
