"""The way to the models of a run: so many requests at once, none after one that every other would meet too."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from typing import TypeVar, cast

from harness.evals.breadth import AT_ONCE, Breadth
from harness.evals.cells import Cell
from harness.evals.suites import messages_for
from harness.protocols import Embedder, Model
from harness.records import Completion, Embedding, Failure, Message, Role, Sampling

# An endpoint that fails this often in a row, without one answer in between, is down for good:
# every request has been through its own retries already.
FAILURES_IN_A_ROW = 8
# Kinds that say something about the endpoint, not about one request.
ENDPOINT_KINDS = ("rate_limit", "connection", "timeout", "server")

_T = TypeVar("_T")
_Outcome = TypeVar("_Outcome", bound=Completion | Embedding)


class Watch:
    """Sees every outcome; `halted` says why nothing more should be asked, if so."""

    def __init__(self) -> None:
        self._in_a_row: dict[Role, int] = {}
        self.halted: Failure | None = None

    def halt(self, why: Failure) -> None:
        """Ask nothing more; the first reason stands."""
        self.halted = self.halted or why

    def see(self, role: Role, outcome: Completion | Embedding | Failure) -> None:
        """Halt on a failure that every other request would meet too."""
        if not isinstance(outcome, Failure):
            self._in_a_row[role] = 0
            return
        if outcome.kind in ENDPOINT_KINDS:
            self._in_a_row[role] = self._in_a_row.get(role, 0) + 1
        if outcome.fatal or self._in_a_row.get(role, 0) >= FAILURES_IN_A_ROW:
            self.halt(outcome)


class Requests:
    """The models of a run, for one event loop.

    Args:
        models: By role; a "judge" among them judges and is not asked the cases.
        embedder: What gives vectors.
        concurrency: Requests under way at once, those to the judge included.
        most: As many are tried where more at once bring more answers; None tries no more.
        watch: What decides that nothing more is asked; without one everything is.
    """

    def __init__(
        self,
        models: Mapping[Role, Model],
        *,
        embedder: Embedder | None = None,
        concurrency: int = AT_ONCE,
        most: int | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.models = models
        self.embedder = embedder
        self._watch = watch
        self._limit = Breadth(concurrency, most=most)
        self._begun: dict[Hashable, asyncio.Task[object]] = {}
        self._kept: dict[Hashable, object] = {}

    async def answer(self, cell: Cell) -> Completion | Failure:
        """The answer to a cell."""
        messages = messages_for(cell.suite, cell.case, cell.role)
        return await self.complete(cell.role, messages, cell.suite.sampling, trial=cell.trial)

    async def complete(
        self, role: Role, messages: Sequence[Message], sampling: Sampling, *, trial: int
    ) -> Completion | Failure:
        """What the model of a role answers; `not_asked` after the run was halted."""
        model = self.models[role]
        return await self._put(role, lambda: model.complete(messages, sampling, trial=trial))

    async def embed(self, text: str) -> Embedding | Failure:
        """The vector of a text."""
        embedder = self.embedder
        assert embedder is not None, "asked for vectors without an embedding model"
        return await self._put("embedding", lambda: embedder.embed(text))

    def keep(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What `make` gives, made once and kept as long as the run: what thousands of answers have in common."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast("_T", self._kept[key])

    async def once(self, key: Hashable, make: Callable[[], Coroutine[object, object, _T]]) -> _T:
        """What `make` gives, made once for everybody who wants it under this key."""
        if key not in self._begun:
            self._begun[key] = asyncio.create_task(cast("Coroutine[object, object, object]", make()))
        # Whoever stops waiting must not take it from the others.
        return cast("_T", await asyncio.shield(self._begun[key]))

    def close(self) -> None:
        """Stop what nobody waits for any more."""
        for task in self._begun.values():
            task.cancel()

    async def _put(self, role: Role, ask: Callable[[], Awaitable[_Outcome | Failure]]) -> _Outcome | Failure:
        async with self._limit:
            if self._watch is not None and self._watch.halted is not None:
                return Failure(kind="not_asked", message=self._watch.halted.message)
            outcome = await ask()
        if not isinstance(outcome, Failure) and not outcome.cached:
            self._limit.answered(now=time.monotonic())
        if self._watch is not None:
            self._watch.see(role, outcome)
        return outcome
