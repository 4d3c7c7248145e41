import asyncio
import json
from dataclasses import replace

import pytest

from harness.models import ChatClient, OpenAIChat
from harness.models.batch_lines import in_files, read_line, unasked
from harness.records import Completion, Endpoint, Failure, Json, Message, Sampling
from harness.testing import FaultyEndpoint

HELLO: tuple[Message, ...] = (
    {"role": "system", "content": "Be brief.\u2028"},
    {"role": "user", "content": "你好 👩‍👩‍👧"},
)
RICH = Sampling(
    temperature=0.5,
    max_tokens=7,
    seed=40,
    stop=("\n",),
    top_logprobs=3,
    tools=({"type": "function", "function": {"name": "f"}},),
)
HERE = Endpoint(label="here", base_url="http://127.0.0.1:1/v1", api_key="secret-key-1")


def test_the_body_of_a_line_is_the_one_that_is_sent_live() -> None:
    with FaultyEndpoint() as server:
        endpoint = replace(HERE, base_url=server.base_url, max_tokens_field="max_completion_tokens")

        async def ask() -> None:
            client = ChatClient(endpoint)
            for trial in range(2):
                await OpenAIChat("m", client).complete(HELLO, RICH, trial=trial)
            await client.close()

        asyncio.run(ask())
    lines = [json.loads(unasked(endpoint, "m", HELLO, RICH, trial=trial).line()) for trial in range(2)]
    assert [line["body"] for line in lines] == server.bodies
    assert [line["body"]["seed"] for line in lines] == [40, 41]
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    assert len({line["custom_id"] for line in lines}) == 2


def test_a_line_is_one_line() -> None:
    line = unasked(HERE, "m", HELLO, RICH, trial=0).line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1


def test_log_probabilities_can_be_left_out_under_the_same_key() -> None:
    request = unasked(HERE, "m", HELLO, RICH, trial=0)
    whole, without = json.loads(request.line()), json.loads(request.line(has_logprobs=False))
    assert whole["custom_id"] == without["custom_id"]
    assert whole["body"].keys() - without["body"].keys() == {"logprobs", "top_logprobs"}


def lines(*sizes: int) -> list[tuple[str, bytes]]:
    return [(str(number), b"x" * size) for number, size in enumerate(sizes)]


def shape(files: list[list[tuple[str, bytes]]]) -> list[list[int]]:
    return [[len(line) for _, line in file] for file in files]


def test_files_hold_as_many_lines_as_the_limit_allows() -> None:
    assert shape(list(in_files(lines(*[1] * 7), most_lines=3, most_bytes=99))) == [[1, 1, 1], [1, 1, 1], [1]]
    assert shape(list(in_files(lines(*[1] * 3), most_lines=3, most_bytes=99))) == [[1, 1, 1]]


def test_files_hold_as_many_bytes_as_the_limit_allows() -> None:
    assert shape(list(in_files(lines(4, 6, 1, 9, 10), most_lines=9, most_bytes=10))) == [[4, 6], [1, 9], [10]]


def test_nothing_makes_no_file() -> None:
    assert list(in_files([])) == []


def answered(body: Json, status: Json = 200) -> bytes:
    response = {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": "b", "custom_id": "k", "response": response, "error": None}).encode()


GOOD = {
    "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    "model": "m-2",
}


def outcome_of(line: bytes) -> Completion | Failure:
    found = read_line(line, endpoint=HERE, model="m", batch="batch_1")
    assert found is not None
    assert found.key == "k"
    return found.outcome


@pytest.mark.parametrize("body", [GOOD, json.dumps(GOOD)], ids=["object", "text"])
def test_an_answer_has_its_batch_and_no_time(body: Json) -> None:
    answer = outcome_of(answered(body))
    assert isinstance(answer, Completion)
    assert (answer.text, answer.batch, answer.latency_s, answer.usage.prompt_tokens) == (
        "hi",
        "batch_1",
        None,
        5,
    )


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, None, "malformed"),
        (200, [], "malformed"),
        (200, {"choices": []}, "malformed"),
        (400, {"error": {"message": "bad"}}, "bad_request"),
        (401, {"error": {"message": "Bearer secret-key-1 is wrong"}}, "auth"),
        (429, {"error": {"message": "slow down"}}, "rate_limit"),
        (500, "<html>", "server"),
        ("500", None, "server"),
    ],
)
def test_anything_else_is_a_failure_with_its_kind(status: Json, body: Json, kind: str) -> None:
    failure = outcome_of(answered(body, status))
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert "secret-key-1" not in failure.message


def test_a_request_whose_turn_never_came_is_told_from_one_that_failed() -> None:
    def unasked_by(code: str) -> bool:
        line = {"custom_id": "k", "response": None, "error": {"code": code, "message": "no"}}
        found = read_line(json.dumps(line).encode(), endpoint=HERE, model="m", batch="b")
        assert found is not None
        return found.is_unasked

    assert [unasked_by(code) for code in ("batch_expired", "batch_cancelled", "server_error")] == [
        True,
        True,
        False,
    ]


def test_a_refusal_of_log_probabilities_is_known() -> None:
    body = {"error": {"message": "no such setting", "param": "top_logprobs"}}
    found = read_line(answered(body, 400), endpoint=HERE, model="m", batch="b")
    assert found is not None
    assert found.refuses_logprobs


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"null", b"{}", b'{"custom_id": 3}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_line_about_no_request_is_none(line: bytes) -> None:
    assert read_line(line, endpoint=HERE, model="m", batch="b") is None
