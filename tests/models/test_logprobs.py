"""Log-probabilities: asked for, read, and done without where an endpoint has none."""

import asyncio
import json
import math
from collections.abc import Mapping

import pytest

from harness.models.openai_chat import ChatClient, OpenAIChat, read_completion, request_body
from harness.records import Completion, Endpoint, Failure, Json, Sampling
from harness.testing.endpoints import Fault, FaultyEndpoint

WEIGHED = Sampling(top_logprobs=20)
HELLO = [{"role": "user", "content": "hello"}]


def ask(server: FaultyEndpoint, *models: str) -> list[Completion | Failure]:
    endpoint = Endpoint(label="test", base_url=server.base_url, api_key="k", max_retries=0)

    async def run() -> list[Completion | Failure]:
        client = ChatClient(endpoint)
        try:
            return [await OpenAIChat(model, client).complete(HELLO, WEIGHED) for model in models]
        finally:
            await client.close()

    return asyncio.run(run())


def body(content: Json) -> str:
    return json.dumps({"choices": [{"message": {"content": "4"}, "logprobs": {"content": content}}]})


def told(content: Json) -> tuple[Mapping[str, float], ...]:
    answer = read_completion(body(content))
    assert isinstance(answer, Completion)
    return answer.top_logprobs


def test_they_are_asked_for_when_the_sampling_says_so() -> None:
    sent = request_body("m", HELLO, WEIGHED)
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 20)
    assert request_body("m", HELLO, Sampling()).keys() == {"model", "messages", "temperature", "max_tokens"}


def test_each_token_stands_first_among_the_likely_ones() -> None:
    place = {
        "token": "4",
        "logprob": -0.7,
        "top_logprobs": [
            {"token": "5", "logprob": -0.69},
            {"token": "4", "logprob": -0.7},
            {"token": "?", "logprob": -30.0},
        ],
    }
    (found,) = told([place])
    assert list(found.items()) == [("4", -0.7), ("5", -0.69)]


def test_an_unlikely_token_that_was_drawn_is_kept() -> None:
    assert told([{"token": "4", "logprob": -50.0, "top_logprobs": []}]) == ({"4": -50.0},)


@pytest.mark.parametrize(
    "content",
    [
        None,
        3,
        "x",
        [],
        [{}],
        [{"token": "4"}],
        [{"token": 4, "logprob": -1}],
        [{"token": "4", "logprob": True}],
    ],
)
def test_nonsense_is_none_told(content: Json) -> None:
    assert told(content) == ()


@pytest.mark.parametrize(
    "refusal",
    [
        Fault(status=400, message="Unsupported parameter", code="unsupported_parameter", param="logprobs"),
        Fault(status=400, message="'logprobs' is not supported with this model."),
        Fault(status=400, message="Requested sample logprobs of 20, which is greater than max allowed: 5"),
        Fault(status=422, message="top_logprobs: Extra inputs are not permitted"),
    ],
)
def test_a_model_that_refuses_is_asked_without_from_then_on(refusal: Fault) -> None:
    with FaultyEndpoint("fine", faults=lambda sent: refusal if "logprobs" in sent else None) as server:
        answers = ask(server, "m", "m", "m")
    assert all(isinstance(answer, Completion) for answer in answers)
    assert ["logprobs" in sent for sent in server.bodies] == [True, False, False, False]


def test_what_one_model_refuses_another_is_asked_for() -> None:
    def refuse(sent: Mapping[str, Json]) -> int | Fault | None:
        return (
            Fault(status=400, message="no logprobs") if sent["model"] == "m" and "logprobs" in sent else None
        )

    with FaultyEndpoint("fine", faults=refuse) as server:
        ask(server, "m", "n", "m")
    assert [(sent["model"], "logprobs" in sent) for sent in server.bodies] == [
        ("m", True), ("m", False), ("n", True), ("m", False),
    ]  # fmt: skip


def test_an_endpoint_that_takes_no_notice_gives_an_answer_without_them() -> None:
    with FaultyEndpoint("fine") as server:
        (answer,) = ask(server, "m")
    assert isinstance(answer, Completion)
    assert (answer.text, answer.top_logprobs) == ("fine", ())


def test_another_rejection_stays_one() -> None:
    with FaultyEndpoint(faults=[Fault(status=400, message="the prompt is too long")]) as server:
        (failure,) = ask(server, "m")
    assert isinstance(failure, Failure)
    assert server.requests == 1


def test_probabilities_that_are_told_are_read() -> None:
    place = {
        "token": "4",
        "logprob": math.log(0.5),
        "top_logprobs": [{"token": "5", "logprob": math.log(0.5)}],
    }
    with FaultyEndpoint(faults=[Fault(status=200, body=body([place]))]) as server:
        (answer,) = ask(server, "m")
    assert isinstance(answer, Completion)
    assert answer.top_logprobs == ({"4": round(math.log(0.5), 4), "5": round(math.log(0.5), 4)},)
