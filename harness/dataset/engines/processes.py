"""Parts of a file read by several processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol, TypeVar

from harness.dataset.engines.parts import PART_BYTES, plain, spans_of
from harness.dataset.lines import Line, Progress, Span, read_lines
from harness.errors import StorageError
from harness.records import record

Part = TypeVar("Part")

# Below this a process more takes longer to start than it saves.
PARALLEL_BYTES = 32 * 2**20
# Parts handed out beyond those being read, so that no worker waits for the next.
_SPARE_PARTS = 2


class Engine(Protocol):
    """Reads a file in parts, wherever, and tells of them in order."""

    @property
    def progress(self) -> Progress | None:
        """Told bytes done and bytes in all."""

    def parts(self, path: Path, tally: Callable[[Iterable[Line]], Part]) -> Iterator[Part]:
        """What `tally` makes of the lines of each part, in the order of the parts.

        Args:
            path: JSONL, plain or gzipped.
            tally: Picklable, and so is what it makes.

        Raises:
            UsageError: The file is not there or cannot be read.
            StorageError: Who was to read a part is gone.
        """


@record
class Processes:
    """Processes of this machine, `workers` of them, or as many as the file is worth; `progress` is told bytes done and in all.

    More than one are started anew (spawn): a program of one's own then needs the usual `if __name__ == "__main__"`.
    """

    workers: int | None = None
    progress: Progress | None = None
    part_bytes: int = PART_BYTES

    def parts(self, path: Path, tally: Callable[[Iterable[Line]], Part]) -> Iterator[Part]:
        """As `Engine.parts`."""
        workers = self.workers or _worthwhile(path)
        if workers == 1:
            yield tally(read_lines(path, progress=self.progress))
            return
        with plain(path) as file:
            total = file.stat().st_size
            spans = spans_of(file, size=self.part_bytes)
            for stop, part in _tallied(file, spans, tally, workers=workers):
                yield part
                if self.progress:
                    self.progress(stop, total)


ONE_PROCESS = Processes(workers=1)


def _worthwhile(path: Path) -> int:
    if not path.exists() or path.stat().st_size < PARALLEL_BYTES:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tallied(
    path: Path, spans: Iterable[Span], tally: Callable[[Iterable[Line]], Part], *, workers: int
) -> Iterator[tuple[int, Part]]:
    """Each part and where it ends."""
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
    )
    waiting: deque[tuple[Span, Future[Part]]] = deque()
    try:
        for span in spans:
            waiting.append((span, pool.submit(tally_span, path, span, tally=tally)))
            if len(waiting) >= workers + _SPARE_PARTS:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    except BrokenProcessPool as error:
        raise StorageError(
            f"a process that read a part of {path} died",
            remedy="it may have run out of memory: use fewer, --workers 1 for one",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _first(waiting: "deque[tuple[Span, Future[Part]]]") -> tuple[int, Part]:
    span, future = waiting.popleft()
    return span.stop or 0, future.result()


def tally_span(path: Path, span: Span, *, tally: Callable[[Iterable[Line]], Part]) -> Part:
    """What a worker does: read one span."""
    return tally(read_lines(path, span=span))


def _begin_worker() -> None:
    """Ctrl-C ends a worker at once and without a word, and so does the end of who started it, however it came."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has been started by someone"
    parent.join()
    os._exit(1)
