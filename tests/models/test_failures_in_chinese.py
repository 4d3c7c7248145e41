"""Every way an exchange can fail, as the page says it in Chinese: the provider's own words stay."""

import json

from chinese import unsaid

from harness.models.exchange import (
    BrokenConnectionError,
    ExchangeError,
    KeylessError,
    RefusedError,
    TimedOutError,
    UnreadableError,
)
from harness.models.failures import failure_of
from harness.records import Endpoint

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
