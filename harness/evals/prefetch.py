"""The event-loop thread that lets pytest's items wait for their own answers while all others are under way."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import AbstractAsyncContextManager

from harness.errors import HarnessError
from harness.evals.cells import Cell
from harness.evals.requests import Requests, Watch
from harness.evals.runner import ask
from harness.protocols import Embedder, Model
from harness.records import Completion, Failure, Result, Role

OpenModels = Callable[[], AbstractAsyncContextManager[Mapping[Role, Model]]]
"""Opens the models inside the loop that will use them, and closes them there."""
OpenEmbedder = Callable[[], AbstractAsyncContextManager[Embedder | None]]
"""The same for the embedding model, if the run has one."""

Key = tuple[str, str, Role, int]

GRACE_S = 10.0
"""How long a run that was halted waits for the requests under way: an answer takes seconds, and is paid for anyway."""


class Prefetcher:
    """Asks cells in the background, at most `concurrency` at once, or up to `most` where that pays; each one once.

    `request` puts cells in the queue, `wait` blocks for one Result. A fatal Failure, or an endpoint
    that has stopped answering, halts everything: cells not yet asked come back as `not_asked`, and
    `halted` says why.
    """

    def __init__(
        self,
        open_models: OpenModels,
        *,
        concurrency: int,
        most: int | None = None,
        open_embedder: OpenEmbedder | None = None,
    ) -> None:
        self._open_models = open_models
        self._open_embedder = open_embedder
        self._concurrency = max(1, concurrency)
        self._most = max(self._concurrency, most or 0)
        # Held where cells are added and where the loop ends: none may come in between and wait for ever.
        self._lock = threading.Lock()
        self._ended = False
        self._futures: dict[Key, Future[Result]] = {}
        self._queue: deque[Cell] = deque()
        self._watch = Watch()
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._closing = False
        self.asked = 0
        self._thread = threading.Thread(target=self._run, name="harness-prefetch", daemon=True)
        self._thread.start()

    def request(self, cells: Iterable[Cell]) -> None:
        """Queue cells that were not asked for yet; returns at once. After the end they are not asked."""
        with self._lock:
            new = [cell for cell in cells if cell.key not in self._futures]
            self._futures.update({cell.key: Future() for cell in new})
            if not self._ended:
                self._loop.call_soon_threadsafe(self._enqueue, new)
                return
        for cell in new:
            self._futures[cell.key].set_result(_not_asked(cell.key, self._reason))

    def wait(self, cell: Cell) -> Result:
        """The Result of a cell, asked for now if it was not before. Blocks; interruptible by Ctrl-C."""
        key = cell.key
        if key not in self._futures:
            self.request([cell])
        future = self._futures[key]
        while True:
            # A bounded wait, because an unbounded one cannot be interrupted on every platform.
            with contextlib.suppress(FutureTimeoutError):
                return future.result(timeout=1.0)
            if future.done():
                return future.result()

    def rows(self, cells: Iterable[Cell]) -> list[Result]:
        """The Results of cells, waited for as `wait` does; those that a model's bug keeps from being made are left out."""
        listed = list(cells)
        self.request(listed)
        found = []
        for cell in listed:
            with contextlib.suppress(Exception):  # it reaches the item of its own cell
                found.append(self.wait(cell))
        return found

    def answered(self) -> list[Result]:
        """The Results with an answer that are there now, whether anybody waited for them or not."""
        with self._lock:
            futures = list(self._futures.values())
        found = [future.result() for future in futures if future.done() and future.exception() is None]
        return [result for result in found if isinstance(result.outcome, Completion)]

    def close(self) -> None:
        """Drop what was not asked yet, let nothing new start, close the models."""
        with self._lock:
            if not self._ended:
                self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(timeout=30)

    @property
    def halted(self) -> Failure | None:
        """Why nothing more is asked, if so."""
        return self._watch.halted

    @property
    def _reason(self) -> str:
        return self.halted.message if self.halted else "the run was stopped"

    # --- inside the loop ----------------------------------------------------------------------------

    def _enqueue(self, cells: list[Cell]) -> None:
        self._queue.extend(cells)
        self._wake.set()

    def _stop(self) -> None:
        self._closing = True
        self._wake.set()
        # A person who pressed Ctrl-C wants to go; a run that ended by itself first takes in what it has paid for.
        self._loop.call_later(GRACE_S if self.halted is not None else 0.0, self._cancel)

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever broke, waiting items must hear of it
            self._halt(error)
        finally:
            with self._lock:
                self._ended = True
            self._drop()
            self._loop.run_until_complete(self._leave())
            self._loop.close()

    async def _leave(self) -> None:
        """Let workers end that another one's end left behind."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def _halt(self, error: BaseException) -> None:
        """Stop asking: what broke is no matter of one answer."""
        what = str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
        self._watch.halt(Failure(kind="connection", message=what, fatal=True))

    def _drop(self) -> None:
        for key, future in self._futures.items():
            if not future.done():
                future.set_result(_not_asked(key, self._reason))

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            models = await stack.enter_async_context(self._open_models())
            embedder = None
            if self._open_embedder is not None:
                embedder = await stack.enter_async_context(self._open_embedder())
            requests = Requests(
                models,
                embedder=embedder,
                concurrency=self._concurrency,
                most=self._most,
                watch=self._watch,
            )
            workers = [asyncio.create_task(self._work(requests)) for _ in range(self._most)]
            await asyncio.gather(*workers)

    async def _work(self, requests: Requests) -> None:
        while not self._closing:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            cell = self._queue.popleft()
            future = self._futures[cell.key]
            try:
                result = await self._answer(cell, requests)
            except asyncio.CancelledError:
                future.set_result(_not_asked(cell.key, self._reason))
                raise
            except HarnessError as error:  # the cache cannot be written, say: no later answer could be kept
                self._halt(error)
                result = _not_asked(cell.key, self._reason)
            except Exception as error:  # noqa: BLE001 - a model's bug belongs to its own item
                future.set_exception(error)
                continue
            future.set_result(result)

    async def _answer(self, cell: Cell, requests: Requests) -> Result:
        if self.halted is not None:
            return _not_asked(cell.key, self._reason)
        self.asked += 1
        return await ask(cell, requests)


def _not_asked(key: Key, reason: str) -> Result:
    suite, case, role, trial = key
    return Result(
        suite=suite,
        case=case,
        role=role,
        model="",
        trial=trial,
        digest="",
        outcome=Failure(kind="not_asked", message=reason),
    )


@contextlib.asynccontextmanager
async def opened(models: Mapping[Role, Model]) -> AsyncIterator[Mapping[Role, Model]]:
    """Models that need no opening or closing (scripted ones, say) in the form `Prefetcher` takes."""
    yield models
