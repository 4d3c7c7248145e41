"""How many requests an endpoint is asked at once: fewer after it says "too many", more again while it answers."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

GAIN = 1.0
"""Requests under way that an answer adds to the limit."""
LOSS = 2.0
"""Requests under way that a refusal takes from it: the limit holds still where one request in three is refused."""
MEMORY = 0.1
"""Weight of the newest request in the share of refused ones: about the last ten count."""
CLOSED = 0.5
"""From this share on a time that a refusal names is for everybody, not for the refused request alone."""


class Pace:
    """A limit on the requests under way at one endpoint, moved by its own answers. For one event loop.

    There is none until the first refusal, which sets it at what was under way then. A refusal takes twice what an
    answer gives: an endpoint that refuses at random, up to one request in three, is asked as fast as before; one that refuses because it is
    asked too fast is asked at about the rate it allows. Where it refuses most and names a time, nothing is sent before that.
    """

    def __init__(self) -> None:
        self._limit = float("inf")
        self._under_way = 0
        self._most = 0
        self._refused = 0.0
        self._resume_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> float:
        """How many requests may be under way now; infinite while none was refused."""
        return self._limit

    async def enter(self) -> None:
        """Wait for a place among the requests under way, and for the end of a rest the endpoint asked for."""
        loop = asyncio.get_running_loop()
        while True:
            if (rest := self._resume_at - loop.time()) > 0:
                await asyncio.sleep(rest)
            elif self._under_way >= max(1, int(min(self._limit, self._under_way + 1))):
                await self._place()
            else:
                break
        self._under_way += 1
        self._most = max(self._most, self._under_way)

    def leave(self) -> None:
        """Give the place back."""
        self._under_way -= 1
        self._wake()

    def answered(self) -> None:
        """The endpoint answered: one more may be under way, up to the most that ever were."""
        self._refused *= 1 - MEMORY
        if self._limit < self._most:
            self._limit = min(self._most, self._limit + GAIN)
            self._wake()

    def refused(self, *, rest_s: float | None = None) -> None:
        """The endpoint said that it is asked too much; `rest_s` is after how long it wants to be asked again."""
        self._refused += MEMORY * (1 - self._refused)
        self._limit = max(1.0, min(self._limit, self._under_way) - LOSS)
        if rest_s is not None and self._refused >= CLOSED:
            self._resume_at = max(self._resume_at, asyncio.get_running_loop().time() + rest_s)

    async def _place(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            self._wake()  # whoever was woken in vain passes it on
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(place)

    def _wake(self) -> None:
        free = int(min(self._limit, self._most)) - self._under_way
        for place in self._first_waiting(max(0, free)):
            place.set_result(None)

    def _first_waiting(self, count: int) -> Iterator[asyncio.Future[None]]:
        waiting = [place for place in self._waiting if not place.done()]
        yield from waiting[:count]
