import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
from eval_samples import Echo, suite

from harness.evals import Prefetcher, cells_of, evaluate, opened
from harness.protocols import Embedder, Model, Replies
from harness.records import (
    Bill,
    Case,
    Completion,
    Embedding,
    Failure,
    Message,
    Question,
    Result,
    Role,
    Sampling,
    Score,
    ScorerSpec,
    Suite,
    Usage,
    record,
)

WRONG_KEY = Failure(kind="auth", message="wrong key", fatal=True)
DOWN = Failure(kind="server", message="500")


def question(name: str, answer: str, *, repeats: int = 1) -> Question:
    return Question(
        name=name, messages=({"role": "user", "content": f"{name} of {answer}"},), repeats=repeats
    )


def mean(replies: Replies) -> float | None:
    values = [
        float(one.text) for several in replies.values() for one in several if isinstance(one, Completion)
    ]
    return sum(values) / len(values) if values else None


@record
class Panel:
    """Two questions, one of them twice."""

    def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
        return (question("wit", completion.text), question("depth", completion.text, repeats=2))

    def read_all(self, case: Case, completion: Completion, replies: Replies) -> Score:
        complete = all(isinstance(one, Completion) for several in replies.values() for one in several)
        return Score(value=mean(replies) if complete else None, reason=str(sorted(replies)))


@record
class Twins(Panel):
    """Two questions of one name."""

    def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
        return (question("wit", completion.text), question("wit", completion.text))


@record
class Silent(Panel):
    """It asks nothing."""

    def questions(self, case: Case, completion: Completion) -> tuple[Question, ...]:
        return ()

    def read_all(self, case: Case, completion: Completion, replies: Replies) -> Score:
        return Score(value=1.0, reason=f"{len(replies)} replies")


@record
class Single:
    """One question, one reply."""

    def question(self, case: Case, completion: Completion) -> tuple[Message, ...]:
        return ({"role": "user", "content": f"one of {completion.text}"},)

    def read(self, case: Case, completion: Completion, reply: Completion) -> Score:
        return Score(value=float(reply.text), reason="read")


@record
class Pair:
    """The judge sees both answers."""

    measures: ClassVar[tuple[str, ...]] = ("length",)

    def comparisons(self, case: Case, completion: Completion, other: Completion) -> tuple[Question, ...]:
        return (question(f"{completion.text} or", other.text),)

    def read_comparison(self, case: Case, completion: Completion, replies: Replies) -> Score:
        return Score(value=mean(replies), reason=f"for {completion.text}", measures={"length": 1.0})


@record
class Near:
    """How alike answer and expectation are."""

    def texts(self, case: Case, completion: Completion) -> tuple[str, ...]:
        return (completion.text, str(case.expected))

    def read_vectors(self, case: Case, completion: Completion, vectors: Sequence[Sequence[float]]) -> Score:
        return Score(value=float(vectors[0] == vectors[1]), reason="compared")


class Judge(Echo):
    """It says 0.5, or as told; it remembers every question with its repeat."""

    def __init__(self, reply: Callable[[str], Completion | Failure] | None = None) -> None:
        super().__init__(
            "judge",
            reply or (lambda _: Completion(text="0.5", usage=Usage(prompt_tokens=10, completion_tokens=2))),
        )
        self.put: list[tuple[str, int]] = []

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        self.put.append((str(messages[-1]["content"]), trial))
        return await super().complete(messages, sampling, trial=trial)


class Lengths:
    """An embedder: a text is as long as it is."""

    name = "lengths"

    def __init__(self, failure: Failure | None = None) -> None:
        self.failure = failure

    async def embed(self, text: str) -> Embedding | Failure:
        return self.failure or Embedding(vector=(float(len(text)),), prompt_tokens=len(text))


def judged_suite(kind: type, size: int = 1, *, trials: int = 1) -> Suite:
    spec = ScorerSpec(type=f"{__name__}:{kind.__name__}", name="own")
    return replace(suite(size, trials=trials), scorers=(spec,))


