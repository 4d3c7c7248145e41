"""An answer put to the scorers of its suite: what they want to know is asked for them, what they say is kept."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TypeAlias

from harness.evals.bills import bill_of, total_bill
from harness.evals.cells import Cell, reference_of
from harness.evals.file_scoring import scored_by_file
from harness.evals.requests import Requests
from harness.evals.scoring import guarded, tried
from harness.protocols import (
    FileScorer,
    JudgedScorer,
    PairedScorer,
    PanelScorer,
    Replies,
    Scorer,
    VectorScorer,
)
from harness.records import (
    Bill,
    Completion,
    Embedding,
    Failure,
    Question,
    Role,
    Score,
    ScorerSpec,
    Suite,
    record,
)
from harness.scorers import build

AskingScorer: TypeAlias = JudgedScorer | PanelScorer | PairedScorer | VectorScorer | FileScorer
NO_JUDGE = "no judge is configured: set `judge` or --judge"
NO_EMBEDDER = "no embedding model is configured: set `embedding` or --embedding"


@record
class Judgement:
    """What the scorers of a suite say of one answer, by their names; what that took, by role."""

    scores: Mapping[str, Score] = field(default_factory=dict)
    bills: Mapping[str, Bill] = field(default_factory=dict)


@record
class _Judged:
    """What one scorer says, and what it took."""

    score: Score
    bills: Mapping[Role, Bill] = field(default_factory=dict)


async def judged(cell: Cell, completion: Completion, requests: Requests) -> Judgement:
    """What each scorer of the suite says about an answer; the questions of all of them are asked at once.

    A scorer that breaks leaves the answer unscored, and says how and where: a bug in one
    loses neither the answer nor what the others say.
    """
    specs = cell.suite.scorers
    found = await asyncio.gather(*(_judged(spec, cell, completion, requests) for spec in specs))
    roles = dict.fromkeys(role for one in found for role in one.bills)
    return Judgement(
        scores={spec.name: one.score for spec, one in zip(specs, found, strict=True)},
        bills={role: total_bill(one.bills[role] for one in found if role in one.bills) for role in roles},
    )


async def shared_answer(cell: Cell, requests: Requests) -> Completion | Failure:
    """The answer to a cell; where answers are compared, the one that is judged is the one that is compared."""
    suite = cell.suite
    # The suite is kept too: what has the id of another's lives no longer.
    _, compares = requests.keep(("pairs", id(suite)), lambda: (suite, is_paired(suite)))
    if not compares:
        return await requests.answer(cell)
    return await requests.once(cell.key, lambda: requests.answer(cell))


def is_paired(suite: Suite) -> bool:
    """Whether a scorer of the suite compares the candidate's answers with the reference's."""
    return any(isinstance(build(spec), PairedScorer) for spec in suite.scorers)


async def _judged(spec: ScorerSpec, cell: Cell, completion: Completion, requests: Requests) -> _Judged:
    case = cell.case
    # Looking which of the protocols an object keeps takes longer than most scorers' work.
    _, pure, scorer = requests.keep(("scorer", id(spec)), lambda: _built(spec))
    if pure is not None:
        return _Judged(score=guarded(spec, lambda: pure.score(case, completion)))
    assert scorer is not None, "a scorer is of one kind"
    if isinstance(scorer, FileScorer):
        score = await scored_by_file(spec, scorer, cell=cell, completion=completion, requests=requests)
        return _Judged(score=score)
    if isinstance(scorer, PairedScorer):
        return await _paired(spec, scorer, cell=cell, requests=requests)
    if isinstance(scorer, VectorScorer):
        return await _embedded(spec, scorer, cell=cell, completion=completion, requests=requests)
    if isinstance(scorer, PanelScorer):
        return await _asked(
            spec,
            lambda: scorer.questions(case, completion),
            lambda replies: scorer.read_all(case, completion, replies),
            requests=requests,
        )
    return await _asked(
        spec,
        lambda: (only_question(scorer, cell, completion),),
        lambda replies: scorer.read(case, completion, _only(replies)),
        requests=requests,
    )


def _built(spec: ScorerSpec) -> tuple[ScorerSpec, Scorer | None, AskingScorer | None]:
    """The scorer of an entry, as one that judges alone or as one that asks; with the entry, whose id must stay its own."""
    scorer = build(spec)
    return (spec, scorer, None) if isinstance(scorer, Scorer) else (spec, None, scorer)


def only_question(scorer: JudgedScorer, cell: Cell, completion: Completion) -> Question:
    """The one question of a scorer that has one."""
    return Question(name="", messages=tuple(scorer.question(cell.case, completion)))


def _only(replies: Replies) -> Completion:
    (reply,) = replies[""]
    assert isinstance(reply, Completion), "read although the judge did not answer"
    return reply


# --- the judge -------------------------------------------------------------------------------------


async def _asked(
    spec: ScorerSpec,
    ask: Callable[[], tuple[Question, ...]],
    read: Callable[[Replies], Score],
    *,
    requests: Requests,
) -> _Judged:
    """The Score read from the judge's replies; unscored where it gave none, and its trouble is noted."""
    questions = tried(spec, lambda: _sound(ask()))
    if isinstance(questions, Score):
        return _Judged(score=questions)
    if questions and "judge" not in requests.models:
        return _Judged(score=Score(value=None, reason=NO_JUDGE))
    replies = await _replies(questions, requests)
    given = [reply for several in replies.values() for reply in several]
    failures = [reply for reply in given if isinstance(reply, Failure)]
    bills: dict[Role, Bill] = {"judge": bill_of(given)} if given else {}
    if failures and len(failures) == len(given):
        return _Judged(score=_unanswered("judge", failures), bills=bills)
    score = guarded(spec, lambda: read(replies))
    if failures and score.value is None and not score.broken:
        score = replace(score, failure=_telling(failures))
    return _Judged(score=score, bills=bills)


