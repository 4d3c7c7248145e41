"""The way from a request to the engine: loaded on first use, never blocking the event loop."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from harness.errors import UsageError
from harness.localserver.api.wire import ApiError
from harness.localserver.generation.requests import (
    Conversation,
    Engine,
    GenerationRequest,
    GenerationResult,
    Piece,
)

# No token is longer (SmolLM2's longest has 81 bytes), so a text beyond this times the context cannot fit it. To
# count its tokens all the same would keep every other request waiting for seconds.
MAX_TOKEN_BYTES = 128
# The most tokens one request may have written for it. The embedded model writes some 400 a second on two processors:
# this keeps them busy for ten minutes, the time after which OpenAI's client gives up by itself.
MAX_TOKENS_AT_ONCE = 2**18

OnPiece: TypeAlias = Callable[[int, Piece], None]
"""Called with the number of the answer and what it has grown by."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen, as it was asked for; OpenAI's defaults."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one request asks a model.

    Attributes:
        prompts: A conversation, or texts to be continued.
        answers: How many to each prompt.
        max_tokens: Of each answer; None when the caller sets no limit.
        sampling: How tokens are chosen.
        top_logprobs: Alternatives reported beside each token; None when no log-probabilities are asked for.
        schema: The JSON Schema the answers satisfy, as JSON text.
    """

    prompts: tuple[Conversation | str, ...]
    answers: int = 1
    max_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    top_logprobs: int | None = None
    schema: str | None = None


class Asked:
    """Answers on their way, prompt by prompt. Whoever asked closes it; what is not finished by then is abandoned."""

    def __init__(self, engine: Engine, open_: "set[Asked]") -> None:
        self.futures: list[Future[GenerationResult]] = []
        self._engine = engine
        self._open = open_

    async def results(self) -> list[GenerationResult]:
        """All answers; the first failure is raised."""
        return await asyncio.gather(*(asyncio.wrap_future(future) for future in self.futures))

    def close(self) -> None:
        """Have nothing written that nobody reads any more; doing it twice is doing it once."""
        self._open.discard(self)
        for future in self.futures:
            if future.cancelled() or not future.done():
                self._engine.abandon(future)


class Inference:
    """Holds the engine. One thread loads it and counts tokens; waiting for answers takes no thread.

    A schema may take seconds to be made ready: those who send one wait for each other, on a thread of their own.
    """

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._load = load
        self._loading = threading.Lock()
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._schema_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference-schemas")
        self._open: set[Asked] = set()

    @property
    def in_flight(self) -> int:
        """Answers that have been asked for and not closed."""
        return sum(len(asked.futures) for asked in self._open)

    async def submit(self, call: Call, *, adapter: Path | None, on_piece: OnPiece | None = None) -> Asked:
        """Ask the engine; `on_piece` is called on its threads, possibly before this returns.

        Raises:
            ApiError: A prompt, or a prompt and the tokens asked for, do not fit the context; too many tokens altogether;
                a schema the engine cannot follow.
        """
        thread = self._thread if call.schema is None else self._schema_thread
        submitting = thread.submit(self._submit, call, adapter=adapter, on_piece=on_piece)
        try:
            asked = await asyncio.wrap_future(submitting)
        except asyncio.CancelledError:
            submitting.add_done_callback(_close_unclaimed)
            raise
        self._open.add(asked)
        return asked

    async def answer(self, call: Call, *, adapter: Path | None) -> list[GenerationResult]:
        """The engine's answers to every prompt, prompt by prompt; errors as `submit`'s, or the engine's own."""
        with contextlib.closing(await self.submit(call, adapter=adapter)) as asked:
            return await asked.results()

    def close(self) -> None:
        """Let the engine go."""
        for thread in (self._thread, self._schema_thread):
            thread.shutdown(wait=True, cancel_futures=True)
        if self._engine:
            self._engine.close()

    def _submit(self, call: Call, *, adapter: Path | None, on_piece: OnPiece | None) -> Asked:
        with self._loading:
            engine = self._engine = self._engine or self._load()
        requests = _requests(call, engine, adapter=adapter)
        asked = Asked(engine, self._open)
        try:
            for number, request in enumerate(requests):
                piece = partial(on_piece, number) if on_piece else None
                asked.futures.append(engine.submit(request, on_piece=piece))
        except BaseException as error:
            asked.close()
            if isinstance(error, UsageError):
                raise _unusable(call, error) from None
            raise
        return asked


