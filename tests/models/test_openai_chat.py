import asyncio
import json
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import pytest

from harness.models.openai_chat import ChatClient, OpenAIChat, read_completion, request_body
from harness.records import Completion, Endpoint, Failure, Sampling, ToolCall, Usage
from harness.testing.endpoints import DROPPED, NO_CHOICES, NOT_JSON, WEB_PAGE, Fault, FaultyEndpoint

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(params=["direct", "official"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to ask keep the same promises; custom headers are what only the official client knows."""
    if request.param == "official":
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: a")
    else:
        monkeypatch.delenv("OPENAI_CUSTOM_HEADERS", raising=False)


def ask(
    server: FaultyEndpoint | None, *prompts: str, model: str = "m", **settings: Any
) -> list[Completion | Failure]:
    """Ask one model the prompts, one after the other; `settings` are those of the Endpoint."""
    if server is not None:
        settings["base_url"] = server.base_url
    endpoint = Endpoint(**{"label": "test", "api_key": KEY, "max_retries": 0, **settings})

    async def run() -> list[Completion | Failure]:
        client = ChatClient(endpoint)
        chat = OpenAIChat(model, client)
        try:
            return [await chat.complete(user(prompt), Sampling()) for prompt in prompts]
        finally:
            await client.close()

    return asyncio.run(run())


def user(text: str) -> Sequence[dict[str, object]]:
    return [{"role": "user", "content": text}]


def failure_for(fault: Fault | int, *, model: str = "m", **settings: Any) -> Failure:
    with FaultyEndpoint(faults=repeat(fault)) as server:
        (outcome,) = ask(server, "hello", model=model, **settings)
    assert isinstance(outcome, Failure)
    return outcome


def test_answer_comes_with_usage_model_and_latency() -> None:
    with FaultyEndpoint({"2+2?": "four it is"}) as server:
        (answer,) = ask(server, "2+2?")
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason, answer.model) == ("four it is", "stop", "m")
    assert answer.usage == Usage(prompt_tokens=1, completion_tokens=3, cached_tokens=0)
    assert answer.system_fingerprint == "fp_scripted"
    assert answer.latency_s > 0
    assert not answer.cached


def test_settings_that_are_none_are_not_sent() -> None:
    body = request_body("m", user("hi"), Sampling(temperature=None, max_tokens=None))
    assert body == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_max_tokens_goes_under_the_name_the_endpoint_knows() -> None:
    body = request_body("o4", user("hi"), Sampling(max_tokens=9), max_tokens_field="max_completion_tokens")
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


def test_every_trial_has_a_seed_of_its_own() -> None:
    with FaultyEndpoint() as server:

        async def run() -> None:
            chat = OpenAIChat("m", ChatClient(Endpoint(label="t", base_url=server.base_url, api_key=KEY)))
            for trial in range(3):
                await chat.complete(user("hi"), Sampling(seed=7), trial=trial)
            await chat.close()

        asyncio.run(run())
        assert [body["seed"] for body in server.bodies] == [7, 8, 9]


def test_keyless_server_is_asked_with_a_placeholder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with FaultyEndpoint() as server:
        (answer,) = ask(server, "hi", api_key=None)
        assert isinstance(answer, Completion)
        assert server.keys == ["none"]


def test_no_key_for_the_default_address_is_a_fatal_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    (outcome,) = ask(None, "hi", base_url=None, api_key=None)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.fatal) == ("auth", True)
    assert "OPENAI_API_KEY" in outcome.message


@pytest.mark.parametrize(
    ("fault", "kind", "fatal"),
    [
        (Fault(status=401, message="Incorrect API key provided"), "auth", True),
        (Fault(status=403, message="Country not supported"), "auth", True),
        (
            Fault(status=404, code="model_not_found", message="The model m does not exist"),
            "model_not_found",
            True,
        ),
        (Fault(status=404, message="model 'm' not found, try pulling it first"), "model_not_found", True),
        (Fault(status=404, body="<html>not here</html>"), "bad_request", True),
        (Fault(status=402, message="Insufficient Balance"), "quota", True),
        (Fault(status=429, code="insufficient_quota"), "quota", True),
        (Fault(status=429, code="billing_hard_limit_reached"), "quota", True),
        (Fault(status=429, message="slow down"), "rate_limit", False),
        (Fault(status=408), "timeout", False),
        (Fault(status=500), "server", False),
        (Fault(status=503, body="upstream died"), "server", False),
        (Fault(status=400, code="context_length_exceeded"), "bad_request", False),
        (Fault(status=422, message="bad messages"), "bad_request", False),
        (Fault(status=409), "bad_request", False),
        (Fault(status=400, code="unsupported_parameter", param="max_tokens"), "bad_request", True),
        (Fault(status=400, message="Unrecognized request argument supplied: seed"), "bad_request", True),
        (DROPPED, "connection", False),
        (NOT_JSON, "malformed", False),
        (WEB_PAGE, "malformed", False),
        (NO_CHOICES, "malformed", False),
    ],
)
def test_trouble_becomes_a_failure_of_its_kind(fault: Fault, kind: str, fatal: bool) -> None:
    failure = failure_for(fault)
    assert (failure.kind, failure.fatal) == (kind, fatal), failure.message
    assert failure.message.startswith("m at test: ")


def test_too_slow_an_answer_is_a_timeout() -> None:
    failure = failure_for(Fault(wait_s=5.0), timeout_s=0.05)
    assert failure.kind == "timeout"
    assert "0.05 s" in failure.message


def test_nobody_listening_is_fatal_and_says_where() -> None:
    with FaultyEndpoint() as server:
        gone = server.base_url
    (outcome,) = ask(None, "hi", base_url=gone)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.fatal) == ("connection", True)
    assert gone in outcome.message
    assert "is the server running" in outcome.message


def test_unsupported_max_tokens_names_the_remedy() -> None:
    failure = failure_for(Fault(status=400, code="unsupported_parameter", param="max_tokens"))
    assert "max_tokens_field" in failure.message


def test_failure_keeps_the_provider_words_but_no_key() -> None:
    words = f"Incorrect API key provided: {KEY}. Also Bearer abc.def-ghi and https://me:pw123@host/v1"
    failure = failure_for(Fault(status=401, message=words))
    assert "Incorrect API key provided" in failure.message
    for secret in (KEY, "abc.def-ghi", "pw123"):
        assert secret not in failure.message


def test_key_that_looks_like_nothing_is_cut_out_too() -> None:
    failure = failure_for(Fault(status=500, message="lost hunter2-hunter2 today"), api_key="hunter2-hunter2")
    assert "hunter2" not in failure.message


def test_long_words_are_cut() -> None:
    assert len(failure_for(Fault(status=400, message="word " * 5000)).message) < 500


def test_client_retries_until_the_endpoint_recovers() -> None:
    busy = Fault(status=429, headers={"retry-after-ms": "1"})
    with FaultyEndpoint(faults=[busy, Fault(status=503, headers={"retry-after-ms": "1"})]) as server:
        (answer,) = ask(server, "hi", max_retries=5)
        assert isinstance(answer, Completion)
        assert server.requests == 3


def test_client_gives_up_after_its_own_retries_and_nobody_adds_more() -> None:
    with FaultyEndpoint(faults=repeat(Fault(status=429, headers={"retry-after-ms": "1"}))) as server:
        (outcome,) = ask(server, "hi", max_retries=2)
        assert isinstance(outcome, Failure)
        assert server.requests == 3


def test_lone_surrogate_in_a_prompt_is_a_bad_request() -> None:
    with FaultyEndpoint() as server:
        (outcome,) = ask(server, "broken \ud800")
    assert isinstance(outcome, Failure)
    assert outcome.kind == "bad_request"


def test_repr_holds_no_key() -> None:
    chat = OpenAIChat("m", ChatClient(Endpoint(label="test", base_url="http://x", api_key=KEY)))
    assert repr(chat) == "OpenAIChat('m', ChatClient('test'))"


# --- reading answers ------------------------------------------------------------------------------------


def answer_with(message: object, **rest: object) -> Completion:
    outcome = read_completion(
        json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], **rest})
    )
    assert isinstance(outcome, Completion)
    return outcome


def test_empty_answer_is_an_answer() -> None:
    assert answer_with({"content": ""}).text == ""


def test_refusal_field_is_kept_beside_null_content() -> None:
    answer = answer_with({"content": None, "refusal": "I can't help with that."})
    assert (answer.text, answer.refusal) == ("", "I can't help with that.")


def test_tool_calls_keep_their_arguments_as_they_came() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "fly", "arguments": '{"x": 1'}}
    assert answer_with({"content": None, "tool_calls": [call]}).tool_calls == (
        ToolCall(name="fly", arguments='{"x": 1', id="c1"),
    )


def test_old_function_call_is_a_tool_call() -> None:
    answer = answer_with({"content": None, "function_call": {"name": "fly", "arguments": "{}"}})
    assert answer.tool_calls == (ToolCall(name="fly", arguments="{}"),)


def test_content_in_parts_is_joined() -> None:
    assert (
        answer_with({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}).text == "ab"
    )


def test_cached_tokens_are_read() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
    assert answer_with({"content": "x"}, usage=usage).usage == Usage(
        prompt_tokens=9, completion_tokens=2, cached_tokens=8
    )


def test_nonsense_usage_is_unknown_not_a_number() -> None:
    usage = {"prompt_tokens": "9", "completion_tokens": -1, "prompt_tokens_details": None}
    assert answer_with({"content": "x"}, usage=usage).usage == Usage()


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert answer_with({"content": "a\ud800b \U0001f600"}).text == "a\ufffdb \U0001f600"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "3",
        '{"choices": {}}',
        '{"choices": [null]}',
        '{"choices": [{"message": "hi"}]}',
        "[" * 9999,
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    outcome = read_completion(text)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "malformed"


def test_error_inside_a_200_is_quoted() -> None:
    outcome = read_completion('{"error": {"message": "provider overloaded"}}')
    assert isinstance(outcome, Failure)
    assert "provider overloaded" in outcome.message


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HTTP_PROXY", "::bad", "Invalid port"),
        ("HTTPS_PROXY", "ftp://ada:lovelace@proxy:1", "Unknown scheme"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "socksio"),
        ("SSL_CERT_FILE", "/no/such.pem", "No such file"),
    ],
)
def test_a_broken_environment_is_one_fatal_failure_that_names_the_variables(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    outcome = ask(None, "hello", base_url="https://127.0.0.1:9/v1")[0]
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.fatal) == ("connection", True)
    assert words in outcome.message
    assert variable in outcome.message
    assert "lovelace" not in outcome.message
