import time

import pytest

from harness.redaction import redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Incorrect API key provided: sk-proj-abcDEF123456", "abcDEF123456"),
        ("masked sk-ab***************yz here", "***yz"),
        ("Authorization: Bearer abcdef.ghi-jkl", "abcdef"),
        ("GET https://user:hunter22@host/v1", "hunter22"),
        ("https://host/v1?api-key=0123456789&x=1", "0123456789"),
        ('{"access_token": "zzzzyyyyxxxx"}', "zzzzyyyyxxxx"),
        ("token hf_abcdefghijkl", "abcdefghijkl"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
    ],
)
def test_secrets_are_cut(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "[redacted]" in redact(text)


def test_given_secret_is_cut_whatever_its_shape() -> None:
    assert redact("lost correct-horse today", "correct-horse") == "lost [redacted] today"


@pytest.mark.parametrize(
    "text",
    [
        "none of the above",
        "max_tokens=16 is too low",
        "https://host/v1/models",
        "the task-oriented risk-averse desk-bound",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text, "none", None) == text


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("GET https://host/v1?token=abcd1234&x=1", "abcd1234"),
        ("https://host/v1?x=1&subscription-key=abcd1234 failed", "abcd1234"),
        ("https://user:p@ssw0rd@host/v1", "ssw0rd"),
    ],
)
def test_a_key_in_a_url_is_cut_whatever_it_is_called(url: str, secret: str) -> None:
    assert secret not in redact(url)


@pytest.mark.parametrize(
    "piece", ["eyJ-", "://", "bearer ", "sk-", "secret=", "?token", "api key ", "eyJaaaaaaaa."]
)
def test_no_text_takes_long_to_look_through(piece: str) -> None:
    started = time.perf_counter()
    redact(piece * (100_000 // len(piece)))
    assert time.perf_counter() - started < 5  # a quadratic pattern takes minutes
