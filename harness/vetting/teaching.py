"""Does a training row teach what a case expects? The suite's own scorers judge the row's answer as if the model had given it.

A row that asks something else rightly answers something else. So an answer that is wrong for the case speaks against it where what is
right does not depend on the question (a form, a length, a language), where answers are taken from a small set (labels, refusing or
complying), or where the row asks the same. "What is the capital of Norway?" does not ask what "What is the capital of Germany?" asks, however
like they are: where one word stands in another's place, the row asks something else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from rapidfuzz.distance import Levenshtein

from harness.dataset.examples import Example, answer_of
from harness.evals import guarded
from harness.protocols import Scorer
from harness.records import Case, Completion, Json, ScorerSpec, Suite, ToolCall, record
from harness.scorers import BUILT_IN, build
from harness.serial import ParseError
from harness.texts.strict_json import InvalidJsonError, object_in, read_object
from harness.texts.word_overlap import words_of
from harness.verdict import is_good

Lesson = Literal["expected", "else", "other"]
"""What a row teaches of a case: what is expected, something else, or another matter."""

# Whose answers are few and the same for many questions.
CLOSED = ("label", "refusal", "language")
# From this similarity on two prompts may ask the same (benchmarks/badcases.py).
SAME = 0.3
# Words that stand in the place of others, at most so many of them, while at least so large a share of all words is equal.
_MOST_REPLACED = 2
_LEAST_EQUAL = 0.65


@record
class Teacher:
    """What rows are judged by for one case: those of the suite's scorers that the candidate's answer failed, and need no judge."""

    suite: Suite
    case: Case
    scorers: tuple[tuple[ScorerSpec, Scorer], ...]

    def lesson(self, answer: Completion, *, same_question: bool) -> Lesson | None:
        """What a row with this answer teaches of the case; None where no scorer can say."""
        read = [
            self._read(spec, scorer, answer, same_question=same_question) for spec, scorer in self.scorers
        ]
        found = [lesson for lesson in read if lesson is not None]
        for lesson in ("else", "other", "expected"):
            if lesson in found:
                return lesson
        return None

    def _read(
        self, spec: ScorerSpec, scorer: Scorer, answer: Completion, *, same_question: bool
    ) -> Lesson | None:
        value = guarded(spec, lambda: scorer.score(self.case, answer)).value
        if value is None:
            return None
        if is_good(self.suite, value):
            return "expected"
        if isinstance(self.case.expected, Mapping):
            return "expected" if _has_fields(answer.text, self.case.expected) else "else"
        if spec.type in CLOSED or same_question or not self._needs_expected(spec, scorer, answer):
            return "else"
        return "other"

    def _needs_expected(self, spec: ScorerSpec, scorer: Scorer, answer: Completion) -> bool:
        """Whether the scorer says nothing of an answer without knowing what is expected."""
        asked = replace(self.case, expected=None)
        return guarded(spec, lambda: scorer.score(asked, answer)).value is None


def asks_same(asked: str, other: str, *, similarity: float) -> bool:
    """Whether two prompts that are alike ask the same: no word stands in another's place."""
    if similarity < SAME:
        return False
    one, two = words_of(asked), words_of(other)
    steps = Levenshtein.opcodes(one, two)
    equal = sum(step.src_end - step.src_start for step in steps if step.tag == "equal")
    replaced = [step for step in steps if step.tag == "replace"]
    is_filled = bool(replaced) and all(
        max(step.src_end - step.src_start, step.dest_end - step.dest_start) <= _MOST_REPLACED
        for step in replaced
    )
    return not (is_filled and equal >= _LEAST_EQUAL * max(len(one), len(two)))


def teacher_of(suite: Suite, case: Case, *, failed: Iterable[str]) -> Teacher:
    """By what rows are judged for a case; `failed` are the names of the scorers that its answer failed.

    Scorers of somebody's own stay out: a stored run may come from anywhere, and opening it runs no code that it names.
    """
    names = set(failed)
    return Teacher(
        suite=suite,
        case=case,
        scorers=tuple(
            (spec, scorer)
            for spec in suite.scorers
            if spec.name in names and (scorer := _pure(spec)) is not None
        ),
    )


def _pure(spec: ScorerSpec) -> Scorer | None:
    if spec.type not in BUILT_IN:
        return None
    try:
        scorer = build(spec)
    except ParseError:
        return None
    return scorer if isinstance(scorer, Scorer) else None


def answer_taught(example: Example) -> Completion:
    """The last answer that an example teaches, as if a model had given it."""
    place, messages = example.answer_place, example.messages
    calls = messages[place].get("tool_calls") if place < len(messages) else None
    return Completion(text=answer_of(example) or "", finish_reason="stop", tool_calls=tuple(_calls(calls)))


def _calls(calls: Json) -> Iterable[ToolCall]:
    for call in calls if isinstance(calls, Sequence) and not isinstance(calls, str) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            yield ToolCall(name=str(function.get("name")), arguments=str(function.get("arguments")))


def _has_fields(answer: str, expected: Mapping[str, Json]) -> bool:
    """Whether an answer fills in the fields that are expected, with whatever its own question says."""
    try:
        return read_object(object_in(answer)).keys() == expected.keys()
    except InvalidJsonError:
        return False
