"""What holds for every reader, and how long it is looked for a case where it does not."""

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

from harness.errors import FileError, HarnessError

_Test = TypeVar("_Test", bound=Callable[..., None])
_Item = TypeVar("_Item")

# Hypothesis's own default is 100 examples; the profile `long` asks for more.
SCALE = max(1, settings.default.max_examples // 100)
# A file of some kilobytes is read in milliseconds; a machine under load pauses.
DEADLINE_S = 20.0


def bounded(examples: int) -> Callable[[_Test], _Test]:
    """As many examples, always the same; a long run has more, and others."""
    return settings(
        max_examples=examples * SCALE,
        derandomize=SCALE == 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def thinned(items: Iterable[_Item], most: int) -> list[_Item]:
    """All of them in a long run; else as many, spread over all."""
    found = list(items)
    step = 1 if SCALE > 1 else max(1, -(-len(found) // most))
    return found[::step]


def check_refusal(error: HarnessError) -> None:
    """The error says what is wrong and where, in words that a terminal and a file can take."""
    told = str(error)
    assert told.strip()
    assert told.encode("utf-8")
    assert "Traceback" not in told
    assert not [letter for letter in told if letter < " " and letter != "\n"], repr(told)
    if isinstance(error, FileError):
        assert error.mistakes
        assert all(mistake.line >= 1 and mistake.what for mistake in error.mistakes)


def read_or_refused(read: Callable[[], Any]) -> Any:
    """What was read, or the error that told why not; anything else fails the test, and so does taking for ever."""
    started = time.monotonic()
    try:
        found = read()
    except HarnessError as error:
        check_refusal(error)
        found = error
    assert time.monotonic() - started < DEADLINE_S
    return found
