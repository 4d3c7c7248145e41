"""Our errors in the forms that pytest shows without a traceback, with the exit statuses it has for them."""

import contextlib
from collections.abc import Iterator

import pytest

from harness.errors import BudgetError, FileError, HarnessError, UsageError


@contextlib.contextmanager
def as_pytest_errors() -> Iterator[None]:
    """Our errors in the form pytest shows without a traceback; a budget that is too small exits 2."""
    try:
        yield
    except BudgetError as error:
        pytest.exit(str(error), returncode=2)
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
