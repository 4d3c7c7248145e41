"""How long will answers be that nobody has given yet? As long as earlier ones, else as the expected ones, else as their suite allows."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean, pstdev
from typing import Literal

from harness.evals.cells import Cell
from harness.records import Json, Role, ScorerSpec, record
from harness.serial import canonical

UNLIMITED_ANSWER_TOKENS = 1024
"""An answer's length when a suite sets no max_tokens: long for a chat answer, short for an essay."""
TUNED_SHARE, OTHER_SHARE = 0.4, 0.85
"""Of its max_tokens that an answer takes of which nothing is known: means over 8,000 answers of the embedded model and of its
fine-tunes to this project's four suites (from 0.19 to 0.55 by suite for the tuned ones, from 0.45 to 1.0 for the untuned one)."""
REPLY_TOKENS = 150
"""What a judge's reply takes of which nothing is known: the few sentences and the line that our prompts ask for."""
Ground = Literal["the same model", "earlier models", "expected answers", "max_tokens"]
"""What a length rests on, the surest first."""
# Ends of the range that holds four of five: standard deviations of a normal mean, shares of single answers.
_DEVIATIONS = 1.28
_OUTER = 0.1
# Scorers that hold the answer against all of `expected`; the others find a part of it, or it is no text at all.
_WHOLE = frozenset({"exact_match", "label", "number", "similarity", "json_fields", "tool_call"})


@record
class Length:
    """Tokens of something that is not there yet: probably `likely`, in four of five cases from `low` to `high`."""

    low: float
    likely: float
    high: float
    ground: Ground = "max_tokens"

    def times(self, factor: float) -> "Length":
        """The length of `factor` such things."""
        low, likely, high = (factor * tokens for tokens in (self.low, self.likely, self.high))
        return Length(low=low, likely=likely, high=high, ground=self.ground)

    def by_chance(self, chance: float) -> "Length":
        """The length of something that comes with this chance; at most it comes."""
        low, likely = chance * self.low, chance * self.likely
        return Length(low=low, likely=likely, high=self.high, ground=self.ground)


def longest(max_tokens: int | None) -> Length:
    """The length that nothing exceeds."""
    limit = max_tokens or UNLIMITED_ANSWER_TOKENS
    return Length(low=limit, likely=limit, high=limit)


def unknown(role: Role, max_tokens: int | None) -> Length:
    """The length of an answer of which nothing is known but its limit: anything, and probably a usual share of it."""
    limit = max_tokens or UNLIMITED_ANSWER_TOKENS
    share = TUNED_SHARE if role in {"candidate", "promoted"} else OTHER_SHARE
    return Length(low=1, likely=max(1, share * limit), high=limit)


def unknown_reply(max_tokens: int | None) -> Length:
    """The length of a judge's reply of which nothing is known."""
    limit = max_tokens or UNLIMITED_ANSWER_TOKENS
    return Length(low=1, likely=min(limit, REPLY_TOKENS), high=limit)


def measured(samples: Sequence[float], *, own: float | None, same: bool) -> Length:
    """The length by earlier ones.

    Args:
        samples: Tokens of the earlier ones of the group, at least one.
        own: Tokens of the very question's earlier answers; None where it is new to the group.
        same: Whether the same model gave them. Its next ones are about as long, so the range is that of their mean;
            another model's may be all longer or all shorter, so the range is that of single answers.
    """
    mean = fmean(samples)
    if same:
        # As many come as there were: both means waver.
        margin = _DEVIATIONS * pstdev(samples) * math.sqrt(2 / len(samples))
        low, high = max(0.0, mean - margin), mean + margin
    else:
        ordered = sorted(samples)
        last = len(ordered) - 1
        low, high = ordered[math.floor(_OUTER * last)], ordered[math.ceil((1 - _OUTER) * last)]
        low, high = min(low, mean), max(high, mean)
    likely = mean if own is None else own
    scale = likely / mean if mean else 1.0
    return Length(
        low=low * scale,
        likely=likely,
        high=high * scale,
        ground="the same model" if same else "earlier models",
    )


def capped(length: Length, max_tokens: int | None) -> Length:
    """The length within its limit."""
    if max_tokens is None:
        return length
    low, likely, high = (min(tokens, max_tokens) for tokens in (length.low, length.likely, length.high))
    return Length(low=low, likely=likely, high=high, ground=length.ground)


def expected_length(cell: Cell, *, count: Callable[[str], int]) -> Length | None:
    """The length of the answer a case expects, where its suite's scorers want just that; None where they do not."""
    text = _expected_text(cell.case.expected, cell.suite.scorers)
    if not text:
        return None
    limit = cell.suite.sampling.max_tokens
    tokens = count(text)
    found = Length(low=1, likely=tokens, high=limit or UNLIMITED_ANSWER_TOKENS, ground="expected answers")
    return capped(found, limit)


def _expected_text(expected: Json, scorers: Sequence[ScorerSpec]) -> str:
    if expected is None or not any(spec.type in _WHOLE for spec in scorers):
        return ""
    if isinstance(expected, str):
        return expected
    # Several texts are several right answers; what else has parts is JSON.
    if isinstance(expected, list) and expected and all(isinstance(one, str) for one in expected):
        return str(expected[0])
    return canonical(expected)
