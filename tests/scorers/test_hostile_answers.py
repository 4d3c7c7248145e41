"""No scorer raises or hangs, whatever a model answers: half characters, NUL, text made to backtrack, endless repetition."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judging import case
from test_conformance import SCORERS

from harness.protocols import CheckedScorer, Scorer
from harness.records import Completion, Json, ToolCall
from harness.scorers import JsonSchema, Regex
from harness.serial import to_json

PURE = [scorer for scorer in SCORERS if isinstance(scorer, Scorer)] + [
    Regex(pattern=r"^(\w+\s?)+$"),
    Regex(pattern=r"(.*a){12}b", ignore_case=True),
    JsonSchema(schema={"pattern": r"^(\w+\s?)+\1$", "propertyNames": {"pattern": r"^(a|aa)+\1$"}}),
]
EXPECTED: tuple[Json, ...] = (
    "billing",
    42,
    "北京",
    {"a": {"b": 1}},
    [{"name": "f", "arguments": {"a": 1}}],
    [],
    "comply",
)
# A scorer may take a regular expression's time limit, once; on a busy machine, some more.
LIMIT_S = 2.0
LONGEST = 60_000
# Pieces that make naive readers quadratic or worse when they are repeated.
PIECES = (
    *("a", "aa ", "1", "1,", "1.", "1/", "-", "$-", "10^", "1e", "一", "一百", "百分之", "万", "\\boxed{", "\\frac{1}{"),
    *("{", "[", '{"a":', '"', "\\", '\\"', "```", "```json\n", "Answer: ", "答案是", "the answer is ", "not ", "不是"),
    *("billing ", "bug-", "北京", "\x00", "\ud83d", "\udc00", "e\u0301", "\u200d", "\u202e", "👩‍👩‍👧", "\n", "。", "**", "_"),
)  # fmt: skip

_ANY = st.text(st.characters(exclude_categories=()), max_size=60)
_REPEATED = st.builds(
    lambda head, piece, times, tail: head + (piece * times)[:LONGEST] + tail,
    st.sampled_from(["", "{", '{"a": "', "Answer: ", "-"]),
    st.sampled_from(PIECES) | st.tuples(st.sampled_from(PIECES), st.sampled_from(PIECES)).map("".join),
    st.integers(1, LONGEST),
    st.sampled_from(["", "b", "}", '"}', " 42", "\x00"]),
)
_MIXED = st.lists(st.sampled_from(PIECES) | _ANY, max_size=30).map("".join)


@pytest.mark.parametrize("scorer", PURE, ids=lambda scorer: type(scorer).__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=_ANY | _MIXED | _REPEATED, expected=st.sampled_from(EXPECTED))
def test_any_answer_is_judged_in_time(scorer: Scorer, text: str, expected: Json) -> None:
    if isinstance(scorer, CheckedScorer) and scorer.check_case(case(expected)) is not None:
        expected = next((item for item in EXPECTED if scorer.check_case(case(item)) is None), expected)
    call = ToolCall(name=text[:50] or "f", arguments=text)
    completion = Completion(text=text, tool_calls=(call,), finish_reason="stop")
    started = time.process_time()
    score = scorer.score(case(expected), completion)
    assert time.process_time() - started < LIMIT_S
    assert score.value is None or 0 <= score.value <= 1
    assert score.reason.strip()
    to_json(score).encode("utf-8")
