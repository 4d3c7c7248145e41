"""One answer judged, in one call."""

from harness.protocols import Scorer
from harness.records import Case, Completion, Json, Score


def case(expected: Json = None) -> Case:
    return Case(id="a", messages=({"role": "user", "content": "?"},), expected=expected)


def judge(scorer: Scorer, text: str, expected: Json = None) -> Score:
    return scorer.score(case(expected), Completion(text=text, finish_reason="stop"))
