import asyncio
from collections.abc import Sequence

import pytest

from harness.protocols import Model
from harness.records import Completion, Failure, Message, Sampling
from harness.testing import ScriptedModel, check_model

ASKED: tuple[Message, ...] = ({"role": "user", "content": "Capital of France?"},)


def test_scripted_model_says_what_is_written_and_remembers_what_was_asked() -> None:
    model = ScriptedModel("base", {"Capital of France?": "Paris"})
    outcome = asyncio.run(model.complete(ASKED, Sampling()))
    assert isinstance(outcome, Completion)
    assert (outcome.text, outcome.finish_reason, outcome.model) == ("Paris", "stop", "base")
    assert (model.calls, model.asked) == (1, [ASKED])


def test_unwritten_prompt_is_a_failure_that_names_it() -> None:
    outcome = asyncio.run(ScriptedModel("base", {}).complete(ASKED, Sampling()))
    assert isinstance(outcome, Failure)
    assert "'Capital of France?'" in outcome.message


def test_function_may_answer_or_fail() -> None:
    def answer(messages: Sequence[Message]) -> str | Failure:
        return f"{len(messages)} message" if messages else Failure(kind="timeout", message="too slow")

    model = ScriptedModel("base", answer)
    assert asyncio.run(model.complete((), Sampling())) == Failure(kind="timeout", message="too slow")
    outcome = asyncio.run(model.complete(ASKED, Sampling()))
    assert isinstance(outcome, Completion)
    assert outcome.text == "1 message"


def test_scripted_model_keeps_the_contract() -> None:
    model = ScriptedModel("base", lambda messages: "fine")
    check_model(model)
    assert model.calls == 5


class Fragile:
    """A model with one thing wrong."""

    def __init__(self, wrong: str, name: str = "fragile") -> None:
        self.name = name
        self._wrong = wrong

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        if self._wrong == "raises":
            raise ConnectionError("gone")
        if self._wrong == "changes" and isinstance(messages, list):
            messages.pop()
        if self._wrong == "silent":
            return Failure(kind="server", message="")
        if self._wrong == "early":
            return Completion(text="", latency_s=-1.0)
        if self._wrong == "text":
            return "fine"  # type: ignore[return-value]
        return Completion(text=None if self._wrong == "none" else "fine")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("raises", "complete raised ConnectionError for 'hello': give back a Failure"),
        ("changes", "changed the messages"),
        ("silent", "has no message"),
        ("early", "latency is negative"),
        ("text", "must give a Completion or a Failure, gave 'fine'"),
        ("none", "the text must be a str, got None"),
    ],
)
def test_broken_model_is_named(wrong: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_model(Fragile(wrong))


def test_model_without_a_name_is_refused() -> None:
    with pytest.raises(AssertionError, match="name must be a text"):
        check_model(Fragile("", name=""))
    with pytest.raises(AssertionError, match="is no Model"):
        check_model(object())  # type: ignore[arg-type]


def test_fragile_model_is_otherwise_sound() -> None:
    model: Model = Fragile("nothing")
    check_model(model)
