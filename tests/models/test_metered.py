import asyncio
import random
from collections.abc import Callable, Sequence

import pytest

from harness.dataset import count_message_tokens
from harness.dataset.tools import tool_text
from harness.models.metered import (
    SPENT_UP,
    MeteredEmbedder,
    MeteredModel,
    Purse,
    most_prompt_tokens,
)
from harness.records import Completion, Embedding, Failure, FailureKind, Message, Sampling, Usage

PRICE = {"input": 1.0, "cached": 0.5, "output": 10.0}
SAMPLING = Sampling(max_tokens=100)


class Till:
    """A model that takes its time, answers as long as told, and adds up what its answers cost."""

    def __init__(self, answer: Callable[[], Completion | Failure]) -> None:
        self._answer = answer
        self.paid_usd = 0.0
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0

    @property
    def name(self) -> str:
        return "m"

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(3):
            await asyncio.sleep(0)
        self.at_once -= 1
        answer = self._answer()
        if isinstance(answer, Completion) and answer.usage.completion_tokens is not None:
            prompt = answer.usage.prompt_tokens or 0
            self.paid_usd += (prompt + 10 * answer.usage.completion_tokens) / 1e6
        return answer


def answer(tokens: int | None, *, prompt: int | None = 20) -> Completion:
    return Completion(text="x", usage=Usage(prompt_tokens=prompt, completion_tokens=tokens))


def ask_many(purse: Purse, till: Till, *, requests: int, at_once: int = 32) -> list[Completion | Failure]:
    model, limit = MeteredModel(till, purse, price=PRICE), asyncio.Semaphore(at_once)

    async def one(number: int) -> Completion | Failure:
        async with limit:
            return await model.complete([{"role": "user", "content": f"question {number}"}], SAMPLING)

    async def run() -> list[Completion | Failure]:
        return list(await asyncio.gather(*(one(number) for number in range(requests))))

    return asyncio.run(run())


@pytest.mark.parametrize("budget", [0.0, 0.0005, 0.004, 0.02, 0.1, 1.0])
def test_thirty_two_at_once_never_spend_more_than_there_is(budget: float) -> None:
    drawn = random.Random(0)
    till, purse = Till(lambda: answer(drawn.randint(0, 100))), Purse(budget)
    outcomes = ask_many(purse, till, requests=300)
    assert till.paid_usd <= budget
    assert purse.spent_usd == pytest.approx(till.paid_usd)
    answered = sum(isinstance(outcome, Completion) for outcome in outcomes)
    assert answered == till.asked
    # What is left would not pay for one more at its worst: 100 answer tokens, and under 200 bytes of prompt.
    assert answered == 300 or budget - till.paid_usd < (100 * 10 + 200) / 1e6


def test_requests_wait_for_what_others_leave() -> None:
    """Each may cost 1,200 millionths and costs 30: by their worst cases five fit, by what they cost a hundred."""
    till, purse = Till(lambda: answer(1)), Purse(0.006)
    outcomes = ask_many(purse, till, requests=100)
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    assert 2 <= till.most_at_once <= 5


def test_an_empty_purse_says_so_stops_the_run_and_sends_nothing_more() -> None:
    till, purse = Till(lambda: answer(100)), Purse(0.003)
    outcomes = ask_many(purse, till, requests=50)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert till.asked == 50 - len(refused) == 2
    assert {(one.kind, one.fatal) for one in refused} == {("not_asked", True)}
    (message,) = {one.message for one in refused}
    assert message.startswith(f"{SPENT_UP}0.003 USD is reached: 0.00204 USD are spent")
    assert "raise --budget-usd" in message


@pytest.mark.parametrize(
    ("kind", "is_counted"),
    [("auth", False), ("rate_limit", False), ("server", False), ("timeout", True), ("malformed", True)],
)
def test_failures_are_counted_where_the_provider_may_have_generated(
    kind: FailureKind, is_counted: bool
) -> None:
    purse = Purse(1.0)
    ask_many(purse, Till(lambda: Failure(kind=kind, message="no")), requests=1)
    assert (purse.spent_usd > 0.001) is is_counted


def test_an_answer_without_usage_is_counted_at_its_worst() -> None:
    purse = Purse(1.0)
    ask_many(purse, Till(lambda: answer(None, prompt=None)), requests=1)
    assert purse.spent_usd > 100 * 10 / 1e6


def test_tokens_from_the_providers_cache_cost_what_they_cost_there() -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=60)
    purse = Purse(1.0)
    ask_many(purse, Till(lambda: Completion(text="x", usage=usage)), requests=1)
    assert purse.spent_usd == pytest.approx((40 + 30 + 100) / 1e6)


def test_a_cancelled_request_leaves_no_money_set_aside() -> None:
    purse = Purse(0.0015)  # one request at its worst

    async def run() -> Completion | Failure:
        model = MeteredModel(Till(lambda: answer(1)), purse, price=PRICE)
        first = asyncio.create_task(model.complete([{"role": "user", "content": "?"}], SAMPLING))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        return await model.complete([{"role": "user", "content": "?"}], SAMPLING)

    outcome = asyncio.run(run())
    assert isinstance(outcome, Failure), "what was broken off may have been billed"
    assert purse.spent_usd > 0.001


def test_vectors_are_paid_for_too() -> None:
    class Vectors:
        name = "v"

        async def embed(self, text: str) -> Embedding:
            return Embedding(vector=(1.0,), prompt_tokens=len(text.split()))

    purse = Purse(0.0001)

    async def run() -> list[Embedding | Failure]:
        embedder = MeteredEmbedder(Vectors(), purse, price={"input": 1.0})
        return [await embedder.embed("two words"), await embedder.embed("x" * 50)]

    first, second = asyncio.run(run())
    assert isinstance(first, Embedding)
    assert purse.spent_usd == pytest.approx(2e-6)
    assert isinstance(second, Failure)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "a" * 500,
        "请用一两句话直接回答。" * 20,
        "🙂👍🏽" * 30,
        "\x00\x01\x02" * 40,
        "\n \t" * 100,
        "<|endoftext|>" * 9,
    ],
)
def test_the_bound_holds_for_any_text(text: str) -> None:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    assert most_prompt_tokens(messages, Sampling()) >= count_message_tokens(messages, model="gpt-4.1")


def test_tools_schemas_and_pictures_are_in_the_bound() -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "book",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    messages = [{"role": "user", "content": "go"}]
    bare = most_prompt_tokens(messages, Sampling())
    tools = most_prompt_tokens(messages, Sampling(tools=(tool,)))
    shown = [{"role": "system", "content": tool_text({"tools": [tool]})}]
    assert tools - bare >= count_message_tokens(shown, model="gpt-4.1")
    assert most_prompt_tokens(messages, Sampling(response_format={"type": "json_object"})) > bare
    part = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    assert most_prompt_tokens([{"role": "user", "content": [part]}], Sampling()) > 50_000
