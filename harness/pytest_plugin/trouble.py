"""Our errors in the forms that pytest shows without a traceback, with the exit statuses it has for them."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from harness.errors import BudgetError, FileError, HarnessError, UsageError
from harness.evals.store import storage_error
from harness.models import SPENT_UP

OVER_BUDGET = 2
"""The exit status of a run that its budget is too small for, whether that is found before it or on the way."""


@contextlib.contextmanager
def as_pytest_errors() -> Iterator[None]:
    """Our errors in the form pytest shows without a traceback; a budget that is too small exits 2."""
    try:
        yield
    except BudgetError as error:
        pytest.exit(str(error), returncode=OVER_BUDGET)
    except (UsageError, FileError) as error:
        raise pytest.UsageError(str(error)) from None
    except HarnessError as error:
        pytest.exit(str(error), returncode=1)


@contextlib.contextmanager
def as_collection_errors() -> Iterator[None]:
    """Mistakes in suites and settings, which end pytest's collection, with its exit status before any worker collects."""
    try:
        yield
    except (pytest.UsageError, FileError) as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.INTERRUPTED)


def told(error: HarnessError | OSError, *, at: Path) -> str:
    """An error that ended a session as one sentence with its remedy; `at` is the folder that was written."""
    return str(storage_error(error, at=at) if isinstance(error, OSError) else error)


def exit_status(status: int, *, reasons: Iterable[str | None]) -> int:
    """The session's exit status, given why it ended before its time, if it did; from a worker there comes but a text."""
    return OVER_BUDGET if any(reason and reason.startswith(SPENT_UP) for reason in reasons) else status
