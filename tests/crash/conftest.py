"""One process that forks runs, loaded once for all tests here."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from crashes import RUN, Project, Runs, output_of


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("first") / "project"
    with Runs() as forked:
        with Project(folder):
            assert forked.run(folder, RUN) == 0, output_of(folder)
            forked.learn(folder)
        yield forked