def rows(
    of: Suite, models: Mapping[Role, Model], *, embedder: Embedder | None = None, concurrency: int = 32
) -> dict[tuple[str, Role], Result]:
    async def gather() -> list[Result]:
        return [row async for row in evaluate(of, models, embedder=embedder, concurrency=concurrency)]

    return {(row.case, row.role): row for row in asyncio.run(gather())}


# --- the judge -------------------------------------------------------------------------------------


def test_every_question_is_put_as_often_as_it_says_each_time_as_another_trial() -> None:
    judge = Judge()
    row = rows(judged_suite(Panel), {"candidate": Echo(), "judge": judge})["n0", "candidate"]
    assert sorted(judge.put) == [("depth of 0", 0), ("depth of 0", 1), ("wit of 0", 0)]
    assert row.scores["own"] == Score(value=0.5, reason="['depth', 'wit']")
    usage = Usage(prompt_tokens=30, completion_tokens=6)
    assert row.bills == {"judge": Bill(answered=3, usage=usage)}


def test_questions_are_put_at_once_and_within_the_concurrency() -> None:
    judge = Judge()
    rows(judged_suite(Panel, 8), {"candidate": Echo(), "judge": judge}, concurrency=5)
    assert judge.most_at_once == 5
    alone = Judge()
    rows(judged_suite(Panel), {"candidate": Echo(), "judge": alone})
    assert alone.most_at_once == 3


def test_scorer_with_one_question_reads_its_one_reply() -> None:
    row = rows(judged_suite(Single), {"candidate": Echo(), "judge": Judge()})["n0", "candidate"]
    assert row.scores["own"].value == 0.5


@pytest.mark.parametrize("kind", [Panel, Single])
def test_a_judge_that_never_answers_leaves_the_answer_unscored_with_the_cause(kind: type) -> None:
    row = rows(judged_suite(kind), {"candidate": Echo(), "judge": Judge(lambda _: DOWN)})["n0", "candidate"]
    assert row.scores["own"] == Score(value=None, reason="the judge did not answer: 500", failure=DOWN)
    assert row.bills["judge"].failed == (3 if kind is Panel else 1)


def test_a_single_lost_reply_is_the_scorers_to_read_and_its_cause_is_kept() -> None:
    judge = Judge(lambda prompt: DOWN if prompt.startswith("wit") else Completion(text="1"))
    row = rows(judged_suite(Panel), {"candidate": Echo(), "judge": judge})["n0", "candidate"]
    assert row.scores["own"] == Score(value=None, reason="['depth', 'wit']", failure=DOWN)


def test_without_a_judge_the_answer_is_unscored() -> None:
    row = rows(judged_suite(Panel), {"candidate": Echo()})["n0", "candidate"]
    assert row.scores["own"].reason == "no judge is configured: set `judge` or --judge"


def test_a_scorer_with_nothing_to_ask_needs_no_judge() -> None:
    row = rows(judged_suite(Silent), {"candidate": Echo()})["n0", "candidate"]
    assert row.scores["own"] == Score(value=1.0, reason="0 replies")
    assert row.bills == {}


def test_two_questions_of_one_name_are_a_fault_of_the_scorer() -> None:
    judge = Judge()
    row = rows(judged_suite(Twins), {"candidate": Echo(), "judge": judge})["n0", "candidate"]
    assert row.scores["own"].broken
    assert "two questions to the judge are called 'wit'" in row.scores["own"].reason
    assert judge.put == []


def test_wrong_key_of_the_judge_halts_the_run_and_keeps_the_answers() -> None:
    judge = Judge(lambda _: WRONG_KEY)
    wanted = cells_of(judged_suite(Single, 50), judged_suite(Single, 50).cases, ["candidate"])
    prefetcher = Prefetcher(lambda: opened({"candidate": Echo(), "judge": judge}), concurrency=2)
    try:
        prefetcher.request(wanted)
        found = [prefetcher.wait(cell) for cell in wanted]
    finally:
        prefetcher.close()
    assert prefetcher.halted == WRONG_KEY
    assert len(judge.put) <= 2
    first = found[0].scores["own"]
    assert (first.value, first.failure) == (None, WRONG_KEY)
    assert isinstance(found[0].outcome, Completion)
    assert isinstance(found[-1].outcome, Failure)
    assert found[-1].outcome.kind == "not_asked"


