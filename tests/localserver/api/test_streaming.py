"""Streamed chat completions: the events of OpenAI, in its order, and what happens when a stream breaks off."""

import asyncio
import json
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.localserver.api.test_chat import CHAT, chat, leave, says
from tests.localserver.fakes import FOREVER, EchoEngine, Server, events_of, running_server, strictly, wait_for


def chunks_of(server: Server, **changes: object) -> list[ChatCompletionChunk]:
    body = chat(stream=True, **changes)
    return [strictly(ChatCompletionChunk, event) for event in events_of(server, CHAT, body)]


def test_a_stream_begins_with_the_role_and_ends_with_the_reason(shared: Server) -> None:
    first, *middle, last = chunks_of(shared, messages=says("one two three"))
    assert first.choices[0].delta.model_dump(exclude_unset=True) == {
        "role": "assistant",
        "content": "",
        "refusal": None,
    }
    assert [chunk.choices[0].delta.model_dump(exclude_unset=True) for chunk in middle] == [
        {"content": "one"},
        {"content": " two"},
        {"content": " three"},
    ]
    assert last.choices[0].delta.model_dump(exclude_unset=True) == {}
    assert [chunk.choices[0].finish_reason for chunk in (first, *middle, last)] == [None] * 4 + ["stop"]
    assert {(chunk.id, chunk.created, chunk.model) for chunk in middle} == {
        (first.id, first.created, first.model)
    }


def test_without_being_asked_for_no_chunk_speaks_of_usage(shared: Server) -> None:
    assert all("usage" not in event for event in events_of(shared, CHAT, chat(stream=True)))


def test_usage_comes_in_a_chunk_of_its_own(shared: Server) -> None:
    *chunks, last = chunks_of(
        shared,
        messages=says("one two"),
        n=2,
        stream_options={"include_usage": True, "include_obfuscation": False},
    )
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (2, 4, 6)


def test_several_answers_come_in_one_stream(shared: Server) -> None:
    chunks = chunks_of(shared, messages=says("one two"), n=3)
    for number in range(3):
        own = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == number]
        assert (own[0].delta.role, own[-1].finish_reason) == ("assistant", "stop")
        assert "".join(choice.delta.content or "" for choice in own) == "one two"


def test_log_probabilities_come_with_their_text(shared: Server) -> None:
    chunks = chunks_of(shared, messages=says("one two"), logprobs=True, top_logprobs=1)
    reported = [chunk.choices[0].logprobs for chunk in chunks]
    assert [logprobs and logprobs.content[0].token for logprobs in reported] == [None, "one", " two", None]


def test_half_a_character_has_its_log_probability_and_no_text(tmp_path: Path) -> None:
    with running_server(tmp_path, engine=EchoEngine(bytewise=True)) as server:
        chunks = chunks_of(server, messages=says("a🙂"), logprobs=True)[1:-1]
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["a", "", "", "", "🙂"]
    tokens = [chunk.choices[0].logprobs.content[0] for chunk in chunks]
    assert [token.token for token in tokens] == ["a", "\\xf0", "\\x9f", "\\x99", "\\x82"]
    assert bytes(byte for token in tokens for byte in token.bytes).decode() == "a🙂"


def test_an_event_is_one_line_of_ascii(shared: Server) -> None:
    """Also where the text has what some clients take for the end of a line."""
    text = "你\u2028好\x85🙂"
    body = json.dumps(chat(stream=True, messages=says(text)))
    answer = shared.ask("POST", CHAT, body, {"content-type": "application/json"})[2]
    assert answer.isascii()
    assert all(event.startswith(b"data: ") for event in answer.split(b"\n\n")[:-1])
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks_of(shared, messages=says(text)))[0]
        == "你"
    )


def test_what_is_wrong_is_said_before_the_stream_begins(shared: Server) -> None:
    for changes, status in (({"n": 0}, 400), ({"model": "gpt-9"}, 404), ({"max_tokens": 60}, 400)):
        assert shared.post(CHAT, chat(stream=True, **changes))[0] == status


@pytest.mark.parametrize("pieces", [0, 2])
def test_a_stream_that_breaks_ends_with_an_error_event(tmp_path: Path, pieces: int) -> None:
    with running_server(tmp_path, engine=EchoEngine(breaks_after=pieces)) as server:
        stream = server.client.chat.completions.create(
            model="tiny-base",
            messages=says("one two three"),
            stream=True,  # type: ignore[arg-type]
        )
        received = []
        with pytest.raises(openai.APIError) as caught:
            received += [chunk.choices[0].delta.content for chunk in stream]
        answer = server.ask(
            "POST", CHAT, json.dumps(chat(stream=True)), {"content-type": "application/json"}
        )[2]
        assert server.get("/v1/models")[0] == 200
    assert caught.value.type == "server_error"
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert "engine broke" not in caught.value.message
    assert b"[DONE]" not in answer


def test_a_client_that_leaves_in_mid_stream_ends_its_generation(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        leave(server, chat(stream=True, messages=says(f"one two {FOREVER}"), n=2), after=500)
        assert server.engine.requests == server.engine.abandoned
        assert server.post(CHAT, chat())[0] == 200


def test_a_stream_can_be_left_by_the_client_library(tmp_path: Path) -> None:
    async def first_words(base_url: str) -> str:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="tiny-base",
                messages=says(f"one two {FOREVER}"),
                stream=True,  # type: ignore[arg-type]
            )
            async with stream:
                text = ""
                async for chunk in stream:
                    text += chunk.choices[0].delta.content or ""
                    if text == "one two":
                        return text
        return ""

    with running_server(tmp_path) as server:
        assert asyncio.run(first_words(server.base_url)) == "one two"
        wait_for(lambda: server.engine.abandoned)
