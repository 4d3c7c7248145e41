from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.localserver.hf.tiny import write_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model in the style of that name, written when first asked for."""
    # As in the server. On a busy machine the halves of one tiny product would wait for each other most of the time.
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("models")
    written: dict[str, Path] = {}

    def folder(style: str) -> Path:
        if style not in written:
            written[style] = write_model(root / style, style)
        return written[style]

    return folder
