from dataclasses import replace

import pytest

from harness.records import Bill, Completion, ModelFacts, Purchase, Result, Role, Run, Usage
from harness.verdict.costs import asking_cost, priced, usage_cost
from tests.verdict.samples import answer, failure, run_of, suite_of

SUITE = suite_of(10)
PRICED = ModelFacts(model="m", endpoint="e", price={"input": 2.0, "cached": 0.5, "output": 8.0})
FREE = ModelFacts(model="m", endpoint="e")
USAGE = Usage(prompt_tokens=100, completion_tokens=20)
MORE = Purchase(kind="cases", shows="better", needed=25, now=10, requests=30)


def rows(role: Role, *, usage: Usage = USAGE, bill: Bill | None = None) -> list[Result]:
    bills = {} if bill is None else {"judge": bill}
    return [replace(answer(SUITE, case, role=role, usage=usage), bills=bills) for case in range(10)]


def run_with(results: list[Result], **models: ModelFacts) -> Run:
    run = run_of(SUITE, results=results)
    return replace(run, manifest=replace(run.manifest, models=models))


def test_a_cached_part_of_a_prompt_costs_its_own_price() -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=20, cached_tokens=60)
    assert usage_cost(usage, PRICED) == pytest.approx((40 * 2 + 60 * 0.5 + 20 * 8) / 1e6)
    assert usage_cost(USAGE, FREE) is None
    assert usage_cost(Usage(), PRICED) is None
    only_input = replace(PRICED, price={"input": 0.1})
    assert usage_cost(USAGE, only_input) is None, "the answers have a price, and nobody knows it"
    assert usage_cost(Usage(prompt_tokens=100, completion_tokens=0), only_input) == pytest.approx(1e-5)


def test_more_cases_cost_every_model_what_its_cases_took() -> None:
    run = run_with([*rows("candidate"), *rows("base")], candidate=PRICED, base=PRICED)
    cost = asking_cost(run, ["routing"])
    assert (cost.requests, cost.tokens, cost.is_partial) == (20, None, False)
    bought = priced(MORE, cost)
    assert bought.requests == 30
    assert bought.cost_usd == pytest.approx(30 * (100 * 2 + 20 * 8) / 1e6)
    assert (bought.needed, bought.now) == (25, 10)


def test_models_without_a_price_cost_tokens() -> None:
    run = run_with([*rows("candidate"), *rows("base")], candidate=PRICED, base=FREE)
    bought = priced(MORE, asking_cost(run, ["routing"]))
    assert bought.cost_usd == pytest.approx(15 * (100 * 2 + 20 * 8) / 1e6)
    assert bought.tokens == 15 * 120


def test_answers_from_the_cache_count_as_what_new_ones_take() -> None:
    fresh = run_with(rows("base"), base=PRICED)
    stored = replace(
        fresh,
        results=tuple(
            replace(row, outcome=replace(row.outcome, cached=True))
            for row in fresh.results
            if isinstance(row.outcome, Completion)
        ),
    )
    assert asking_cost(stored, ["routing"]) == asking_cost(fresh, ["routing"])


def test_all_roles_that_are_asked_are_paid_for() -> None:
    results = [*rows("candidate"), *rows("base"), *rows("promoted")]
    assert asking_cost(run_with(results, candidate=FREE), ["routing"]).requests == 30


def test_the_judge_is_asked_about_new_answers_too() -> None:
    bill = Bill(answered=2, usage=Usage(prompt_tokens=1600, completion_tokens=200))
    run = run_with(rows("candidate", bill=bill), candidate=FREE, judge=PRICED)
    cost = asking_cost(run, ["routing"])
    assert cost.requests == 10 + 20
    assert cost.cost_usd == pytest.approx(10 * (1600 * 2 + 200 * 8) / 1e6)


def test_what_the_judges_endpoint_cached_costs_its_own_price() -> None:
    bill = Bill(answered=2, usage=Usage(prompt_tokens=1600, completion_tokens=200, cached_tokens=600))
    run = run_with(rows("candidate", bill=bill), candidate=FREE, judge=PRICED)
    cost = asking_cost(run, ["routing"]).cost_usd
    assert cost == pytest.approx(10 * (1000 * 2 + 600 * 0.5 + 200 * 8) / 1e6)


def test_a_price_without_the_part_that_is_asked_for_is_none() -> None:
    assert usage_cost(USAGE, replace(PRICED, price={"output": 8.0})) is None
    assert usage_cost(Usage(prompt_tokens=100, completion_tokens=None), PRICED) is None
    assert usage_cost(Usage(prompt_tokens=None, completion_tokens=20), PRICED) is None


def test_judgements_from_the_cache_cost_what_others_of_the_run_took() -> None:
    paid = Bill(answered=1, usage=Usage(prompt_tokens=800, completion_tokens=100))
    stored = Bill(from_cache=1)
    other = suite_of(10, name="other")
    results = [
        *rows("candidate", bill=stored),
        replace(answer(other, 0, usage=USAGE), bills={"judge": paid}),
    ]
    run = run_of(SUITE, other, results=results)
    run = replace(run, manifest=replace(run.manifest, models={"candidate": FREE, "judge": PRICED}))
    cost = asking_cost(run, ["routing"])
    assert cost.requests == 20
    assert cost.cost_usd == pytest.approx(10 * (800 * 2 + 100 * 8) / 1e6)
    assert not cost.is_partial


def test_what_nobody_told_is_said_to_be_missing() -> None:
    bill = Bill(answered=1, is_partial=True)
    cost = asking_cost(run_with(rows("candidate", bill=bill), candidate=PRICED, judge=PRICED), ["routing"])
    assert cost.is_partial
    assert cost.cost_usd == pytest.approx(10 * (100 * 2 + 20 * 8) / 1e6)
    untold = asking_cost(run_with(rows("candidate", usage=Usage()), candidate=PRICED), ["routing"])
    assert (untold.cost_usd, untold.tokens, untold.is_partial) == (None, None, True)


def test_failures_are_asked_again_too_and_other_suites_are_not() -> None:
    other = suite_of(5, name="other")
    results = [*rows("candidate")[:9], failure(SUITE, 9), answer(other, 0)]
    run = run_of(SUITE, other, results=results)
    assert asking_cost(run, ["routing"]).requests == 10
    assert asking_cost(run, ["routing", "other"]).requests == 11
    assert asking_cost(run, []).requests == 0
