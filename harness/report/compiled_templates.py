"""Templates compiled once and kept as Python keeps its modules: compiling those of a page takes a tenth of a second."""

import contextlib
import hashlib
import importlib.util
import os
import sys
from pathlib import Path

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class CompiledTemplates(BytecodeCache):
    """Kept beside the templates, in `__pycache__` or where `PYTHONPYCACHEPREFIX` says; not at all where Python keeps nothing.

    Jinja compares a template's own text, and its and Python's version.

    Args:
        folder: Where the templates are.
        settings: The file that says how they are compiled; after a change of it they are compiled again.
    """

    def __init__(self, folder: Path, *, settings: Path) -> None:
        self._folder = folder
        self._mark = hashlib.sha256(settings.read_bytes()).hexdigest()[:16]

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what was kept, if it is of this text."""
        with contextlib.suppress(OSError), self._place(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it, where that can be done: a folder may be read-only."""
        if sys.dont_write_bytecode:
            return
        place = self._place(bucket)
        # Of several processes that write at once the last one stays, whole.
        unfinished = place.with_name(f"{place.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                bucket.write_bytecode(file)
            unfinished.replace(place)

    def _place(self, bucket: Bucket) -> Path:
        module = self._folder / f"{bucket.key}-{self._mark}.py"
        return Path(importlib.util.cache_from_source(str(module)))
