import time
from itertools import product

import httpx2
import pytest
from openai import OpenAI
from openai._models import FinalRequestOptions

from harness.models.retries import delay_s, is_worth_retrying, retry_after_s

HEADERS: list[dict[str, str]] = [
    {},
    {"retry-after": "3"},
    {"retry-after": "0.25"},
    {"retry-after": "120"},
    {"retry-after": "121"},
    {"retry-after": "-1"},
    {"retry-after": "0"},
    {"retry-after": "nan"},
    {"retry-after": "inf"},
    {"retry-after": "1e999"},
    {"retry-after": "soon"},
    {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"},
    {"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"},
    {"retry-after-ms": "20"},
    {"retry-after-ms": "x", "retry-after": "2"},
    {"x-should-retry": "true"},
    {"x-should-retry": "false"},
    {"x-should-retry": "maybe"},
    {"x-should-retry": "true", "retry-after": "500"},
]
STATUSES = (400, 401, 403, 404, 408, 409, 418, 422, 429, 500, 502, 503, 504, 529)


@pytest.fixture(scope="module")
def official() -> OpenAI:
    return OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", max_retries=5)


@pytest.mark.parametrize("headers", HEADERS, ids=str)
def test_the_same_answers_are_retried_as_by_the_official_client(
    official: OpenAI, headers: dict[str, str]
) -> None:
    for status in STATUSES:
        response = httpx2.Response(status, headers=headers)
        expected = official._should_retry(response)
        assert is_worth_retrying(status, headers, now=time.time()) == expected, status


@pytest.mark.parametrize(("headers", "attempt"), list(product(HEADERS, (0, 1, 3, 9))), ids=str)
def test_delays_are_those_of_the_official_client(
    official: OpenAI, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], attempt: int
) -> None:
    monkeypatch.setattr("openai._base_client.random", lambda: 0.5)
    options = FinalRequestOptions(method="post", url="/x", max_retries=20)
    expected = official._calculate_retry_timeout(20 - attempt, options, httpx2.Headers(headers))
    assert delay_s(attempt, headers, now=time.time(), chance=0.5) == pytest.approx(expected, abs=0.1)


def test_a_date_is_a_time_from_now() -> None:
    then = {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}
    assert retry_after_s(then, now=946684799.0 - 30) == pytest.approx(30)
