"""What a run needs at its end, loaded while its first answers are under way."""

import contextlib
import gc
import signal
import threading
from collections.abc import Iterable, Iterator
from functools import cache

import pytest

from harness.pytest_plugin import uncollected
from harness.pytest_plugin.items import SuiteItem


@cache
def load_conclusion() -> None:
    """Load the statistics and the page: half a second that would be spent when the last answer is there."""
    with uninterrupted(), uncollected():
        import harness.pytest_plugin.conclusion
        import harness.report.next_steps
        import harness.report.outputs
        import harness.report.text
        import harness.verdict.promotion  # noqa: F401


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait: a library that was loaded by half cannot be loaded again, and a run that is stopped has a page too."""
    if threading.current_thread() is not threading.main_thread():
        yield  # which is where signals arrive
        return
    pressed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler if handler is not None else signal.default_int_handler)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def leave_no_garbage(items: Iterable[pytest.Item]) -> None:
    """Spare pytest its ten looks for garbage at the end, where nothing but suites ran: a test's own may hide a warning."""
    if all(isinstance(item, SuiteItem) for item in items):
        gc.freeze()
