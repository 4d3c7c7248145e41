"""A small suite and models for the tests of this room."""

import asyncio
from collections.abc import Callable, Sequence

from harness.records import Case, Completion, Failure, Message, Sampling, ScorerSpec, Suite


def suite(size: int = 3, *, trials: int = 1) -> Suite:
    return Suite(
        name="numbers",
        cases=tuple(
            Case(id=f"n{number}", messages=({"role": "user", "content": str(number)},), expected=str(number))
            for number in range(size)
        ),
        scorers=(ScorerSpec(type="exact_match", name="exact_match"),),
        trials=trials,
    )


class Echo:
    """A model that answers with the prompt, or as told; counts what it is asked and how much at once."""

    def __init__(
        self, name: str = "echo", answer: Callable[[str], Completion | Failure] | None = None
    ) -> None:
        self._name = name
        self._answer = answer
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0

    @property
    def name(self) -> str:
        return self._name

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        prompt = str(messages[-1]["content"])
        self.asked.append(prompt)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self._answer(prompt) if self._answer else Completion(text=prompt)
