"""Text completions over HTTP: prompts continued as they stand, in the older call's shape."""

from pathlib import Path
from typing import Any

import pytest
from openai.types import Completion

from harness.localserver.api.inference import MAX_TOKENS_AT_ONCE
from harness.localserver.api.text_completions import MAX_PROMPTS
from tests.localserver.api.exchanges import envelope
from tests.localserver.fakes import BASE, EchoEngine, Server, events_of, running_server, strictly

COMPLETIONS = "/v1/completions"


def ask(server: Server, prompt: object = "one two", **changes: object) -> tuple[int, Any]:
    return server.post(COMPLETIONS, {"model": BASE.name, "prompt": prompt} | changes)


def answered(server: Server, prompt: object = "one two", **changes: object) -> Completion:
    status, answer = ask(server, prompt, **changes)
    assert status == 200, answer
    return strictly(Completion, answer)


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"prompt": []}, "prompt", "empty_array"),
        ({"prompt": {"a": 1}}, "prompt", "invalid_type"),
        ({"prompt": ["a", 7]}, "prompt[1]", "invalid_type"),
        ({"prompt": [5, 6]}, "prompt", "unsupported_parameter"),
        ({"prompt": [[5, 6], [7]]}, "prompt", "unsupported_parameter"),
        ({"prompt": ["a"] * (MAX_PROMPTS + 1)}, "prompt", "array_above_max_length"),
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"prompt": ["a"] * 2048, "n": 128, "max_tokens": MAX_TOKENS_AT_ONCE // 128}, "n", None),
        ({"best_of": 2}, "best_of", "unsupported_parameter"),
        ({"best_of": 1, "n": 2}, "best_of", None),
        ({"best_of": 21, "n": 21}, "best_of", "integer_above_max_value"),
        ({"suffix": "and so on"}, "suffix", "unsupported_parameter"),
        ({"logprobs": 6}, "logprobs", "integer_above_max_value"),
        ({"logprobs": True}, "logprobs", "invalid_type"),
        ({"logprobs": 1, "echo": True}, "logprobs", "unsupported_parameter"),
        ({"echo": "yes"}, "echo", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"stream_options": {}}, "stream_options", None),
        ({"messages": []}, "messages", "unknown_parameter"),
    ],
)
def test_a_completion_that_cannot_be_made_as_asked_is_refused(
    shared: Server, changes: dict[str, object], param: str, code: str | None
) -> None:
    status, answer = ask(shared, **changes)
    error = envelope(answer)
    assert (status, error["param"], error["code"]) == (400, param, code)


def test_a_text_is_continued_as_it_stands(shared: Server) -> None:
    answer = answered(shared, " one two", best_of=1, suffix="", user="u", stop="x", temperature=0)
    assert (answer.object, answer.model, answer.system_fingerprint) == (
        "text_completion",
        BASE.name,
        BASE.fingerprint,
    )
    assert answer.id.startswith("cmpl-")
    choice = answer.choices[0]
    assert (choice.text, choice.finish_reason, choice.logprobs) == ("one two", "stop", None)
    request = shared.engine.requests[-1]
    assert (request.prompt, request.max_tokens, request.stop) == (" one two", 16, ("x",))


def test_without_a_prompt_a_new_text_is_begun(shared: Server) -> None:
    answered(shared, None)
    assert shared.engine.requests[-1].prompt == ""


def test_the_answers_to_several_prompts_are_numbered_prompt_by_prompt(shared: Server) -> None:
    answer = answered(shared, ["a b", "c"], n=2, seed=3)
    assert [(choice.index, choice.text) for choice in answer.choices] == [
        (0, "a b"),
        (1, "a b"),
        (2, "c"),
        (3, "c"),
    ]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 6)
    seeds = [request.seed for request in shared.engine.requests[-4:]]
    # The first answer to each is the one it would get alone.
    assert seeds[0] == seeds[2] == 3
    assert seeds[1] == seeds[3] != 3


def test_the_prompt_is_repeated_on_demand(shared: Server) -> None:
    assert answered(shared, "one ", echo=True).choices[0].text == "one one"


def test_what_does_not_fit_the_context_is_refused(shared: Server) -> None:
    status, answer = ask(shared, " ".join(["word"] * 40), max_tokens=11)
    error = envelope(answer)
    assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", "prompt")
    assert "you requested 51 tokens (40 in the prompt, 11 in the completion)" in error["message"]


def test_log_probabilities_come_in_the_older_shape(shared: Server) -> None:
    logprobs = answered(shared, "one 你 x", logprobs=1).choices[0].logprobs
    assert logprobs.tokens == ["one", " 你", " x"]
    assert logprobs.token_logprobs == [0.0, -0.5, -1.0]
    # Offsets are those in the prompt and its answer together, in characters.
    assert logprobs.text_offset == [7, 10, 12]
    assert logprobs.top_logprobs[1] == {" 你0": -9999.0, " 你": -0.5}


@pytest.mark.parametrize("stream", [False, True])
def test_half_a_character_is_written_as_its_bytes_and_stands_where_the_character_does(
    tmp_path: Path, stream: bool
) -> None:
    with running_server(tmp_path, engine=EchoEngine(bytewise=True)) as server:
        if stream:
            asked = {"model": BASE.name, "prompt": "a你b", "logprobs": 0, "stream": True}
            choices = [event["choices"][0] for event in events_of(server, COMPLETIONS, asked)]
            parts = [choice["logprobs"] for choice in choices if choice["logprobs"]]
            tokens, offsets = ([part[key][0] for part in parts] for key in ("tokens", "text_offset"))
            assert "".join(choice["text"] for choice in choices) == "a你b"
        else:
            logprobs = answered(server, "a你b", logprobs=0).choices[0].logprobs
            tokens, offsets = logprobs.tokens, logprobs.text_offset
    assert tokens == ["a", "bytes:\\xe4", "bytes:\\xbd", "bytes:\\xa0", "b"]
    assert offsets == [3, 4, 4, 4, 5]


@pytest.mark.parametrize("n", [1, 2])
def test_a_stream_is_made_of_completions(shared: Server, n: int) -> None:
    body = {"model": BASE.name, "prompt": ["a b", "c"], "n": n, "stream": True, "echo": True}
    events = events_of(shared, COMPLETIONS, body | {"stream_options": {"include_usage": True}})
    ends = [choice for event in events for choice in event["choices"] if choice["finish_reason"]]
    assert [choice["index"] for choice in ends] == list(range(2 * n))
    for event in events:
        # The client's type does not know that a choice has no reason to end before it ends.
        for choice in event["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or "stop"
    chunks = [strictly(Completion, event) for event in events]
    texts = {
        number: "".join(choice.text for chunk in chunks for choice in chunk.choices if choice.index == number)
        for number in range(2 * n)
    }
    assert list(texts.values()) == ["a ba b"] * n + ["cc"] * n
    assert {event["usage"] for event in events[:-1]} == {None}
    assert (events[-1]["choices"], events[-1]["usage"]["completion_tokens"]) == ([], 3 * n)
    assert len({event["id"] for event in events}) == 1
