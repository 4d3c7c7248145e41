"""The scripted endpoint itself, seen by a client that does nothing but HTTP."""

import http.client
import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

import harness.testing
from harness.testing import (
    BUSY,
    BUSY_UNTIL_A_DATE,
    DROPPED,
    FILTERED,
    HALF_SENT,
    MISLABELLED,
    SLOW_TAIL,
    WEB_PAGE,
    Answer,
    Fault,
    FaultyEndpoint,
)


def ask(endpoint: FaultyEndpoint, prompt: str = "hi") -> tuple[int, Mapping[str, str], str]:
    """Status, headers by lower-case name, and text."""
    connection = http.client.HTTPConnection(urlsplit(endpoint.base_url).netloc, timeout=5)
    try:
        body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read().decode()
    finally:
        connection.close()


def choice_of(text: str) -> Any:
    return json.loads(text)["choices"][0]


def test_trouble_comes_in_the_order_of_the_script_and_then_answers() -> None:
    with FaultyEndpoint("four", faults=[BUSY, None, 503]) as endpoint:
        told = [ask(endpoint) for _ in range(4)]
    assert [status for status, _, _ in told] == [429, 200, 503, 200]
    assert json.loads(told[0][2])["error"]["code"] == "rate_limit_exceeded"
    assert choice_of(told[3][2])["message"]["content"] == "four"
    assert (endpoint.requests, endpoint.answered) == (4, 2)


def test_the_date_to_come_back_at_is_counted_from_the_sending() -> None:
    with FaultyEndpoint(faults=[BUSY_UNTIL_A_DATE]) as endpoint:
        _, headers, _ = ask(endpoint)
    ahead = parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()
    assert 0 < ahead <= 2, "a second, to the next whole one"


def test_a_slow_or_mislabelled_answer_is_the_scripted_answer() -> None:
    with FaultyEndpoint({"hi": "hello"}, faults=[MISLABELLED, SLOW_TAIL]) as endpoint:
        _, headers, text = ask(endpoint)
        assert headers["content-type"] == "text/plain"
        assert choice_of(text)["message"]["content"] == "hello"
        started = time.monotonic()
        assert choice_of(ask(endpoint)[2])["message"]["content"] == "hello"
        assert time.monotonic() - started >= 0.15


def test_half_an_answer_is_given_though_not_received() -> None:
    with FaultyEndpoint(faults=[HALF_SENT, DROPPED]) as endpoint:
        with pytest.raises(http.client.IncompleteRead):
            ask(endpoint)
        with pytest.raises(http.client.RemoteDisconnected):
            ask(endpoint)
        assert (endpoint.requests, endpoint.answered) == (2, 1)


def test_a_web_page_says_what_it_is() -> None:
    with FaultyEndpoint(faults=[WEB_PAGE]) as endpoint:
        status, headers, _ = ask(endpoint)
    assert (status, headers["content-type"]) == (200, "text/html")


def test_an_answer_of_its_own_may_stand_in_the_script() -> None:
    with FaultyEndpoint("fine", faults=[FILTERED, Answer(text="other")]) as endpoint:
        first, second, third = (choice_of(ask(endpoint)[2]) for _ in range(3))
    assert (first["finish_reason"], first["message"]["content"]) == ("content_filter", None)
    assert (second["message"]["content"], third["message"]["content"]) == ("other", "fine")


def test_the_fingerprint_may_change_while_it_runs() -> None:
    with FaultyEndpoint(fingerprint=lambda number: f"fp_{number // 2}") as endpoint:
        found = [json.loads(ask(endpoint)[2])["system_fingerprint"] for _ in range(3)]
    assert found == ["fp_0", "fp_0", "fp_1"]


def test_a_prompt_without_an_answer_is_refused_whatever_its_manner() -> None:
    with FaultyEndpoint({"hi": "hello"}, faults=[SLOW_TAIL]) as endpoint:
        assert ask(endpoint, "nobody knows")[0] == 400
    assert endpoint.answered == 0


def test_every_named_fault_is_offered_by_the_front_door() -> None:
    named = [name for name in harness.testing.__all__ if name.isupper()]
    assert len(named) == 16
    assert all(isinstance(getattr(harness.testing, name), Fault | Answer) for name in named)
