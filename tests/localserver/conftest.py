from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.localserver.model.weights import WeightsError, ensure_weights
from tests.localserver.fakes import Server, running_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "state") as running:
        yield running


@pytest.fixture(scope="session")
def embedded_model() -> None:
    """Fetch the embedded model, or wait for the worker that fetches it; skip where it cannot be had."""
    try:
        ensure_weights()
    except WeightsError as error:
        pytest.skip(f"the embedded model cannot be had here: {error}")
