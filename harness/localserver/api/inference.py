"""The way from a chat request to the engine: loaded on first use, never blocking the event loop."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.localserver.api.wire import ApiError
from harness.localserver.generation.requests import Engine, GenerationRequest, GenerationResult

# No token is longer (SmolLM2's longest has 81 bytes), so a text beyond this times the context cannot fit it. To
# count its tokens all the same would keep every other request waiting for seconds.
MAX_TOKEN_BYTES = 128

_SHORTEN = "Please reduce the length of the messages"


@dataclass(frozen=True, kw_only=True)
class ChatCall:
    """A chat completion as it was asked for; `max_tokens` is None when the caller sets no limit."""

    model: str
    messages: tuple[Mapping[str, str], ...]
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Inference:
    """Holds the engine. One thread loads it and counts tokens; waiting for answers takes no thread."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._load = load
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")

    async def complete(self, call: ChatCall, *, adapter: Path | None) -> GenerationResult:
        """The engine's answer.

        Raises:
            ApiError: The prompt, or the prompt and the tokens asked for, do not fit the context.
        """
        loop = asyncio.get_running_loop()
        submitted = await loop.run_in_executor(self._thread, self._submit, call, adapter)
        return await asyncio.wrap_future(submitted)

    def close(self) -> None:
        """Let the engine go."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._engine:
            self._engine.close()

    def _submit(self, call: ChatCall, adapter: Path | None) -> "Future[GenerationResult]":
        if self._engine is None:
            self._engine = self._load()
        context = self._engine.context_length
        size = sum(len(message["content"].encode()) for message in call.messages)
        if len(call.messages) > context or size > context * MAX_TOKEN_BYTES:
            raise _too_long(context, f"your messages have {size} bytes. {_SHORTEN}.")
        prompt_tokens = self._engine.count_prompt_tokens(call.messages)
        room = context - prompt_tokens
        if room < 1:
            raise _too_long(context, f"your messages resulted in {prompt_tokens} tokens. {_SHORTEN}.")
        if call.max_tokens and call.max_tokens > room:
            raise _too_long(
                context,
                f"you requested {prompt_tokens + call.max_tokens} tokens ({prompt_tokens} in the messages, "
                f"{call.max_tokens} in the completion). {_SHORTEN} or completion.",
            )
        return self._engine.submit(
            GenerationRequest(
                adapter=adapter,
                prompt=call.messages,
                max_tokens=call.max_tokens or room,
                temperature=call.temperature,
                top_p=call.top_p,
                seed=call.seed,
                stop=call.stop,
            )
        )


def _too_long(limit: int, asked: str) -> ApiError:
    return ApiError(
        f"This model's maximum context length is {limit} tokens. However, {asked}",
        param="messages",
        code="context_length_exceeded",
    )
