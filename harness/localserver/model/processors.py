"""How many processors may be used here, and by how many workers?

Work is split between workers that share nothing, each on its own thread, rather than within single computations: the
halves of one computation wait for each other at every step, and on a busy machine that wait costs more than it gains
(measured: 562 tokens/s fell to 32 when one of two processors was busy).
"""

import os
from dataclasses import dataclass
from pathlib import Path

# Two workers use two processors fully. Each further one would read all weights once more and wait longer for the
# interpreter's lock, so with more processors each worker gets more of them instead.
_MOST_WORKERS = 2
# Where a container's share of the machine stands (Linux, control groups version 2): microseconds a period, and the period.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Workers, and the threads each of them computes with."""

    workers: int
    threads_each: int


def crew(threads: int | None, *, most_workers: int = _MOST_WORKERS) -> Crew:
    """The crew for so many threads, or for all processors this process may use."""
    threads = threads or available_processors()
    workers = min(most_workers, threads)
    return Crew(workers=workers, threads_each=threads // workers)


def available_processors(quota: Path = _QUOTA) -> int:
    """Processors this process may use: those it is bound to, or fewer where a container is given less time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return max(1, min(bound, int(allowed) // int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        return bound
