from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from harness.localserver.model.weights import SMOLLM2
from tests.localserver.fakes import Server, running_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "state") as running:
        yield running


@pytest.fixture
def embedded_model() -> None:
    """Skip where the embedded model was never fetched; looked up when the test runs, since an earlier one may fetch it."""
    if not (Path(platformdirs.user_cache_dir("finetune-harness")) / SMOLLM2.name).exists():
        pytest.skip("the embedded model is not in the cache")
