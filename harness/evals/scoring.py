"""What a scorer's own code may do to a run: give a Score, or break and say so in one."""

import asyncio
import contextlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from harness.records import Score, ScorerSpec
from harness.redaction import redact
from harness.serial import ParseError, parse, shown, to_plain

# What a row keeps of a traceback: its innermost frames, and of each line so many characters.
MOST_FRAMES = 8
# Where scorers are called from, which says nothing about them.
OUR_FILES = ("scoring.py", "judging.py")
MOST_CHARACTERS = 300

_T = TypeVar("_T")


def guarded(spec: ScorerSpec, judge: Callable[[], object]) -> Score:
    """What a scorer gives, or an unscored Score that says how it broke."""
    score = tried(spec, lambda: checked(spec, judge()))
    assert isinstance(score, Score), "checked gives nothing else"
    return score


def tried(spec: ScorerSpec, act: Callable[[], _T]) -> _T | Score:
    """What a scorer's own code gives, or, where it raises, the unscored Score of the answer."""
    try:
        return act()
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException as error:  # noqa: BLE001 - a scorer may call pytest.fail() or sys.exit(), which are no Exceptions
        return broken(spec, error)


def checked(spec: ScorerSpec, given: object) -> Score:
    """The Score a scorer gave, unless it is none, cannot be stored, or is outside 0..1."""
    if not isinstance(given, Score):
        return _broken(spec, f"gave {shown(given)}, which is no Score")
    try:
        score = parse(Score, to_plain(given))
    except ParseError as error:
        return _broken(spec, f"gave a Score that cannot be stored: {error}")
    # NaN and the infinities, which JSON does not have, came out as None.
    if given.value is not None and (score.value is None or not 0.0 <= score.value <= 1.0):
        return _broken(spec, f"gave {given.value}, outside 0..1: {given.reason}")
    return score


def broken(spec: ScorerSpec, error: BaseException) -> Score:
    """The Score of an answer whose scorer raised: unscored, with the scorer's own frames in the reason."""
    here = Path(__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent != here or Path(frame.filename).name not in OUR_FILES
    ]
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return _broken(spec, f"raised {said}", *(_frame(frame) for frame in frames[-MOST_FRAMES:]))


def _broken(spec: ScorerSpec, what: str, *frames: str) -> Score:
    lines = [
        f"{spec.name} {what}".replace("\n", " "),
        *(line for frame in frames for line in frame.splitlines()),
    ]
    return Score(value=None, reason="\n".join(_short(line) for line in lines), broken=True)


def _frame(frame: traceback.FrameSummary) -> str:
    """`scorers.py:7: in score` and the line of code, the form editors turn into links."""
    file = Path(frame.filename)
    with contextlib.suppress(ValueError):  # not below the folder the run was started in
        file = file.relative_to(Path.cwd())
    place = file.name if file.is_absolute() else file.as_posix()
    return f"{place}:{frame.lineno}: in {frame.name}\n    {frame.line}"


def _short(line: str) -> str:
    """A line as a row and a terminal may carry it: an exception's words may be a model's."""
    shown = "".join(letter if letter.isprintable() else " " for letter in redact(line))
    return shown if len(shown) <= MOST_CHARACTERS else shown[: MOST_CHARACTERS - 1] + "…"
