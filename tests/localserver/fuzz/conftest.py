from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.localserver.fakes import Server, running_server

# `pytest tests/localserver/fuzz --hypothesis-profile=long`: for minutes, and other inputs at every run.
settings.register_profile("long", max_examples=2500, deadline=None)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("fuzzed")) as running:
        yield running