def _close_unclaimed(submitting: "Future[Asked]") -> None:
    if not submitting.cancelled() and submitting.exception() is None:
        submitting.result().close()


def _unusable(call: Call, error: UsageError) -> ApiError:
    """What only the engine could know: which tokens there are, and which schemas it can follow."""
    if call.schema is None or error.problem.startswith("logit_bias"):
        return ApiError(str(error), param="logit_bias" if call.sampling.logit_bias else None)
    return ApiError(f"Invalid schema for response_format: {error}", param="response_format")


def _requests(call: Call, engine: Engine, *, adapter: Path | None) -> list[GenerationRequest]:
    most = _most_tokens(call)
    limits = [
        (prompt, min(_limit(engine, prompt, max_tokens=call.max_tokens), most)) for prompt in call.prompts
    ]
    how = call.sampling
    return [
        GenerationRequest(
            adapter=adapter,
            prompt=prompt,
            max_tokens=max_tokens,
            temperature=how.temperature,
            top_p=how.top_p,
            seed=None if how.seed is None else answer_seed(how.seed, number),
            stop=how.stop,
            top_logprobs=call.top_logprobs,
            schema=call.schema,
            frequency_penalty=how.frequency_penalty,
            presence_penalty=how.presence_penalty,
            logit_bias=how.logit_bias,
        )
        for prompt, max_tokens in limits
        for number in range(call.answers)
    ]


def answer_seed(seed: int, number: int) -> int:
    """The seed of the `number`-th answer to a prompt. The first one's is the caller's own: it is the answer of `n=1`."""
    if number == 0:
        return seed
    return int.from_bytes(sha256(f"{seed} {number}".encode()).digest()[:7], "big")


def _most_tokens(call: Call) -> int:
    """What each answer may have at most, so that all of them together stay within what one request may have."""
    answers = len(call.prompts) * call.answers
    if call.max_tokens is not None and answers * call.max_tokens > MAX_TOKENS_AT_ONCE:
        raise ApiError(
            "You requested that the server return too many choices. (HINT: the product of all prompts, `n` and the "
            f"tokens of a choice must be at most {MAX_TOKENS_AT_ONCE}, but is {answers * call.max_tokens})",
            param="n",
        )
    return max(1, MAX_TOKENS_AT_ONCE // answers)


def _limit(engine: Engine, prompt: Conversation | str, *, max_tokens: int | None) -> int:
    """How long an answer to this prompt may become, in tokens.

    Raises:
        ApiError: The prompt does not fit the context, alone or with what is asked for.
    """
    context = engine.context_length
    param = "prompt" if isinstance(prompt, str) else "messages"
    texts = [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt]
    size = sum(len(text.encode()) for text in texts)
    if len(texts) > context or size > context * MAX_TOKEN_BYTES:
        raise _too_long(f"your {param} came to {size} bytes", limit=context, param=param)
    used = engine.count_prompt_tokens(prompt)
    room = context - used
    if room < 1:
        raise _too_long(f"your {param} resulted in {used} tokens", limit=context, param=param)
    if max_tokens is not None and max_tokens > room:
        asked = f"you requested {used + max_tokens} tokens ({used} in the {param}, {max_tokens} in the completion)"
        raise _too_long(asked, limit=context, param=param)
    return room if max_tokens is None else max_tokens


def _too_long(asked: str, *, limit: int, param: str) -> ApiError:
    shorten = f"Please reduce the length of the {param}" + (" or completion" if "completion" in asked else "")
    return ApiError(
        f"This model's maximum context length is {limit} tokens. However, {asked}. {shorten}.",
        param=param,
        code="context_length_exceeded",
    )
