from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

import pytest

from harness.protocols import JudgedScorer, PairedScorer, PanelScorer, Replies, Scorer, VectorScorer
from harness.records import Case, Completion, Failure, Json, Message, Question, Score, record
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


def panel(read: Callable[[Replies], Score], names: tuple[str, ...] = ("tone", "facts")) -> PanelScorer:
    @record
    class Panel:
        def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
            message = {"role": "user", "content": completion.text}
            return tuple(Question(name=name, messages=(message,), repeats=2) for name in names)

        def read_all(self, case: Case, completion: Completion, replies: Replies) -> Score:
            return read(replies)

    return Panel()


def _said_yes(replies: Replies) -> Score:
    texts = [reply.text for pair in replies.values() for reply in pair if isinstance(reply, Completion)]
    if any(text not in {"yes", "no"} for text in texts) or not texts:
        return Score(value=None, reason="a reply is garbled or missing")
    return Score(value=texts.count("yes") / len(texts), reason="the share of yes")


def _failure_is_no(replies: Replies) -> Score:
    failed = any(isinstance(reply, Failure) for pair in replies.values() for reply in pair)
    return Score(value=0.0 if failed else None, reason="no reply is a no")


def test_panel_of_questions_keeps_the_contract() -> None:
    check_scorer(panel(_said_yes))
    with pytest.raises(AssertionError, match="two questions have one name"):
        check_scorer(panel(_said_yes, names=("tone", "tone")))
    with pytest.raises(AssertionError, match=r"the missing reply was scored 0\.0"):
        check_scorer(panel(_failure_is_no))


def test_pair_of_answers_keeps_the_contract() -> None:
    @record
    class Paired:
        def comparisons(self, case: Case, completion: Completion, other: Completion) -> tuple[Question, ...]:
            message = {"role": "user", "content": f"{completion.text} or {other.text}?"}
            return (Question(name="which", messages=(message,)),)

        def read_comparison(self, case: Case, completion: Completion, replies: Replies) -> Score:
            return read(replies)

    read = _said_yes
    scorer: PairedScorer = Paired()
    check_scorer(scorer)
    read = _failure_is_no
    with pytest.raises(AssertionError, match=r"the missing reply was scored 0\.0"):
        check_scorer(scorer)


def test_vectors_without_numbers_must_not_be_scored() -> None:
    @record
    class Embedded:
        def texts(self, case: Case, completion: Completion) -> tuple[str, ...]:
            return (completion.text, "the reference")

        def read_vectors(
            self, case: Case, completion: Completion, vectors: Sequence[Sequence[float]]
        ) -> Score:
            return Score(value=rule(vectors[0][1]), reason="the second component")

    def bounded(component: float) -> float | None:
        return min(max(component, 0.0), 1.0) if component == component else None

    def trusting(component: float) -> float | None:
        return component

    rule = bounded
    scorer: VectorScorer = Embedded()
    check_scorer(scorer)
    rule = trusting
    with pytest.raises(AssertionError, match=r"is not within 0\.\.1"):
        check_scorer(scorer)


def test_object_without_score_is_no_scorer() -> None:
    with pytest.raises(AssertionError, match="Case needs `score`, or `question` and `read`"):
        check_scorer(Case(id="x", messages=()))  # type: ignore[arg-type]
