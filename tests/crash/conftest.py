"""One process that forks runs, loaded once for all tests here."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from crashes import Runs


@pytest.fixture(scope="session")
def runs() -> Iterator[Runs]:
    with Runs() as forked:
        yield forked
