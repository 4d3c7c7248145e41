"""What is looked at only where the extra `data` is installed: its libraries, and the note that says what was left out."""

from importlib import import_module
from types import ModuleType

from harness.dataset.findings import Finding


def optional_module(name: str) -> ModuleType | None:
    """A module that needs the extra, imported when it is asked for: it takes seconds, and most files need none. None without it."""
    try:
        return import_module(name)
    except ImportError:
        return None


def left_out(name: str, *, looked_for: str, library: str) -> Finding:
    """The note that a check was left out."""
    return Finding(
        name=name,
        level="note",
        what=f"{looked_for} were not looked for: {library} is not installed",
        count=0,
        lines=(),
        why="they are found by a library that is no part of the usual installation",
        remedy='pip install "finetune-harness[data]"',
    )
