"""Models for tests: one that says what it is told to, and the checks every model must pass."""

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence

from harness.protocols import Model
from harness.records import Completion, Failure, Message, Sampling
from harness.serial import shown
from harness.testing.requirement import require

_PROMPTS = (
    "hello",
    "你好 👩‍👩‍👧 \u202eabc",
    "NUL \x00 and half a character \ud83d",
    "word " * 2000,
)


class ScriptedModel:
    """A model whose answers are written down; it remembers what it was asked.

    Args:
        name: The model id.
        answers: The answer to each last message by its content, or a function of all messages. A prompt
            that is not written down gets a Failure that says so.
        latency_s: How long each answer takes, in seconds.
    """

    def __init__(
        self,
        name: str,
        answers: Mapping[str, str] | Callable[[Sequence[Message]], str | Failure],
        *,
        latency_s: float = 0.0,
    ) -> None:
        self.name = name
        self.asked: list[tuple[Message, ...]] = []
        self._answers = answers
        self._latency_s = latency_s

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.asked)

    async def complete(
        self,
        messages: Sequence[Message],
        sampling: Sampling,  # noqa: ARG002 - a script is not drawn
        *,
        trial: int = 0,  # noqa: ARG002
    ) -> Completion | Failure:
        """The written answer."""
        self.asked.append(tuple(messages))
        await asyncio.sleep(self._latency_s)
        answer = self._answer(messages)
        if isinstance(answer, Failure):
            return answer
        return Completion(text=answer, finish_reason="stop", model=self.name, latency_s=self._latency_s)

    def _answer(self, messages: Sequence[Message]) -> str | Failure:
        if not isinstance(self._answers, Mapping):
            return self._answers(messages)
        prompt = str(messages[-1].get("content")) if messages else ""
        answer = self._answers.get(prompt)
        if answer is None:
            return Failure(kind="bad_request", message=f"nothing is written down for {shown(prompt)}")
        return answer


def check_model(model: Model) -> None:
    """Check that a class keeps the contract of a Model, by asking it five times.

    It has a name; it answers with a Completion or a Failure and never raises, whatever the prompt; it
    leaves the messages as they are; it can be asked several things at once. Not for use inside a
    running event loop.

    Raises:
        AssertionError: What it broke, in a sentence.
    """
    what = f"{type(model).__name__} is no Model: it needs `name` and `async complete`"
    require(isinstance(model, Model), what)
    name: object = model.name
    require(isinstance(name, str) and name != "", f"the name must be a text that is not empty, got {name!r}")
    asyncio.run(_ask_everything(model))


async def _ask_everything(model: Model) -> None:
    await _ask(model, _PROMPTS[0], trial=1)
    await asyncio.gather(*(_ask(model, prompt) for prompt in _PROMPTS))


async def _ask(model: Model, prompt: str, *, trial: int = 0) -> None:
    messages: list[Message] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": prompt},
    ]
    before = copy.deepcopy(messages)
    try:
        outcome = await model.complete(messages, Sampling(max_tokens=8), trial=trial)
    except Exception as error:
        raise AssertionError(
            f"complete raised {type(error).__name__} for {shown(prompt)}: give back a Failure instead"
        ) from error
    require(messages == before, f"complete changed the messages it was given for {shown(prompt)}")
    _check_outcome(outcome, prompt)


def _check_outcome(outcome: object, prompt: str) -> None:
    what = f"complete must give a Completion or a Failure, gave {shown(outcome)}"
    require(isinstance(outcome, (Completion, Failure)), what)
    if isinstance(outcome, Failure):
        require(bool(outcome.message), f"the Failure for {shown(prompt)} has no message")
    if isinstance(outcome, Completion):
        text: object = outcome.text
        require(isinstance(text, str), f"the text must be a str, got {shown(text)}")
        took_s = outcome.latency_s
        require(took_s is None or took_s >= 0, f"the latency is negative: {took_s} s")
