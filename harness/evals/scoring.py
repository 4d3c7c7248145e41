"""An answer put to its scorers: what each of them says, and what became of one that broke."""

import asyncio
import contextlib
import traceback
from collections.abc import Callable
from pathlib import Path

from harness.protocols import JudgedScorer, Model, Scorer
from harness.records import Case, Completion, Failure, Sampling, Score, ScorerSpec, Suite
from harness.redaction import redact
from harness.scorers import build
from harness.serial import ParseError, parse, shown, to_plain

# A judge's verdict should not change between two readings of the same answer.
JUDGE_SAMPLING = Sampling(temperature=0.0, max_tokens=1024)
# What a row keeps of a traceback: its innermost frames, and of each line so many characters.
MOST_FRAMES = 8
MOST_CHARACTERS = 300


async def scored(suite: Suite, case: Case, completion: Completion, judge: Model | None) -> dict[str, Score]:
    """What each scorer of the suite says about an answer, by the scorer's name.

    A scorer that breaks leaves the answer unscored, and says how and where: a bug in one
    loses neither the answer nor what the others say.
    """
    return {spec.name: await _score(spec, case, completion, judge) for spec in suite.scorers}


async def _score(spec: ScorerSpec, case: Case, completion: Completion, judge: Model | None) -> Score:
    scorer = build(spec)
    if isinstance(scorer, Scorer):
        return guarded(spec, lambda: scorer.score(case, completion))
    if not isinstance(scorer, JudgedScorer):
        return _broken(spec, "asks in a way that nothing answers yet")
    return await _judged(spec, scorer, case=case, completion=completion, judge=judge)


async def _judged(
    spec: ScorerSpec, scorer: JudgedScorer, *, case: Case, completion: Completion, judge: Model | None
) -> Score:
    """A judged scorer's Score: its question goes to the judge. Trouble with the judge is unscored."""
    if judge is None:
        return Score(value=None, reason="no judge is configured: set `judge` or --judge")
    try:
        question = scorer.question(case, completion)
    except BaseException as error:  # noqa: BLE001 - see `guarded`
        return broken(spec, error)
    reply = await judge.complete(question, JUDGE_SAMPLING)
    if isinstance(reply, Failure):
        return Score(value=None, reason=f"the judge did not answer: {reply.message}")
    return guarded(spec, lambda: scorer.read(case, completion, reply))


def guarded(spec: ScorerSpec, judge: Callable[[], object]) -> Score:
    """What a scorer gives, or an unscored Score that says how it broke."""
    try:
        return checked(spec, judge())
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
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
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
