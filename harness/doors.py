"""Front doors that load what is asked for: a room's names, each from its module when it is first used.

A run that judges a model needs a fifth of the modules there are, and loading all of them takes longer than asking a hundred questions.
"""

import importlib
import sys
from collections.abc import Callable, Mapping


def door(room: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a room.

    Args:
        room: The package, as its `__name__` says.
        homes: The module of each public name, below the package.
    """

    def enter(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        found: object = getattr(importlib.import_module(f"{room}.{homes[name]}"), name)
        # Found by itself from now on.
        setattr(sys.modules[room], name, found)
        return found

    return enter
