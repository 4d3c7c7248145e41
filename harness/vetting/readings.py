"""What do the training rows near a failing case say about it: is it a gap, a conflict, or taught and not learned?

The thresholds are those with which `benchmarks/badcases.py` told planted gaps and conflicts best; docs/training-data.md has its figures.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.records import record
from harness.vetting.teaching import Lesson

Reading = Literal["gap", "conflict", "taught", "unclear", "unknown"]
"""`unclear`: rows are near, and nothing can say what they teach. `unknown`: there is no training file to look into."""

# A row is near a case when it is nearer than one training row in ten has another; in no file less alike than the first of these is
# near, nor is anything more alike than the second asked of it.
NEAR_QUANTILE = 0.1
LEAST_NEAR, MOST_NEAR = 0.08, 0.3
# Fewer rows cannot say how near rows are.
LEAST_ROWS = 20
# From this share on of what near rows teach (each by its similarity), something else than is expected is no chance.
CONFLICTING_SHARE = 0.34
# The rows that a reading rests on, however many are shown.
READ_ROWS = 8


@record
class TaughtRow:
    """A training row near a failing case: what it asks and answers, how like the case it is (0..1), and what it teaches of it."""

    line: int
    prompt: str
    answer: str
    similarity: float
    is_near: bool
    lesson: Lesson | None = None


def near_similarity(usual: Sequence[float]) -> float:
    """From which similarity on a row is near; `usual` are those of training rows to their nearest."""
    if len(usual) < LEAST_ROWS:
        return MOST_NEAR
    return min(MOST_NEAR, max(LEAST_NEAR, float(np.quantile(usual, NEAR_QUANTILE))))


def reading_of(rows: Sequence[TaughtRow]) -> Reading:
    """What the nearest rows, nearest first, say."""
    near = [row for row in rows if row.is_near]
    expected = sum(row.similarity for row in near if row.lesson == "expected")
    other = sum(row.similarity for row in near if row.lesson == "else")
    if expected + other > 0:
        return "conflict" if other >= CONFLICTING_SHARE * (expected + other) else "taught"
    return "unclear" if any(row.lesson is None for row in near) else "gap"


def sentence(reading: Reading, rows: Sequence[TaughtRow]) -> str:
    """Why a reading is what it is, with the lines it rests on, and what to do."""
    near = [row for row in rows if row.is_near]
    wrong = [row for row in near if row.lesson == "else"]
    right = [row for row in near if row.lesson == "expected"]
    if reading == "gap":
        if near:
            return f"rows ask alike ({_lines(near)}), but none teaches this: add rows that do"
        nearest = f", the nearest is line {rows[0].line} at {rows[0].similarity:.2f}" if rows else ""
        return f"no training row is near{nearest}: add rows that ask such things"
    if reading == "conflict" and right:
        return f"near rows contradict each other, {_lines(wrong)} and {_lines(right)}: settle on one answer"
    if reading == "conflict":
        return f"near rows teach something else than is expected: correct {_lines(wrong)}, or the case"
    if reading == "taught":
        return f"near rows teach what is expected ({_lines(right)}), it was not learned: more such rows, or more epochs"
    if reading == "unclear":
        return f"rows are near ({_lines(near)}), but only a judge could say what they teach: read them"
    return "no training file to look into"


def _lines(rows: Sequence[TaughtRow]) -> str:
    numbers = ", ".join(str(row.line) for row in rows)
    return f"line{'s' if len(rows) > 1 else ''} {numbers}"
