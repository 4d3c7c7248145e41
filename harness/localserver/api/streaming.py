"""Answers sent while they are written: server-sent events as OpenAI sends them."""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol, TypeAlias

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from harness.localserver.api.failures import failure_of
from harness.localserver.api.inference import Asked
from harness.localserver.api.wire import JsonObject
from harness.localserver.generation.requests import GenerationResult, Piece

_log = logging.getLogger(__name__)

_DONE = b"data: [DONE]\n\n"

_News: TypeAlias = "tuple[int, Piece | Future[GenerationResult]]"


class Growth:
    """What answers have grown by: put in by the engine's threads, taken out in the event loop that made it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: deque[_News] = deque()
        self._arrived = asyncio.Event()

    def add(self, number: int, news: "Piece | Future[GenerationResult]") -> None:
        """Take note that an answer has grown, or has ended; from any thread."""
        self._news.append((number, news))
        self._loop.call_soon_threadsafe(self._arrived.set)

    async def take(self) -> list[_News]:
        """Everything new, in order; waits until there is something."""
        await self._arrived.wait()
        self._arrived.clear()
        return [self._news.popleft() for _ in range(len(self._news))]


class Chunks(Protocol):
    """How the events of a kind of completion look."""

    def opening(self, number: int) -> "JsonObject | None":
        """What comes before the text of an answer."""

    def growing(self, number: int, piece: Piece) -> JsonObject:
        """What an answer has grown by."""

    def closing(self, number: int, result: GenerationResult) -> JsonObject:
        """The end of an answer."""

    def usage(self, results: Sequence[GenerationResult]) -> "JsonObject | None":
        """The tokens of all answers, None when they were not asked for."""


class EventStream(StreamingResponse):
    """The answers of one request as events; a client that goes away ends their generation."""

    def __init__(self, asked: Asked, growth: Growth, *, chunks: Chunks) -> None:
        super().__init__(
            _events(asked, growth, chunks=chunks),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache"},
        )
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until the last one, or until nobody listens."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._asked.close()


async def _events(asked: Asked, growth: Growth, *, chunks: Chunks) -> AsyncIterator[bytes]:
    for number, future in enumerate(asked.futures):
        future.add_done_callback(partial(growth.add, number))
    openings = [chunks.opening(number) for number in range(len(asked.futures))]
    yield b"".join(_event(chunk) for chunk in openings if chunk)
    results: dict[int, GenerationResult] = {}
    try:
        while len(results) < len(asked.futures):
            sent: list[bytes] = []
            for number, news in await growth.take():
                if isinstance(news, Piece):
                    sent.append(_event(chunks.growing(number, news)))
                else:
                    results[number] = news.result()
                    sent.append(_event(chunks.closing(number, results[number])))
            if sent:
                yield b"".join(sent)
    except Exception as error:  # noqa: BLE001 - the edge of a request whose status was sent long ago
        _log.exception("a streamed answer broke off")
        yield _event(failure_of(error).envelope())
        return
    usage = chunks.usage([results[number] for number in range(len(results))])
    yield (_event(usage) if usage else b"") + _DONE


def _event(value: JsonObject) -> bytes:
    # In ASCII: clients exist that take U+2028 for the end of a line.
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
