from dataclasses import replace

import pytest
from eval_samples import suite

from harness.errors import BudgetError
from harness.evals import Cell, RoleEstimate, cells_of, check_budget, estimate, estimate_lines
from harness.records import Role, Sampling, Suite

PRICE = {"input": 1.0, "output": 10.0}


def cells(of: Suite, *roles: Role) -> list[Cell]:
    return cells_of(of, of.cases, roles or ("candidate",))


def line(**changes: object) -> RoleEstimate:
    values = {
        "role": "candidate",
        "model": "m",
        "requests": 4,
        "prompt_tokens": 1200,
        "completion_tokens": 64,
        "cost_usd": 0.5,
    }
    return RoleEstimate(**{**values, **changes})  # type: ignore[arg-type]


def test_every_role_case_and_trial_is_one_request() -> None:
    asked = cells(suite(3, trials=2), "candidate", "base")
    found = estimate(asked, {"candidate": "a", "base": "b"}, {}, is_paid=lambda _: False)
    assert [(part.role, part.model, part.requests) for part in found] == [
        ("candidate", "a", 6),
        ("base", "b", 6),
    ]


def test_cost_is_the_most_it_can_be() -> None:
    of = replace(suite(2), sampling=Sampling(max_tokens=100))
    (found,) = estimate(cells(of), {"candidate": "m"}, {"candidate": PRICE}, is_paid=lambda _: False)
    assert found.completion_tokens == 200
    assert found.cost_usd == pytest.approx((found.prompt_tokens * 1.0 + 200 * 10.0) / 1_000_000)


def test_longer_prompts_count_more_and_the_system_prompt_counts() -> None:
    short = estimate(cells(suite(1)), {"candidate": "m"}, {}, is_paid=lambda _: False)[0]
    longer = replace(suite(1), system="Answer with the number you are given and nothing else at all.")
    long = estimate(cells(longer), {"candidate": "m"}, {}, is_paid=lambda _: False)[0]
    assert 5 < long.prompt_tokens - short.prompt_tokens < 30


def test_suite_without_a_limit_is_estimated_at_a_long_answer() -> None:
    of = replace(suite(1), sampling=Sampling(max_tokens=None))
    (found,) = estimate(cells(of), {"candidate": "m"}, {}, is_paid=lambda _: False)
    assert found.completion_tokens == 1024


def test_what_is_paid_for_already_is_not_counted() -> None:
    asked = cells(suite(3), "candidate", "base")
    found = estimate(
        asked,
        {"candidate": "a", "base": "b"},
        {},
        is_paid=lambda cell: cell.role == "base" or cell.case.id == "n0",
    )
    assert [(part.role, part.requests, part.free) for part in found] == [("candidate", 2, 1), ("base", 0, 3)]
    assert found[1].cost_usd is None


@pytest.mark.parametrize("price", [{}, {"input": 1.0}, {"output": 1.0}])
def test_price_that_is_not_known_makes_no_cost_of_zero(price: dict[str, float]) -> None:
    (found,) = estimate(cells(suite(1)), {"candidate": "m"}, {"candidate": price}, is_paid=lambda _: False)
    assert found.cost_usd is None


def test_run_over_its_budget_is_refused_with_both_sums() -> None:
    with pytest.raises(BudgetError) as caught:
        check_budget([line(cost_usd=0.75), line(role="base", cost_usd=0.5), line(cost_usd=None)], 1.0)
    assert caught.value.problem == (
        "this run may cost up to 1.25 USD, the budget is 1 USD; nothing was asked"
    )
    assert "--budget-usd" in caught.value.remedy


@pytest.mark.parametrize(
    ("costs", "budget"),
    [([0.5, 0.5], 1.0), ([9.0], None), ([None], 0.0), ([0.0], 0.0), ([], 0.0), ([1e9], float("inf"))],
)
def test_run_within_its_budget_goes_on(costs: list[float | None], budget: float | None) -> None:
    check_budget([line(cost_usd=cost) for cost in costs], budget)


def test_estimate_is_told_in_a_line_a_role_and_a_sum() -> None:
    assert estimate_lines([line(), line(role="base", model="b", cost_usd=0.25)]) == [
        "candidate: m: 4 requests, 1,200 prompt tokens, at most 64 answer tokens, at most 0.5000 USD",
        "base: b: 4 requests, 1,200 prompt tokens, at most 64 answer tokens, at most 0.2500 USD",
        "in all at most 0.7500 USD; nothing was asked",
    ]


def test_sum_says_when_a_price_is_missing_from_it() -> None:
    lines = estimate_lines([line(cost_usd=None), line(role="base", cost_usd=0.25)])
    assert lines[0].endswith("price unknown")
    assert (
        lines[-1] == "in all at most 0.2500 USD and what the models of unknown price cost; nothing was asked"
    )


def test_nothing_to_ask_costs_nothing() -> None:
    assert estimate_lines([]) == ["in all at most 0.0000 USD; nothing was asked"]
