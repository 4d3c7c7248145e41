"""How far long work has come, on the terminal of a person who watches; a file or another program is spared it."""

import sys
import time
from collections.abc import Callable

# Short work needs no bar, and a terminal no more than a few lines a second.
QUIET_S = 0.5
REDRAWN_S = 0.1
WIDTH = 24


def bytes_done(what: str) -> Callable[[int, int], None]:
    """A function to be told bytes done and bytes in all, which draws a bar with the time that is left."""
    return _bar(what, lambda done, total: f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")


def answers_done(what: str) -> Callable[[int, int], None]:
    """As `bytes_done`, told answers that came and answers in all."""
    return _bar(what, lambda done, total: f"{done:,} of {total:,}")


def _bar(what: str, amount: Callable[[int, int], str]) -> Callable[[int, int], None]:
    started = time.monotonic()
    drawn = 0.0

    def told(done: int, total: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        finished = done >= total
        if not sys.stderr.isatty() or (now - started < QUIET_S and not drawn):
            return
        if now - drawn < REDRAWN_S and not finished:
            return
        drawn = now
        share = done / total if total else 1.0
        left_s = (now - started) * (1 - share) / share if share else 0.0
        bar = "#" * round(WIDTH * share)
        line = f"\r{what} [{bar:<{WIDTH}}] {amount(done, total)}, {left_s:.0f} s left "
        print(line, end="\r\033[K" if finished else "", flush=True, file=sys.stderr)

    return told
