"""What a worker does that never ends by itself."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path

from harness.dataset.lines import Line


def wait(lines: Iterable[Line], *, pipe: Path) -> None:
    """Say who this is, and hold the pipe open."""
    with pipe.open("wb", buffering=0) as open_pipe:
        open_pipe.write(f"{os.getpid()}\n".encode())
        signal.pause()
