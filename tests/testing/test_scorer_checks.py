from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

import pytest

from harness.protocols import JudgedScorer, Scorer
from harness.records import Case, Completion, Json, Message, Score, record
from harness.testing import check_scorer, scorer_checks

Rule = Callable[[Case, Completion], Score]

FINE = Score(value=1.0, reason="fine")


@record
class Good:
    """The smallest scorer that keeps the contract."""

    words: tuple[str, ...] = ("yes",)

    def score(self, case: Case, completion: Completion) -> Score:
        return Score(value=float(completion.text in self.words), reason="one of the words")


def failing(rule: Rule, measures: tuple[str, ...] = ()) -> Scorer:
    """A scorer that keeps the contract but for one rule."""
    declared = measures

    @record
    class Broken:
        measures: ClassVar[tuple[str, ...]] = declared

        def score(self, case: Case, completion: Completion) -> Score:
            return rule(case, completion)

    return Broken()


def test_good_scorer_passes() -> None:
    check_scorer(Good(words=("yes", "是")))


def _raises_on_empty(case: Case, completion: Completion) -> Score:
    return Score(value=0.0, reason=completion.text[0])


def _raises_on_half_a_character(case: Case, completion: Completion) -> Score:
    return Score(value=0.0, reason=f"{len(completion.text.encode())} bytes")


def _raises_on_long_text(case: Case, completion: Completion) -> Score:
    return FINE if len(completion.text) < 500_000 else Score(value=1 / 0, reason="never")


def _spoils_its_input(case: Case, completion: Completion) -> Score:
    if isinstance(case.expected, list):
        case.expected.append("c")
    return FINE


_ticks = count()


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (_raises_on_empty, "raised IndexError"),
        (_raises_on_half_a_character, "raised UnicodeEncodeError"),
        (_raises_on_long_text, "1000000 characters of 'a': raised ZeroDivisionError"),
        (_spoils_its_input, "changed its input"),
        (lambda case, completion: Score(value=1.0, reason=f"tick {next(_ticks)}"), "gave .* then"),
        (lambda case, completion: Score(value=1.5, reason="generous"), "not within 0..1"),
        (lambda case, completion: Score(value=float("nan"), reason="?"), "not within|then"),
        (lambda case, completion: Score(value=1.0, reason=" "), "no reason"),
        (lambda case, completion: 1.0, "instead of a Score"),
        (
            lambda case, completion: Score(value=1.0, reason="r", measures={"m": 1.0}),
            r"undeclared measures \['m'\]",
        ),
        (
            lambda case, completion: Score(value=1.0, reason="r", answer=completion.text),
            "does not survive JSON",
        ),
    ],
)
def test_broken_rule_is_named(rule: Rule, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_scorer(failing(rule))


def test_declared_measure_must_be_reported() -> None:
    with pytest.raises(AssertionError, match=r"declared but not reported \['length'\]"):
        check_scorer(failing(lambda case, completion: FINE, measures=("length",)))


def test_unscored_answer_need_not_be_measured() -> None:
    check_scorer(
        failing(lambda case, completion: Score(value=None, reason="cannot say"), measures=("length",))
    )


def test_slow_scorer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(case: Case, completion: Completion) -> Score:
        if len(completion.text) > 500_000:
            sum(range(2_000_000))
        return FINE

    monkeypatch.setattr(scorer_checks, "LONG_TEXT_LIMIT_S", 0.005)
    with pytest.raises(AssertionError, match=r"took .* s for 1000000 characters"):
        check_scorer(failing(slow))


def test_own_cases_are_judged_too() -> None:
    def fails_for_seven(case: Case, completion: Completion) -> Score:
        return Score(value=1.0 if case.expected != 7 else 7.0, reason="seven")

    check_scorer(failing(fails_for_seven))
    with pytest.raises(AssertionError, match=r"7\.0 is not within"):
        check_scorer(failing(fails_for_seven), cases=[Case(id="seven", messages=(), expected=7)])


def test_case_that_check_case_objects_to_must_be_unscored() -> None:
    @record
    class Careless:
        def check_case(self, case: Case) -> str | None:
            return "needs `expected`" if case.expected is None else None

        def score(self, case: Case, completion: Completion) -> Score:
            return FINE

    with pytest.raises(AssertionError, match="scored, though check_case objects"):
        check_scorer(Careless())


def test_scorer_must_be_a_frozen_record() -> None:
    class Plain:
        def score(self, case: Case, completion: Completion) -> Score:
            return FINE

    @dataclass
    class Changeable:
        word: str = "yes"

        def score(self, case: Case, completion: Completion) -> Score:
            return FINE

    with pytest.raises(AssertionError, match="Plain is not a record"):
        check_scorer(Plain())
    with pytest.raises(AssertionError, match="Changeable can be changed"):
        check_scorer(Changeable())


def test_settings_must_survive_yaml() -> None:
    @record
    class Forgetful:
        words: Json = field(default_factory=dict)

        def score(self, case: Case, completion: Completion) -> Score:
            return FINE

    check_scorer(Forgetful(words={"a": [1]}))
    with pytest.raises(AssertionError, match="come back changed"):
        check_scorer(Forgetful(words=("a", "b")))


def judged(read: Callable[[Completion], Score]) -> JudgedScorer:
    @record
    class Judged:
        def question(self, case: Case, completion: Completion) -> tuple[Message, ...]:
            return ({"role": "user", "content": f"Is this polite? {completion.text}"},)

        def read(self, case: Case, completion: Completion, reply: Completion) -> Score:
            return read(reply)

    return Judged()


def test_garbled_reply_must_be_unscored() -> None:
    def careful(reply: Completion) -> Score:
        value = {"yes": 1.0, "no": 0.0}.get(reply.text)
        return Score(value=value, reason="the judge's word" if value is not None else "a garbled reply")

    check_scorer(judged(careful))
    with pytest.raises(AssertionError, match=r"the garbled reply '' was scored 0\.0"):
        check_scorer(judged(lambda reply: Score(value=float(reply.text == "yes"), reason="the judge's word")))


def test_object_without_score_is_no_scorer() -> None:
    with pytest.raises(AssertionError, match="Case needs `score`, or `question` and `read`"):
        check_scorer(Case(id="x", messages=()))  # type: ignore[arg-type]
