"""Every way an exchange can fail, as the page says it in Chinese: the provider's own words stay."""

import asyncio
import json

import pytest
from chinese import unsaid

from harness.models.embeddings import read_embedding
from harness.models.exchange import (
    BrokenConnectionError,
    ExchangeError,
    KeylessError,
    RefusedError,
    TimedOutError,
    UnreadableError,
)
from harness.models.failures import failure_of
from harness.models.metered import SPENT_UP, Purse
from harness.models.openai_chat import read_completion
from harness.records import Endpoint, Failure

WORDS = "Words of the provider, kept; as they are: all of them."
PLACES = (Endpoint(label="openai"), Endpoint(label="local", base_url="http://127.0.0.1:8000/v1"))


def envelope(**error: str) -> str:
    return json.dumps({"error": {"message": WORDS, **error}})


ENDS: tuple[ExchangeError, ...] = (
    TimedOutError(),
    BrokenConnectionError(WORDS),
    BrokenConnectionError(WORDS, is_unreachable=True),
    UnreadableError(WORDS),
    KeylessError(),
    RefusedError(429, envelope(code="insufficient_quota")),
    *(RefusedError(status, envelope()) for status in (400, 401, 402, 403, 404, 408, 422, 429, 500, 503)),
    RefusedError(404, envelope(code="model_not_found")),
    RefusedError(400, envelope(code="unsupported_parameter", param="max_tokens")),
    RefusedError(400, envelope(code="unsupported_parameter", param="temperature")),
    RefusedError(400, envelope(code="unsupported_parameter")),
    RefusedError(400, ""),
)


def test_every_failure_is_said() -> None:
    told = [
        failure_of(error, model=model, endpoint=place).message
        for error in ENDS
        for place in PLACES
        for model in ("gpt-x", "ft:gpt-x:acme::1")
    ]
    names = [
        "gpt-x",
        "ft:gpt-x:acme::1",
        "openai",
        "local",
        "http://127.0.0.1:8000/v1",
        WORDS,
        "max_tokens",
        "temperature",
    ]
    found = unsaid(told, names=names)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text", ["<html>Words kept</html>", "Words kept", "{}", '{"error": "Words kept"}', '{"choices": [1]}']
)
def test_answers_that_are_none_are_said(text: str) -> None:
    read = read_completion(text, place="gpt-x at openai", latency_s=None)
    assert isinstance(read, Failure)
    vector = read_embedding(text, place="gpt-x at openai")
    assert isinstance(vector, Failure)
    names = ["gpt-x", "openai", text, "Words kept", "error", "message"]
    found = unsaid([read.message, vector.message], names=names)
    assert not found, "\n".join(found)


def test_money_that_is_spent_is_said() -> None:
    refusal = asyncio.run(Purse(5.0).enter(7.25))
    assert isinstance(refusal, Failure)
    assert refusal.message.startswith(SPENT_UP)
    assert not unsaid([refusal.message])
