"""What judging the answers of a run will take, before there are any."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.evals.cells import Cell, reference_of
from harness.evals.estimates import UNLIMITED_ANSWER_TOKENS, Count, RoleEstimate, exact_tokens, role_estimates
from harness.evals.pins import questions_about, role_needed
from harness.evals.scoring import tried
from harness.protocols import AnyScorer, PairedScorer, VectorScorer
from harness.records import Completion, Message, Question, Role, Score, ScorerSpec, record
from harness.scorers import build
from harness.serial import canonical, to_plain

# Stand in for answers that are not there yet; each is counted as the longest answer its suite allows.
_UNKNOWN = (Completion(text="[answer not given yet: 1]"), Completion(text="[answer not given yet: 2]"))


def _nothing(*_: object) -> bool:
    return False


@record
class Paid:
    """What the answer cache holds: answers, the judge's replies to a question's repeat, vectors."""

    answer: Callable[[Cell], Completion | None] = lambda _: None
    reply: Callable[[Question, int], bool] = _nothing
    vector: Callable[[str], bool] = _nothing


@record
class _Request:
    """One request to come: what is sent and the most that may come back, in tokens."""

    role: Role
    messages: Sequence[Message]
    more_tokens: int
    completion_tokens: int


def estimate_judging(
    cells: Iterable[Cell],
    models: Mapping[Role, str],
    prices: Mapping[Role, Mapping[str, float]],
    *,
    paid: Paid | None = None,
    count: Count = exact_tokens,
) -> tuple[RoleEstimate, ...]:
    """What the judge and the embedding model will be asked, a line for each; what is paid for is left out."""
    counted: dict[Role, list[int]] = {}
    for request in _requests(cells, models, paid or Paid()):
        if request.role not in models:
            continue  # told as an error of its own
        line = counted.setdefault(request.role, [0, 0, 0])
        line[0] += 1
        line[1] += count(request.messages, models[request.role]) + request.more_tokens
        line[2] += request.completion_tokens
    return role_estimates(counted, models, prices)


def _requests(cells: Iterable[Cell], models: Mapping[Role, str], paid: Paid) -> Iterator[_Request]:
    seen: set[bytes] = set()  # what is asked twice is paid for once
    for cell in cells:
        for spec in cell.suite.scorers:
            scorer = build(spec)
            if role_needed(scorer) is None:
                continue
            for request, key, is_paid in _of_scorer(spec, scorer, cell=cell, models=models, paid=paid):
                is_known = not request.more_tokens
                if is_paid or (is_known and key in seen):
                    continue
                seen.add(key)
                yield request


def _of_scorer(
    spec: ScorerSpec, scorer: AnyScorer, *, cell: Cell, models: Mapping[Role, str], paid: Paid
) -> Iterator[tuple[_Request, bytes, bool]]:
    """Every request of a scorer about one answer, what it is known by, and whether it is paid for."""
    longest = cell.suite.sampling.max_tokens or UNLIMITED_ANSWER_TOKENS
    own = paid.answer(cell) or _UNKNOWN[0]
    if isinstance(scorer, VectorScorer):
        texts = tried(spec, lambda: tuple(scorer.texts(cell.case, own)))
        for text in () if isinstance(texts, Score) else texts:
            messages = ({"role": "user", "content": text},)
            request = _Request(
                role="embedding",
                messages=messages,
                more_tokens=_unknown(messages) * longest,
                completion_tokens=0,
            )
            yield request, text.encode("utf-8", "replace"), paid.vector(text)
        return
    other = _UNKNOWN[1]
    if isinstance(scorer, PairedScorer):
        reference = reference_of(models)
        if cell.role != "candidate" or reference is None:
            return  # one comparison serves both rows
        other = paid.answer(replace(cell, role=reference)) or other
    for question in _questions(spec, scorer, cell=cell, answers=(own, other)):
        request = _Request(
            role="judge",
            messages=question.messages,
            more_tokens=_unknown(question.messages) * longest,
            completion_tokens=question.sampling.max_tokens or UNLIMITED_ANSWER_TOKENS,
        )
        for repeat in range(question.repeats):
            key = b"" if request.more_tokens else canonical([to_plain(question), repeat]).encode()
            yield request, key, not request.more_tokens and paid.reply(question, repeat)


def _questions(
    spec: ScorerSpec, scorer: AnyScorer, *, cell: Cell, answers: tuple[Completion, Completion]
) -> Sequence[Question]:
    """What a scorer will ask.

    Where it can ask nothing about an answer that is not known yet, which would have to be JSON, it is counted as asking
    once, about as much as the case and its longest answer.
    """
    questions = tried(spec, lambda: tuple(questions_about(scorer, cell.case, answers)))
    if isinstance(questions, Score):
        return ()
    if questions or answers[0] is not _UNKNOWN[0]:
        return questions
    material = {"role": "user", "content": answers[0].text}
    return (Question(name="", messages=(*cell.case.messages, material)),)


def _unknown(messages: Sequence[Message]) -> int:
    """How many answers that are not there yet stand in some messages."""
    text = "\n".join(str(message.get("content")) for message in messages)
    return sum(text.count(answer.text) for answer in _UNKNOWN)
