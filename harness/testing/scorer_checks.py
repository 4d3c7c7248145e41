"""Does a scorer keep its contract? The same checks for built-in scorers and for anybody's own."""

import copy
import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence

from harness.protocols import (
    AnyScorer,
    FileScorer,
    JudgedScorer,
    MeasuringScorer,
    PairedScorer,
    PanelScorer,
    Replies,
    Scorer,
    VectorScorer,
)
from harness.records import Case, Completion, Failure, Json, Question, Score, ToolCall
from harness.serial import ParseError, from_json, parse, read_yaml, shown, to_json, to_plain
from harness.testing.requirement import require

LONG_TEXT_CHARACTERS = 1_000_000
LONG_ANSWER_CHARACTERS = 1000
# Processor time, so that a busy machine does not fail a good scorer.
LONG_TEXT_LIMIT_S = 1.0

_EXPECTATIONS: tuple[Json, ...] = (
    None, "billing", "comply", "refuse", "", "42", 42, 1.5, True, ["a", "b"], [], {"city": "北京", "n": {"m": 1}}, {},
)  # fmt: skip
_TEXTS = (
    "",
    " \t\n ",
    "billing",
    "Answer: **billing**.",
    "北京。今天１２３４ 👩‍👩‍👧‍👦🇨🇳",
    "مرحبا بالعالم \u202e שלום",
    "NUL \x00, half a character \ud83d, \udc00 and \ufffe",
    "e\u0301" * 50 + "\u200b\u200d\ufe0f",
    '{"city": "北京", "n": {"m": 1}}',
    '```json\n{"city": NaN, "city": 1e999}\n```',
    '{"a":' * 5000,
    "[" * 100_000,
    '"' + "\\" * 999,
    "1" * 5000,
    "(((*)+)+)+$ ^[a-z]{9999}",
    "I'm sorry, but I can't help with that.",
    "<script>alert(1)</script> {{ 7*7 }} %s %(x)s {0}",
)
_LONG_PIECES = ("a", " ", "word, ", "北京。", "{", "👩‍👩‍👧‍👦", "e\u0301", ". ")
_ODD_COMPLETIONS = (
    Completion(text="", finish_reason="stop"),
    Completion(text="", finish_reason="length"),
    Completion(text="", finish_reason="content_filter"),
    Completion(text="", refusal="I can't help with that.", finish_reason="stop"),
    Completion(text="", tool_calls=(ToolCall(name="look_up", arguments="{"),), finish_reason="tool_calls"),
)
_GARBLED = ("", "   ", "%$#@!", "{", '{"score":', "\x00\ud83d", "I cannot say. " * 50)
_ODD_ROWS: tuple[Json, ...] = (
    None, 1, "", [], {}, {"messages": []}, {"messages": [{"role": "assistant"}]}, {"prompt": 1},
    {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a\x00b\ud83d"}]},
)  # fmt: skip
_OTHER_TEXTS = ("", "billing")
_COMPONENTS = (0.0, 1.0, -1.0, 1e300, float("nan"))


def check_scorer(
    scorer: AnyScorer, *, cases: Iterable[Case] | None = None, rows: Iterable[Json] = ()
) -> None:
    """Check that a scorer keeps its contract.

    The same input gives the same Score and is left unchanged; a value is None or within 0..1; the reason
    is not empty; the measures are those the class declares; nothing raises on empty, very long (1 MB, in
    under a second), multilingual or malformed text, nor on an `expected` of the wrong kind; a case that
    `check_case` objects to is unscored; the settings survive a round trip through YAML and cannot be
    changed; questions to a judge are the same each time, and told apart by their names; a reply that the judge
    garbled, or never gave, is unscored.

    Args:
        scorer: With settings as a suite would give them.
        cases: Cases of your own, judged besides the built-in ones.
        rows: What the file of a scorer that judges by one holds, besides rows that no training takes.

    Raises:
        AssertionError: What it broke, in a sentence.
    """
    _check_settings(scorer)
    own = tuple(cases or ())
    known = tuple(_case(expected) for expected in _EXPECTATIONS)
    completions = (*map(_completion, _TEXTS), *_ODD_COMPLETIONS)
    kinds = (Scorer, JudgedScorer, PanelScorer, PairedScorer, VectorScorer, FileScorer)
    require(isinstance(scorer, kinds), f"{_name(scorer)} needs `score`, or `question` and `read`")
    if not isinstance(scorer, (Scorer, FileScorer)):
        for case in (*known, *own):
            _check_complaint(scorer, case)
            for completion in completions:
                _check_asking(scorer, case, completion)
        return
    judge = _prepared(scorer, rows) if isinstance(scorer, FileScorer) else scorer.score
    for case in (*known, *own):
        _check_complaint(scorer, case)
        for completion in completions:
            _check_score(scorer, lambda: judge(case, completion), case, completion)  # noqa: B023 - called at once
    judged = own or tuple(case for case in known if _complaint(scorer, case) is None)
    for case in judged[:1]:
        _check_speed(scorer, judge, case)


# --- settings -------------------------------------------------------------------------------------


def _check_settings(scorer: object) -> None:
    cls = type(scorer)
    require(dataclasses.is_dataclass(cls), f"{_name(scorer)} is not a record; decorate it with @record")
    require(_is_frozen(scorer), f"{_name(scorer)} can be changed; decorate it with @record")
    plain = to_plain(scorer)
    try:
        again = parse(cls, read_yaml(json.dumps(plain, ensure_ascii=False)).data)
    except (ParseError, TypeError) as error:
        raise AssertionError(f"the settings of {_name(scorer)} do not survive YAML: {error}") from error
    require(again == scorer, f"the settings of {_name(scorer)} come back changed: {shown(again, 200)}")


def _is_frozen(scorer: object) -> bool:
    names = [item.name for item in dataclasses.fields(scorer)] or ["anything"]  # type: ignore[arg-type]
    try:
        setattr(scorer, names[0], getattr(scorer, names[0], None))
    except (AttributeError, TypeError):
        return True
    return False


# --- judging --------------------------------------------------------------------------------------


def _check_score(scorer: AnyScorer, judge: Callable[[], Score], case: Case, completion: Completion) -> Score:
    where = f"{_name(scorer)} on {shown(completion.text)} with expected {shown(case.expected)}"
    case_before, completion_before = copy.deepcopy(case), copy.deepcopy(completion)
    try:
        score, again = judge(), judge()
    except Exception as error:
        raise AssertionError(f"{where}: raised {type(error).__name__}: {error}") from error
    require(isinstance(score, Score), f"{where}: gave {type(score).__name__} instead of a Score")
    require(score == again, f"{where}: gave {score}, then {again}")
    unchanged = (case, completion) == (case_before, completion_before)
    require(unchanged, f"{where}: changed its input")
    require(score.value is None or 0 <= score.value <= 1, f"{where}: {score.value} is not within 0..1")
    require(bool(score.reason.strip()), f"{where}: no reason is given")
    declared, reported = set(_measures(scorer)), set(score.measures)
    require(reported <= declared, f"{where}: undeclared measures {sorted(reported - declared)}")
    # A judge may have said nothing that a measure is about.
    complete = score.value is None or reported == declared or not isinstance(scorer, Scorer)
    require(complete, f"{where}: declared but not reported {sorted(declared - reported)}")
    require(from_json(Score, to_json(score)) == score, f"{where}: the Score does not survive JSON")
    if _complaint(scorer, case) is not None:
        require(score.value is None, f"{where}: scored, though check_case objects")
    return score


def _check_asking(
    scorer: JudgedScorer | PanelScorer | PairedScorer | VectorScorer, case: Case, completion: Completion
) -> None:
    if isinstance(scorer, VectorScorer):
        _check_vectors(scorer, case, completion)
    elif isinstance(scorer, PairedScorer):
        for other in map(_completion, (*_OTHER_TEXTS, completion.text)):
            _check_questions(
                scorer,
                lambda: scorer.comparisons(case, completion, other),  # noqa: B023 - called at once
                lambda replies: scorer.read_comparison(case, completion, replies),
                case=case,
                completion=completion,
            )
    elif isinstance(scorer, PanelScorer):
        _check_questions(
            scorer,
            lambda: scorer.questions(case, completion),
            lambda replies: scorer.read_all(case, completion, replies),
            case=case,
            completion=completion,
        )
    else:
        _check_judged(scorer, case, completion)


def _check_judged(scorer: JudgedScorer, case: Case, completion: Completion) -> None:
    def ask() -> tuple[Question, ...]:
        messages = scorer.question(case, completion)
        require(bool(messages), f"{_name(scorer)} on {shown(completion.text)}: asks the judge nothing")
        return (Question(name="question", messages=messages),)

    def read(replies: Replies) -> Score:
        (reply,) = replies["question"]
        if isinstance(reply, Failure):  # which the runner reads itself
            return Score(value=None, reason=reply.message)
        return scorer.read(case, completion, reply)

    _check_questions(scorer, ask, read, case=case, completion=completion)


def _check_questions(
    scorer: JudgedScorer | PanelScorer | PairedScorer,
    ask: Callable[[], Sequence[Question]],
    read: Callable[[Replies], Score],
    *,
    case: Case,
    completion: Completion,
) -> None:
    where = f"{_name(scorer)} on {shown(completion.text)}"
    try:
        questions, again = ask(), ask()
    except Exception as error:
        raise AssertionError(f"{where}: question raised {type(error).__name__}: {error}") from error
    require(questions == again, f"{where}: asks differently the second time")
    names = [question.name for question in questions]
    require(len(set(names)) == len(names), f"{where}: two questions have one name: {names}")
    for question in questions:
        sent = question.messages
        roles = bool(sent) and all(message.get("role") and "content" in message for message in sent)
        require(roles, f"{where}: a message to the judge lacks its role or content")
    if not questions:
        _check_score(scorer, lambda: read({}), case, completion)
        return
    # Every garbled reply to short answers, one of them to long ones, which take their time.
    garbled = _GARBLED if len(completion.text) < LONG_ANSWER_CHARACTERS else _GARBLED[-1:]
    lost: tuple[Completion | Failure, ...] = (Failure(kind="timeout", message="no reply"),)
    for reply in (*map(_completion, garbled), *lost):
        replies = {question.name: (reply,) * question.repeats for question in questions}
        value = _check_score(scorer, lambda: read(replies), case, completion).value  # noqa: B023 - called at once
        said = "missing reply" if isinstance(reply, Failure) else f"garbled reply {shown(reply.text)}"
        require(value is None, f"{where}: the {said} was scored {value}")


def _check_vectors(scorer: VectorScorer, case: Case, completion: Completion) -> None:
    where = f"{_name(scorer)} on {shown(completion.text)}"
    try:
        texts, again = scorer.texts(case, completion), scorer.texts(case, completion)
    except Exception as error:
        raise AssertionError(f"{where}: texts raised {type(error).__name__}: {error}") from error
    require(texts == again, f"{where}: embeds something else the second time")
    for component in _COMPONENTS:
        vectors = [(1.0, component)] * len(texts)
        _check_score(scorer, lambda: scorer.read_vectors(case, completion, vectors), case, completion)  # noqa: B023 - called at once


def _measures(scorer: object) -> tuple[str, ...]:
    if isinstance(scorer, MeasuringScorer):
        return scorer.measure_names()
    return tuple(getattr(scorer, "measures", ()))


def _prepared(scorer: FileScorer, rows: Iterable[Json]) -> Callable[[Case, Completion], Score]:
    """The scorer with its file read: it must bear rows of every kind."""
    try:
        prepared = scorer.prepare(enumerate((*_ODD_ROWS, *rows), start=1))
    except Exception as error:
        raise AssertionError(f"{_name(scorer)}: prepare raised {type(error).__name__}: {error}") from error
    return lambda case, completion: scorer.score_by(case, completion, prepared)


def _check_speed(scorer: AnyScorer, judge: Callable[[Case, Completion], Score], case: Case) -> None:
    for piece in _LONG_PIECES:
        text = (piece * (LONG_TEXT_CHARACTERS // len(piece) + 1))[:LONG_TEXT_CHARACTERS]
        started = time.process_time()
        try:
            judge(case, _completion(text))
        except Exception as error:
            where = f"{_name(scorer)} on {LONG_TEXT_CHARACTERS} characters of {piece!r}"
            raise AssertionError(f"{where}: raised {type(error).__name__}: {error}") from error
        took = time.process_time() - started
        require(
            took < LONG_TEXT_LIMIT_S,
            f"{_name(scorer)} took {took:.1f} s for {LONG_TEXT_CHARACTERS} characters of {piece!r}",
        )


def _check_complaint(scorer: AnyScorer, case: Case) -> None:
    try:
        complaint = _complaint(scorer, case)
    except Exception as error:
        raise AssertionError(f"{_name(scorer)}: check_case raised {type(error).__name__}") from error
    require(
        complaint is None or bool(complaint.strip()), f"{_name(scorer)}: check_case objects without a word"
    )


def _complaint(scorer: object, case: Case) -> str | None:
    check: Callable[[Case], str | None] | None = getattr(scorer, "check_case", None)
    return check(case) if check is not None else None


def _case(expected: Json) -> Case:
    return Case(id="check", messages=({"role": "user", "content": "?"},), expected=expected)


def _completion(text: str) -> Completion:
    return Completion(text=text, finish_reason="stop")


def _name(scorer: object) -> str:
    return type(scorer).__name__
