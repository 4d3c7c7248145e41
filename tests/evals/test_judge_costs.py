from collections.abc import Sequence
from dataclasses import replace

import pytest
from eval_samples import suite

from harness.errors import BudgetError
from harness.evals import Cell, Paid, cells_of, check_budget, estimate_judging
from harness.records import Completion, Json, Message, Role, Sampling, ScorerSpec, Suite

MODELS: dict[Role, str] = {"candidate": "c", "base": "b", "judge": "wise", "embedding": "vectors"}
PRICES = {"judge": {"input": 1.0, "output": 10.0}, "embedding": {"input": 1.0}}
CRITERION: Json = {"name": "humour", "levels": {"1": "flat", "5": "hilarious"}}


def judged(kind: str, size: int = 1, **settings: Json) -> Suite:
    spec = ScorerSpec(type=kind, name=kind, settings=settings)
    return replace(suite(size), scorers=(spec,), sampling=Sampling(max_tokens=50))


def cells(of: Suite, *roles: Role) -> list[Cell]:
    return cells_of(of, of.cases, roles or ("candidate", "base"))


def one_each(messages: Sequence[Message], model: str) -> int:
    """A token for a message, so that sums are seen."""
    return len(messages)


def test_every_criterion_repeat_and_answer_is_a_request() -> None:
    rubric = judged(
        "rubric", 2, criteria=[CRITERION, {**CRITERION, "name": "wit"}], repeats=3, max_tokens=100
    )  # type: ignore[dict-item]
    (line,) = estimate_judging(cells(rubric), MODELS, PRICES, count=one_each)
    assert (line.role, line.model, line.requests) == ("judge", "wise", 2 * 2 * 2 * 3)
    # Two messages, and the longest answer the suite allows.
    assert line.prompt_tokens == line.requests * (2 + 50)
    assert line.completion_tokens == line.requests * 100
    assert line.cost_usd == pytest.approx((line.prompt_tokens + 10 * line.completion_tokens) / 1e6)


def test_a_pair_is_compared_once_with_two_answers_in_the_prompt() -> None:
    (line,) = estimate_judging(cells(judged("pairwise")), MODELS, PRICES, count=one_each)
    assert (line.requests, line.prompt_tokens) == (2, 2 * (2 + 2 * 50))


def test_without_a_reference_nothing_is_compared() -> None:
    models: dict[Role, str] = {"candidate": "c", "judge": "wise"}
    assert estimate_judging(cells(judged("pairwise"), "candidate"), models, PRICES, count=one_each) == ()


def test_suites_without_a_judge_cost_nothing_more() -> None:
    assert estimate_judging(cells(suite(3)), MODELS, PRICES) == ()


def test_replies_to_known_answers_that_are_stored_are_not_counted() -> None:
    rubric = judged("rubric", 4, criteria=[CRITERION], repeats=2)
    paid = Paid(
        answer=lambda cell: Completion(text=cell.case.id) if cell.role == "candidate" else None,
        reply=lambda question, repeat: repeat == 0,
    )
    (line,) = estimate_judging(cells(rubric), MODELS, PRICES, paid=paid, count=one_each)
    assert line.requests == 4 * 1 + 4 * 2
    assert line.prompt_tokens == 4 * 2 + 4 * 2 * (2 + 50)


def test_the_same_known_answer_is_judged_once() -> None:
    rubric = judged("rubric", criteria=[CRITERION])
    paid = Paid(answer=lambda _: Completion(text="the same"))
    (line,) = estimate_judging(cells(rubric), MODELS, PRICES, paid=paid, count=one_each)
    assert line.requests == 1


def test_a_grader_of_json_answers_is_counted_before_there_are_any() -> None:
    message: Json = {"role": "user", "content": "Is {{ sample.output_json.city }} right?"}
    grader = judged("score_model", model="wise", input=[message])
    (line,) = estimate_judging(cells(grader), MODELS, PRICES, count=one_each)
    assert (line.requests, line.prompt_tokens) == (2, 2 * (2 + 50))
    garbled = Paid(answer=lambda _: Completion(text="no JSON"))
    assert estimate_judging(cells(grader), MODELS, PRICES, paid=garbled, count=one_each) == ()


def test_what_judging_may_cost_counts_against_the_budget() -> None:
    lines = estimate_judging(cells(judged("rubric", criteria=[CRITERION])), MODELS, PRICES, count=one_each)
    with pytest.raises(BudgetError):
        check_budget(lines, 0.001)
