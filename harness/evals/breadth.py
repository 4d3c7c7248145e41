"""How many requests are under way at once: more while the endpoint answers faster for it.

Why it is found out: docs/decisions/2026-11-23-as-many-at-once-as-pay.md.
"""

import asyncio
from collections import deque
from types import TracebackType

AT_ONCE = 32
"""Requests under way at once, to begin with, where nobody says how many."""
MOST_AT_ONCE = 4 * AT_ONCE
"""With so many, at a twentieth of a second each, the work here takes longer than the waiting."""
WORTH = 1.25
"""Twice as many requests at once are kept where they bring this many times the answers a second."""
SETTLING = 1
"""Answers for each request under way that are not counted after a change: they began before it."""
MEASURED = 2
"""Answers for each request under way that are counted then."""


class Breadth:
    """A limit on the requests under way, doubled while that pays, up to `most`. For one event loop.

    Only answers that the endpoint was asked for are told to `answered`. Refusals are the transport's to slow down for; they
    bring fewer answers a second, so the limit goes back.
    """

    def __init__(self, start: int, *, most: int | None = None) -> None:
        self.limit = max(1, start)
        self._most = most or self.limit
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._rate = 0.0  # answers a second with half as many at once
        self._answers = 0
        self._since = 0.0

    async def __aenter__(self) -> None:
        while self._under_way >= self.limit:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                self._wake()  # whoever was woken in vain passes it on
                raise
        self._under_way += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._under_way -= 1
        self._wake()

    def answered(self, *, now: float) -> None:
        """An answer came, at `now` seconds of a steady clock."""
        if self.limit >= self._most and not self._rate:
            return  # nothing to find out
        self._answers += 1
        if self._answers == SETTLING * self.limit:
            self._since = now
        elif self._answers == (SETTLING + MEASURED) * self.limit:
            self._judge(MEASURED * self.limit / max(now - self._since, 1e-9))

    def _judge(self, rate: float) -> None:
        if rate < WORTH * self._rate:
            self.limit //= 2
            self._most, self._rate = self.limit, 0.0
        elif 2 * self.limit > self._most:
            self._most, self._rate = self.limit, 0.0
        else:
            self.limit, self._rate, self._answers = 2 * self.limit, rate, 0
            self._wake()

    def _wake(self) -> None:
        free = self.limit - self._under_way
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1
