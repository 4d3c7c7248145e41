"""What a run needs at its end, loaded while its first answers are under way."""

import gc
from collections.abc import Iterable
from functools import cache

import pytest

from harness.pytest_plugin import uncollected
from harness.pytest_plugin.items import SuiteItem


@cache
def load_conclusion() -> None:
    """Load the statistics and the page: half a second that would be spent when the last answer is there."""
    with uncollected():
        import harness.pytest_plugin.conclusion
        import harness.report.next_steps
        import harness.report.outputs
        import harness.report.text
        import harness.verdict.promotion  # noqa: F401


def leave_no_garbage(items: Iterable[pytest.Item]) -> None:
    """Spare pytest its ten looks for garbage at the end, where nothing but suites ran: a test's own may hide a warning."""
    if all(isinstance(item, SuiteItem) for item in items):
        gc.freeze()
