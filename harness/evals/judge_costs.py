"""What judging the answers of a run will take, before there are any."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.evals.cells import Cell, reference_of
from harness.evals.estimates import (
    Count,
    RoleEstimate,
    Scales,
    Share,
    answer_length,
    exact_tokens,
    role_estimates,
)
from harness.evals.lengths import Length, longest
from harness.evals.pins import questions_about, role_needed
from harness.evals.precedents import Precedents
from harness.evals.scoring import tried
from harness.protocols import AnyScorer, PairedScorer, VectorScorer
from harness.records import Completion, Message, Question, Role, Score, ScorerSpec, record
from harness.scorers import build
from harness.serial import canonical, to_plain

# Stand in for answers that are not there yet; each is counted as the longest answer its suite allows.
_UNKNOWN = (Completion(text="[answer not given yet: 1]"), Completion(text="[answer not given yet: 2]"))


_NOTHING = Length(low=0, likely=0, high=0)


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
    """One request to come: what is sent, and what is not known yet of it, in tokens."""

    role: Role
    cell: Cell
    messages: Sequence[Message]
    more: Length
    completion: Length
    chance: float = 1.0


def estimate_judging(
    cells: Iterable[Cell],
    models: Mapping[Role, str],
    prices: Mapping[Role, Mapping[str, float]],
    *,
    paid: Paid | None = None,
    count: Count = exact_tokens,
    precedents: Precedents | None = None,
) -> tuple[RoleEstimate, ...]:
    """What the judge and the embedding model will be asked, a line for each; what is paid for is left out."""
    listed = list(cells)
    scales = Scales(listed, models, count=count, precedents=precedents)
    shares: dict[Role, Share] = {}
    for request in _requests(listed, models, paid or Paid(), precedents):
        if request.role not in models:
            continue  # told as an error of its own
        prompt = _prompt(request, models[request.role], count=count, precedents=precedents)
        share = shares.get(request.role, Share())
        shares[request.role] = share.with_request(prompt, request.completion, chance=request.chance)
    return role_estimates(shares, models, prices, scales=scales)


def _prompt(request: _Request, model: str, *, count: Count, precedents: Precedents | None) -> Length:
    """The tokens of a question: as many as it had before, else those of its text and of the answers in it."""
    asked = precedents.question(request.cell, model) if precedents and request.role == "judge" else None
    if asked is not None:
        return Length(low=asked, likely=asked, high=asked)
    tokens, more = count(request.messages, model), request.more
    return Length(low=tokens + more.low, likely=tokens + more.likely, high=tokens + more.high)


def _requests(
    cells: Iterable[Cell], models: Mapping[Role, str], paid: Paid, precedents: Precedents | None
) -> Iterator[_Request]:
    seen: set[bytes] = set()  # what is asked twice is paid for once
    asking: dict[str, list[tuple[ScorerSpec, AnyScorer]]] = {}
    for cell in cells:
        suite = cell.suite
        if suite.name not in asking:
            built = [(spec, build(spec)) for spec in suite.scorers]
            asking[suite.name] = [(spec, scorer) for spec, scorer in built if role_needed(scorer) is not None]
        for spec, scorer in asking[suite.name]:
            matter = _Matter(cell=cell, spec=spec, models=models, paid=paid, precedents=precedents)
            for request, key, is_paid in _of_scorer(scorer, matter):
                is_known = not request.more.high
                if is_paid or (is_known and key in seen):
                    continue
                seen.add(key)
                yield request


@record
class _Matter:
    """An answer and one entry of its suite's scorers, with all that decides what judging it takes."""

    cell: Cell
    spec: ScorerSpec
    models: Mapping[Role, str]
    paid: Paid
    precedents: Precedents | None

    @property
    def answer(self) -> Length:
        """The length of the answer, while it is not known."""
        return answer_length(self.cell, self.models[self.cell.role], self.precedents)

    def chance(self, unknown: int) -> float:
        """That a question with so many unknown answers in it is new: where all repeat an earlier trial's it is answered."""
        repeats = self.precedents.repeats(self.cell) if self.precedents is not None else 0.0
        return 1.0 - repeats**unknown

    def reply(self, question: Question) -> Length:
        """The length of the judge's reply to a question."""
        limit, judge = question.sampling.max_tokens, self.models.get("judge", "")
        if self.precedents is None:
            return longest(limit)
        return self.precedents.reply(self.cell.suite.name, judge, max_tokens=limit)


def _of_scorer(scorer: AnyScorer, matter: _Matter) -> Iterator[tuple[_Request, bytes, bool]]:
    """Every request of a scorer about one answer, what it is known by, and whether it is paid for."""
    cell, paid = matter.cell, matter.paid
    own = paid.answer(cell) or _UNKNOWN[0]
    if isinstance(scorer, VectorScorer):
        yield from _of_vectors(scorer, matter, own=own)
        return
    other = _UNKNOWN[1]
    if isinstance(scorer, PairedScorer):
        reference = reference_of(matter.models)
        if cell.role != "candidate" or reference is None:
            return  # one comparison serves both rows
        other = paid.answer(replace(cell, role=reference)) or other
    for question in _questions(matter.spec, scorer, cell=cell, answers=(own, other)):
        unknown = _unknown(question.messages)
        request = _Request(
            role="judge",
            cell=cell,
            messages=question.messages,
            more=matter.answer.times(unknown) if unknown else _NOTHING,
            completion=matter.reply(question),
            chance=matter.chance(unknown) if unknown else 1.0,
        )
        for repeat in range(question.repeats):
            key = b"" if unknown else canonical([to_plain(question), repeat]).encode()
            yield request, key, not unknown and paid.reply(question, repeat)


def _of_vectors(
    scorer: VectorScorer, matter: _Matter, *, own: Completion
) -> Iterator[tuple[_Request, bytes, bool]]:
    texts = tried(matter.spec, lambda: tuple(scorer.texts(matter.cell.case, own)))
    for text in () if isinstance(texts, Score) else texts:
        messages = ({"role": "user", "content": text},)
        unknown = _unknown(messages)
        request = _Request(
            role="embedding",
            cell=matter.cell,
            messages=messages,
            more=matter.answer.times(unknown) if unknown else _NOTHING,
            completion=_NOTHING,
            chance=matter.chance(unknown) if unknown else 1.0,
        )
        yield request, text.encode("utf-8", "replace"), matter.paid.vector(text)


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
