"""Completions over HTTP by the real engine, on a model of random weights: what the fake engine cannot show."""

import json
import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from harness.localserver.generation.engine import Engine
from harness.localserver.generation.lean import LeanBackend
from tests.localserver.fakes import BASE, Server, running_server
from tests.localserver.tiny_model import write_tiny_model

PROMPT: Any = [{"role": "user", "content": "你好 🙂 a b c"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("real")
    engine: Any = Engine(LeanBackend(write_tiny_model(folder / "tiny.gguf"), threads=1))
    with running_server(folder / "state", engine=engine) as running:
        yield running


def ask(server: Server, **changes: Any) -> Any:
    given = {"model": BASE.name, "messages": PROMPT, "max_tokens": 30, "temperature": 0.9, "seed": 3}
    return server.client.chat.completions.create(**(given | changes))


def schema(**properties: object) -> dict[str, object]:
    rules = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": rules}}


@pytest.mark.parametrize("seed", [3, 4])
def test_a_stream_is_the_answer_in_pieces(server: Server, seed: int) -> None:
    whole = ask(server, seed=seed, logprobs=True, top_logprobs=2).choices[0]
    chunks = [
        chunk.choices[0] for chunk in ask(server, seed=seed, logprobs=True, top_logprobs=2, stream=True)
    ]
    assert "".join(chunk.delta.content or "" for chunk in chunks) == whole.message.content
    assert chunks[-1].finish_reason == whole.finish_reason
    streamed = [token for chunk in chunks if chunk.logprobs for token in chunk.logprobs.content]
    assert streamed == whole.logprobs.content
    written = b"".join(bytes(token.bytes) for token in streamed)
    assert written.decode(errors="replace") == whole.message.content


def test_an_answer_follows_its_schema_character_by_character(server: Server) -> None:
    said = "你好，世界🙂🎉\u2028"
    format_ = schema(greeting={"const": said}, kind={"enum": ["a", "b"]})
    stream = ask(server, response_format=format_, max_tokens=200, stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    answer = json.loads("".join(pieces))
    assert (answer["greeting"], answer["kind"] in {"a", "b"}) == (said, True)
    assert "\ufffd" not in "".join(pieces)


def test_probabilities_are_probabilities(server: Server) -> None:
    for token in ask(server, temperature=0, logprobs=True, top_logprobs=20).choices[0].logprobs.content:
        alternatives = [other.logprob for other in token.top_logprobs]
        assert alternatives == sorted(alternatives, reverse=True)
        assert token.logprob == alternatives[0]
        assert sum(math.exp(logprob) for logprob in alternatives) <= 1 + 1e-6


def test_the_first_of_several_answers_is_that_of_one(server: Server) -> None:
    several = [choice.message.content for choice in ask(server, n=4).choices]
    assert several[0] == ask(server).choices[0].message.content
    assert len(set(several)) > 1
    assert several == [choice.message.content for choice in ask(server, n=4).choices]


def test_a_text_is_continued_with_its_tokens_in_place(server: Server) -> None:
    answer = server.client.completions.create(
        model=BASE.name, prompt="你好", max_tokens=12, logprobs=3, temperature=0.9, seed=1
    )
    choice = answer.choices[0]
    whole = "你好" + choice.text
    for token, place in zip(choice.logprobs.tokens, choice.logprobs.text_offset, strict=True):
        assert token.startswith("bytes:") or whole[place:].startswith(token)


def test_a_bias_decides_and_one_for_no_token_is_refused(server: Server) -> None:
    answer = ask(server, logit_bias={"40": 100}, max_tokens=5, temperature=0)
    assert len(set(answer.choices[0].message.content)) == 1
    with pytest.raises(openai.BadRequestError, match="logit_bias names token 9999999") as caught:
        ask(server, logit_bias={"9999999": 1}, response_format=schema(a={"type": "string"}))
    assert caught.value.param == "logit_bias"


def test_a_schema_nothing_satisfies_is_refused(server: Server) -> None:
    with pytest.raises(openai.BadRequestError, match="Invalid schema for response_format") as caught:
        ask(server, response_format=schema(a={"type": "string", "minLength": 5, "maxLength": 2}))
    assert caught.value.param == "response_format"