# --- pairs -----------------------------------------------------------------------------------------


def shouting(prompt: str) -> Completion:
    return Completion(text=prompt.upper() + "!")


@pytest.mark.parametrize("concurrency", [1, 32])
def test_both_sides_of_a_pair_come_from_one_comparison(concurrency: int) -> None:
    judge = Judge(lambda _: Completion(text="0.75"))
    base, candidate = Echo("base"), Echo("candidate", shouting)
    models: Mapping[Role, Model] = {"base": base, "candidate": candidate, "judge": judge}
    found = rows(judged_suite(Pair, 3), models, concurrency=concurrency)
    assert sorted(judge.put) == [(f"{n}! or of {n}", 0) for n in range(3)]
    assert sorted(base.asked) == sorted(candidate.asked) == ["0", "1", "2"]
    own, other = found["n1", "candidate"].scores["own"], found["n1", "base"].scores["own"]
    assert own == Score(value=0.75, reason="for 1!", measures={"length": 1.0})
    assert other == Score(value=0.25, reason="the candidate's side: for 1!", measures={"length": 1.0})
    assert found["n1", "candidate"].bills["judge"].answered == 1
    assert found["n1", "base"].bills == {}


def test_a_tie_is_one_half_for_both() -> None:
    found = rows(judged_suite(Pair), {"base": Echo(), "candidate": Echo(), "judge": Judge()})
    assert {row.scores["own"].value for row in found.values()} == {0.5}


def test_each_trial_is_compared_with_the_same_trial_of_the_reference() -> None:
    judge = Judge()
    rows(judged_suite(Pair, trials=3), {"base": Echo(), "candidate": Echo(), "judge": judge})
    assert len(judge.put) == 3


def test_the_promoted_model_is_the_reference_where_there_is_one() -> None:
    models: Mapping[Role, Model] = {"base": Echo(), "promoted": Echo(), "candidate": Echo(), "judge": Judge()}
    found = rows(judged_suite(Pair), models)
    assert found["n0", "promoted"].scores["own"].value == 0.5
    base = found["n0", "base"].scores["own"]
    assert (base.value, base.reason) == (None, "compared are the candidate and the promoted model")


def test_an_answer_whose_other_half_is_missing_is_unscored() -> None:
    judge = Judge()
    models: Mapping[Role, Model] = {"base": Echo("b", lambda _: DOWN), "candidate": Echo(), "judge": judge}
    found = rows(judged_suite(Pair), models)
    score = found["n0", "candidate"].scores["own"]
    assert (score.value, score.reason) == (None, "the base model gave no answer to compare with: 500")
    assert judge.put == []


def test_a_candidate_alone_is_compared_with_nothing() -> None:
    row = rows(judged_suite(Pair), {"candidate": Echo(), "judge": Judge()})["n0", "candidate"]
    assert "no second model" in row.scores["own"].reason


# --- vectors ---------------------------------------------------------------------------------------


def test_texts_come_back_as_vectors_in_their_order_and_are_billed() -> None:
    row = rows(judged_suite(Near), {"candidate": Echo()}, embedder=Lengths())["n0", "candidate"]
    assert row.scores["own"] == Score(value=1.0, reason="compared")
    usage = Usage(prompt_tokens=2, completion_tokens=0)
    assert row.bills == {"embedding": Bill(answered=2, usage=usage)}


def test_a_lost_vector_leaves_the_answer_unscored_with_the_cause() -> None:
    row = rows(judged_suite(Near), {"candidate": Echo()}, embedder=Lengths(DOWN))["n0", "candidate"]
    why = "the embedding model did not answer: 500"
    assert row.scores["own"] == Score(value=None, reason=why, failure=DOWN)


def test_without_an_embedding_model_the_answer_is_unscored() -> None:
    row = rows(judged_suite(Near), {"candidate": Echo()})["n0", "candidate"]
    assert "no embedding model is configured" in row.scores["own"].reason
