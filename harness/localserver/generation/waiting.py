"""Who is answered next? A line of requests, from which each worker takes a share for the model it is at work on."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from harness.errors import EndpointError
from harness.localserver.generation.batch import Prompt
from harness.localserver.generation.requests import GenerationResult

# Requests of one burst arrive this close to each other; a worker that begins waits as long as they do, up to a limit.
_BURST_S = 0.01
_LONGEST_BURST_S = 0.05
# When a request for another model has waited this long, batches stop taking in new rows and so come to an end.
_PATIENCE_S = 5.0
# When nobody has asked for this long, what can be made again in a moment is let go.
REST_AFTER_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A request in the line; `adapter` None is the base model."""

    adapter: Path | None
    prompt: Prompt
    future: "Future[GenerationResult]"
    since: float = field(default_factory=time.monotonic)


class Line:
    """The line of requests, shared by workers that are numbered from 0."""

    def __init__(self, *, workers: int) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Waiting] = []
        # Workers without rows: what comes is shared with them.
        self._free = set(range(workers))
        self._closed = False

    def join(self, waiting: Waiting) -> None:
        """Add a request at the end.

        Raises:
            EndpointError: the line is closed.
        """
        with self._changed:
            if self._closed:
                raise closed()
            self._waiting.append(waiting)
            self._changed.notify_all()

    def first(self, worker: int, *, rest: Callable[[], None]) -> Waiting | None:
        """For a worker without rows: the request that has waited longest, or None when the line is closed.

        Waits until there is one, and until the burst it came in is over. Calls `rest` once when that takes long.
        """
        rested = False
        with self._changed:
            self._free.add(worker)
            while not self._closed:
                if not self._waiting:
                    if not self._changed.wait(None if rested else REST_AFTER_S) and not self._waiting:
                        rest()
                        rested = True
                    continue
                limit = time.monotonic() + _LONGEST_BURST_S
                while self._changed.wait(_BURST_S) and time.monotonic() < limit:
                    pass
                if self._waiting:
                    return self._waiting[0]
        return None

    def take(
        self, worker: int, adapter: Path | None, *, at_work: bool, fits: Callable[[Sequence[Prompt]], bool]
    ) -> list[Waiting]:
        """A worker's fair share of the requests for a model, taken out of the line.

        Args:
            worker: Who takes.
            adapter: The model the worker has loaded.
            at_work: Whether the worker has rows already.
            fits: Whether the worker has room for these prompts together.
        """
        with self._changed:
            if at_work and self._is_impatient(adapter):
                return []
            self._free.discard(worker)
            ours = [waiting for waiting in self._waiting if waiting.adapter == adapter]
            share = ceil(len(ours) / (1 + len(self._free)))
            taken: list[Waiting] = []
            for waiting in ours[:share]:
                if not fits([*(other.prompt for other in taken), waiting.prompt]):
                    break
                taken.append(waiting)
            for waiting in taken:
                self._waiting.remove(waiting)
        # Who cancelled in the meantime is not answered.
        return [waiting for waiting in taken if waiting.future.set_running_or_notify_cancel()]

    def withdraw(self, adapter: Path | None) -> list[Waiting]:
        """All requests for one model, taken out of the line."""
        with self._changed:
            gone = [waiting for waiting in self._waiting if waiting.adapter == adapter]
            self._waiting = [waiting for waiting in self._waiting if waiting.adapter != adapter]
        return gone

    def close(self) -> list[Waiting]:
        """Let nobody join any more; returns who was still waiting."""
        with self._changed:
            self._closed = True
            gone, self._waiting = self._waiting, []
            self._changed.notify_all()
        return gone

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _is_impatient(self, adapter: Path | None) -> bool:
        others = [waiting.since for waiting in self._waiting if waiting.adapter != adapter]
        return bool(others) and time.monotonic() - min(others) > _PATIENCE_S


def closed() -> EndpointError:
    """What is said to whoever waits, or comes, when the engine closes."""
    return EndpointError("the local model is shutting down", remedy="start the server again")
