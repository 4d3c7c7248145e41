from collections.abc import Iterator

import pytest

from tests.localserver.fakes import Server, running_server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the many requests of a module that change nothing."""
    with running_server(tmp_path_factory.mktemp("shared")) as running:
        yield running
