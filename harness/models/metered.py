"""Money that a run may spend, held while requests are under way: each is set aside at its worst before it is sent."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from harness.dataset import cost_usd
from harness.protocols import Embedder, Model
from harness.records import Completion, Embedding, Failure, FailureKind, Json, Message, Sampling, Usage
from harness.serial import canonical

SPENT_UP = "the budget of "
"""How the message of a run begins that stopped at its budget."""
LONGEST_ANSWER_TOKENS = 131_072
"""What an answer without a `max_tokens` may take: the longest output that a chat model of OpenAI offers."""
TEMPLATE_TOKENS = 64
"""What a chat template may add of its own: a system prompt by default, today's date."""
PICTURE_TOKENS = 50_000
"""What a picture may take: a little more than gpt-4o-mini counts for the largest, 2,833 and 5,667 for each of 8 tiles."""
_PICTURES = frozenset({"image_url", "input_image", "image"})
# Nothing was generated, so nothing is billed; of the other kinds, a provider may charge for an answer that never came.
_FREE: frozenset[FailureKind] = frozenset(
    {"auth", "model_not_found", "quota", "rate_limit", "server", "bad_request", "not_asked"}
)


class Purse:
    """What may still be spent, in USD. For one event loop at a time.

    A request enters with the most it may cost and waits while others that are under way might leave it enough. When it
    would not fit even alone, the purse is closed, and nobody is let in any more.

    Attributes:
        budget_usd: What may be spent in all.
        spent_usd: What was.
    """

    def __init__(self, budget_usd: float) -> None:
        self.budget_usd = budget_usd
        self.spent_usd = 0.0
        self._set_aside = 0.0
        self._under_way = 0
        self._closed: Failure | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, most_usd: float) -> Failure | None:
        """Set the money aside; a fatal Failure where there is too little, and nothing may be sent."""
        while self._closed is None and self.spent_usd + self._set_aside + most_usd > self.budget_usd:
            if not self._under_way:
                self._closed = self._refusal(most_usd)
                self._wake()
                break
            await self._change()
        if self._closed is not None:
            return self._closed
        self._set_aside += most_usd
        self._under_way += 1
        return None

    def leave(self, most_usd: float, *, paid_usd: float) -> None:
        """Give back what was set aside, but for what the request really cost."""
        self._under_way -= 1
        # Sums of many floats leave a remainder, which no request should wait for.
        self._set_aside = self._set_aside - most_usd if self._under_way else 0.0
        self.spent_usd += paid_usd
        self._wake()

    def _refusal(self, most_usd: float) -> Failure:
        return Failure(
            kind="not_asked",
            message=(
                f"{SPENT_UP}{self.budget_usd:g} USD is reached: {self.spent_usd:.4g} USD are spent, and the next request may "
                f"cost up to {most_usd:.4g} USD (raise --budget-usd, or lower max_tokens in the suites)"
            ),
            fatal=True,
        )

    async def _change(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        await place

    def _wake(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)


class MeteredModel:
    """A model that is asked while there is money for it, at `price` USD per 1M tokens."""

    def __init__(self, model: Model, purse: Purse, *, price: Mapping[str, float]) -> None:
        self._model = model
        self._purse = purse
        self._price = price

    @property
    def name(self) -> str:
        """The model id."""
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        """The model's answer; a fatal `not_asked` Failure where it might cost more than is left."""
        most = Usage(
            prompt_tokens=most_prompt_tokens(messages, sampling),
            completion_tokens=sampling.max_tokens or LONGEST_ANSWER_TOKENS,
        )
        most_usd = _cost(most, self._price)
        if (refusal := await self._purse.enter(most_usd)) is not None:
            return refusal
        paid_usd = most_usd  # where the asking is broken off, nobody knows better
        try:
            answer = await self._model.complete(messages, sampling, trial=trial)
            usage = answer.usage if isinstance(answer, Completion) else None
            paid_usd = _paid(answer, usage, most_usd=most_usd, price=self._price)
        finally:
            self._purse.leave(most_usd, paid_usd=paid_usd)
        return answer


class MeteredEmbedder:
    """An embedding model that is asked while there is money for it, at `price` USD per 1M tokens."""

    def __init__(self, embedder: Embedder, purse: Purse, *, price: Mapping[str, float]) -> None:
        self._embedder = embedder
        self._purse = purse
        self._price = price

    @property
    def name(self) -> str:
        """The model id."""
        return self._embedder.name

    async def embed(self, text: str) -> Embedding | Failure:
        """The text's vector; a fatal `not_asked` Failure where it might cost more than is left."""
        most_usd = _cost(
            Usage(prompt_tokens=len(text.encode("utf-8", "replace")) + TEMPLATE_TOKENS, completion_tokens=0),
            self._price,
        )
        if (refusal := await self._purse.enter(most_usd)) is not None:
            return refusal
        paid_usd = most_usd
        try:
            vector = await self._embedder.embed(text)
            usage = None
            if isinstance(vector, Embedding):
                usage = Usage(prompt_tokens=vector.prompt_tokens, completion_tokens=0)
            paid_usd = _paid(vector, usage, most_usd=most_usd, price=self._price)
        finally:
            self._purse.leave(most_usd, paid_usd=paid_usd)
        return vector


def most_prompt_tokens(messages: Sequence[Message], sampling: Sampling) -> int:
    """What the tokens of a prompt cannot exceed: a token is at least one byte. Nothing has to be loaded for it."""
    sent: list[Json] = [dict(message) for message in messages]
    sent += [dict(tool) for tool in sampling.tools]
    if sampling.response_format is not None:
        sent.append(dict(sampling.response_format))
    text = sum(len(canonical(one).encode("utf-8", "replace")) for one in sent)
    return text + TEMPLATE_TOKENS + PICTURE_TOKENS * sum(map(_pictures, messages))


def _pictures(message: Message) -> int:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return sum(isinstance(part, Mapping) and part.get("type") in _PICTURES for part in parts)


def _cost(usage: Usage, price: Mapping[str, float]) -> float:
    # An answer of a model without a price for answers is one without any: a vector.
    known = cost_usd(usage, {"output": 0.0, **price})
    assert known is not None, "only models of known price are metered"
    return known


def _paid(
    outcome: Completion | Embedding | Failure,
    usage: Usage | None,
    *,
    most_usd: float,
    price: Mapping[str, float],
) -> float:
    """What a request cost; at its worst where nobody says, and nothing where it was refused."""
    if isinstance(outcome, Failure):
        return 0.0 if outcome.kind in _FREE else most_usd
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return most_usd
    return _cost(usage, price)
