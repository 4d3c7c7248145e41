"""The switch in every mutated function: it runs the mutant that is on, or else the original, and notes that it was called.

One process has one mutant on at most: `SWITCH` is set once in each forked trial.
"""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

MutantDict = Annotated[dict[str, Callable[..., Any]], "Mutant"]


class Switch:
    """`mutant` is the one that is on; `called` collects the functions called, where it is a set."""

    def __init__(self) -> None:
        self.module = ""
        self.mutant = ""
        self.called: set[str] | None = None


SWITCH = Switch()


def switched(mutants: MutantDict, *, is_classmethod: bool = False) -> Callable[..., Any]:
    """Put the switch before a function. `mutants` is filled after this, with `_mutmut_orig` among them."""

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        module = function.__module__

        @wraps(function)
        def call(*args: object, **kwargs: object) -> object:
            original = mutants["_mutmut_orig"]
            if SWITCH.called is not None:
                SWITCH.called.add(f"{module}.{original.__name__.partition('__mutmut_')[0]}")
            chosen = mutants.get(SWITCH.mutant, original) if module == SWITCH.module else original
            if is_classmethod:
                return getattr(args[0], chosen.__name__)(*args[1:], **kwargs)
            return chosen(*args, **kwargs)

        return call

    return around


class Remembering:
    """A function with a cache: what it called when it computed something counts as called whenever it answers from memory."""

    def __init__(self, cached: Callable[..., Any]) -> None:
        self.__wrapped__ = cached
        self._cached = cached
        self._called: set[str] = set()

    def __call__(self, *args: object, **kwargs: object) -> object:
        before = SWITCH.called
        if before is None:
            return self._cached(*args, **kwargs)
        SWITCH.called = set()
        try:
            return self._cached(*args, **kwargs)
        finally:
            self._called |= SWITCH.called
            SWITCH.called = before | self._called

    def __getattr__(self, name: str) -> object:
        return getattr(self._cached, name)