def _sound(questions: Iterable[Question]) -> tuple[Question, ...]:
    """The questions, if every reply will find its way back.

    Raises:
        ValueError: Two have one name, or one is never asked.
    """
    listed = tuple(questions)
    names = [question.name for question in listed]
    for question in listed:
        if names.count(question.name) > 1:
            raise ValueError(f"two questions to the judge are called {question.name!r}")
        if question.repeats < 1:
            raise ValueError(f"the question {question.name!r} is asked {question.repeats} times")
    return listed


async def _replies(questions: Sequence[Question], requests: Requests) -> Replies:
    """Every question put as often as it wants; a repeat is a trial of its own, so that no cache answers for it."""
    asked = [(question, repeat) for question in questions for repeat in range(question.repeats)]
    given = await asyncio.gather(
        *(
            requests.complete("judge", question.messages, question.sampling, trial=repeat)
            for question, repeat in asked
        )
    )
    found: dict[str, list[Completion | Failure]] = {question.name: [] for question in questions}
    for (question, _), reply in zip(asked, given, strict=True):
        found[question.name].append(reply)
    return {name: tuple(several) for name, several in found.items()}


def _telling(failures: Sequence[Failure]) -> Failure:
    """The failure that says most: what was not asked, was not because of another."""
    return next((failure for failure in failures if failure.kind != "not_asked"), failures[0])


def _unanswered(role: Role, failures: Sequence[Failure]) -> Score:
    failure = _telling(failures)
    who = "the judge" if role == "judge" else "the embedding model"
    return Score(value=None, reason=f"{who} did not answer: {failure.message}", failure=failure)


# --- pairs -----------------------------------------------------------------------------------------


async def _paired(spec: ScorerSpec, scorer: PairedScorer, *, cell: Cell, requests: Requests) -> _Judged:
    """The candidate's side of a comparison, or the reference's; both come from the same replies."""
    reference = reference_of(requests.models)
    if reference is None or "candidate" not in requests.models:
        return _Judged(
            score=Score(value=None, reason="there is no second model to compare with: give --base MODEL")
        )
    if cell.role not in {"candidate", reference}:
        why = f"compared are the candidate and the {reference} model"
        return _Judged(score=Score(value=None, reason=why))
    own = replace(cell, role="candidate")
    found = await requests.once(
        (own.key, spec.name),
        lambda: _compared(spec, scorer, cells=(own, replace(cell, role=reference)), requests=requests),
    )
    # One comparison serves both rows; its bill stands in the candidate's.
    return found if cell.role == "candidate" else _Judged(score=_of_reference(found.score))


async def _compared(
    spec: ScorerSpec, scorer: PairedScorer, *, cells: tuple[Cell, Cell], requests: Requests
) -> _Judged:
    outcomes = await asyncio.gather(*(shared_answer(cell, requests) for cell in cells))
    for cell, outcome in zip(cells, outcomes, strict=True):
        if isinstance(outcome, Failure):
            why = f"the {cell.role} model gave no answer to compare with: {outcome.message}"
            return _Judged(score=Score(value=None, reason=why))
    case, (own, other) = cells[0].case, [outcome for outcome in outcomes if isinstance(outcome, Completion)]
    return await _asked(
        spec,
        lambda: scorer.comparisons(case, own, other),
        lambda replies: scorer.read_comparison(case, own, replies),
        requests=requests,
    )


def _of_reference(score: Score) -> Score:
    """The other side of the candidate's Score: what one wins the other loses, and a tie is one for both."""
    if score.value is None:
        return score
    return replace(score, value=1.0 - score.value, reason=f"the candidate's side: {score.reason}")


# --- vectors ---------------------------------------------------------------------------------------


async def _embedded(
    spec: ScorerSpec, scorer: VectorScorer, *, cell: Cell, completion: Completion, requests: Requests
) -> _Judged:
    texts = tried(spec, lambda: tuple(scorer.texts(cell.case, completion)))
    if isinstance(texts, Score):
        return _Judged(score=texts)
    if texts and requests.embedder is None:
        return _Judged(score=Score(value=None, reason=NO_EMBEDDER))
    given = await asyncio.gather(*(requests.embed(text) for text in texts))
    bills: dict[Role, Bill] = {"embedding": bill_of(given)} if given else {}
    failures = [one for one in given if isinstance(one, Failure)]
    if failures:
        return _Judged(score=_unanswered("embedding", failures), bills=bills)
    vectors = [one.vector for one in given if isinstance(one, Embedding)]
    score = guarded(spec, lambda: scorer.read_vectors(cell.case, completion, vectors))
    return _Judged(score=score, bills=bills)
