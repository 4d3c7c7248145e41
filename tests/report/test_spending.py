"""What a run took, by role."""

from dataclasses import replace

import pytest
from report_samples import failed_run, sample_run

from harness.records import Bill, Completion, Failure, ModelFacts, Result, Run, Usage
from harness.report.spending import spent_by, total_cost

PRICE = {"input": 1.0, "cached": 0.5, "output": 10.0}


def run_of(*outcomes: Completion | Failure, price: dict[str, float] = PRICE) -> Run:
    manifest = replace(
        sample_run().manifest, models={"base": ModelFacts(model="m", endpoint="e", price=price)}
    )
    rows = [
        Result(suite="s", case=str(number), role="base", model="m", trial=0, digest="", outcome=outcome)
        for number, outcome in enumerate(outcomes)
    ]
    return Run(manifest=manifest, results=tuple(rows))


def answer(
    prompt: int | None, completion: int | None, *, cached: bool = False, read: int | None = None
) -> Completion:
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=read)
    return Completion(text="x", usage=usage, cached=cached, latency_s=2.0)


def test_answers_from_the_cache_cost_nothing_and_are_counted_apart() -> None:
    spent = spent_by(run_of(answer(100, 10), answer(900, 90, cached=True)), "base")
    assert (spent.answered, spent.from_cache) == (1, 1)
    assert (spent.prompt_tokens, spent.completion_tokens) == (100, 10)
    assert spent.cost_usd == pytest.approx((100 * 1.0 + 10 * 10.0) / 1e6)


def test_tokens_that_the_endpoint_had_cached_are_billed_at_their_own_price() -> None:
    spent = spent_by(run_of(answer(100, 10, read=80)), "base")
    assert spent.cost_usd == pytest.approx((20 * 1.0 + 80 * 0.5 + 10 * 10.0) / 1e6)


def test_answers_of_batches_cost_what_batches_cost_and_have_no_time() -> None:
    by_batch = replace(answer(100, 10, read=80), batch="batch_1", latency_s=None)
    half, whole = spent_by(run_of(by_batch), "base"), spent_by(run_of(answer(100, 10)), "base")
    assert (half.answered, half.by_batch, half.median_latency_s) == (1, 1, None)
    assert half.cost_usd == pytest.approx((whole.cost_usd or 0.0) / 2)
    assert half.mean_cost_usd == pytest.approx((20 * 1.0 + 80 * 0.5 + 10 * 10.0) / 1e6)
    both = spent_by(run_of(by_batch, answer(100, 10)), "base")
    assert (both.answered, both.by_batch, both.median_latency_s) == (2, 1, 2.0)
    assert both.cost_usd == pytest.approx(1.5 * (whole.cost_usd or 0.0))


def test_a_price_of_its_own_for_batches_counts() -> None:
    priced = {**PRICE, "batch_input": 0.8, "batch_output": 9.0}
    by_batch = replace(answer(100, 10), batch="batch_1", latency_s=None)
    assert spent_by(run_of(by_batch, price=priced), "base").cost_usd == pytest.approx((80 + 90) / 1e6)


def test_an_answer_that_an_earlier_run_had_of_a_batch_is_free() -> None:
    by_batch = replace(answer(100, 10, cached=True), batch="batch_1", latency_s=None)
    spent = spent_by(run_of(by_batch), "base")
    assert (spent.answered, spent.by_batch, spent.from_cache, spent.cost_usd) == (0, 0, 1, 0.0)


def test_a_judges_answers_of_batches_are_billed_apart() -> None:
    usage = Usage(prompt_tokens=300, completion_tokens=30, cached_tokens=0)
    bill = Bill(
        answered=3, usage=usage, by_batch=2, batch_usage=Usage(prompt_tokens=200, completion_tokens=20)
    )
    run = run_of(answer(1, 1))
    rows = tuple(replace(row, bills={"base": bill}, role="candidate") for row in run.results)
    spent = spent_by(replace(run, results=rows), "base")
    assert (spent.answered, spent.by_batch) == (3, 2)
    assert spent.cost_usd == pytest.approx((100 + 100 + 0.5 * (200 + 200)) / 1e6)


def test_unreported_usage_makes_the_tokens_a_lower_bound_and_the_cost_unknown() -> None:
    spent = spent_by(run_of(answer(100, 10), answer(None, None)), "base")
    assert spent.is_partial
    assert spent.prompt_tokens == 100
    assert spent.cost_usd is None


def test_usage_that_nobody_reported_is_unknown_and_not_zero() -> None:
    assert spent_by(run_of(answer(None, None)), "base").prompt_tokens is None


def test_without_a_price_there_is_no_cost() -> None:
    assert spent_by(run_of(answer(1, 1), price={}), "base").cost_usd is None


def test_a_failure_is_a_request_and_a_question_not_asked_is_not() -> None:
    lost = Failure(kind="timeout", message="")
    skipped = Failure(kind="not_asked", message="")
    spent = spent_by(run_of(answer(1, 1), lost, skipped), "base")
    assert (spent.answered, spent.failed, spent.not_asked) == (1, 1, 1)


def test_total_cost_is_unknown_when_one_role_has_no_price() -> None:
    known, unknown = spent_by(run_of(answer(1, 1)), "base"), spent_by(run_of(answer(1, 1), price={}), "base")
    assert total_cost([known]) == pytest.approx(11 / 1e6)
    assert total_cost([known, unknown]) is None


def test_a_run_of_failures_has_no_latency() -> None:
    assert spent_by(failed_run(), "base").median_latency_s is None


def test_answers_from_the_cache_cost_nothing_together_and_tell_what_an_answer_takes() -> None:
    spent = spent_by(run_of(answer(100, 10, cached=True), answer(300, 30, cached=True)), "base")
    assert total_cost([spent]) == 0
    assert (spent.mean_tokens, spent.median_latency_s) == (20, 2.0)
    assert spent.mean_cost_usd == pytest.approx((200 * 1.0 + 20 * 10.0) / 1e6)
    assert total_cost([spent_by(run_of(), "base")]) is None


def test_the_mean_of_answers_one_of_which_tells_no_tokens_is_not_known() -> None:
    spent = spent_by(run_of(answer(100, 10), answer(None, None)), "base")
    assert (spent.mean_tokens, spent.mean_cost_usd) == (None, None)


def judged(*bills: Bill) -> Run:
    """A run whose rows were judged at these bills."""
    run = run_of(*(answer(5, 5) for _ in bills))
    models = {**run.manifest.models, "judge": ModelFacts(model="wise", endpoint="e", price=PRICE)}
    rows = [replace(row, bills={"judge": bill}) for row, bill in zip(run.results, bills, strict=True)]
    return replace(run, manifest=replace(run.manifest, models=models), results=tuple(rows))


def test_what_the_judge_took_is_the_sum_of_its_bills() -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=10)
    spent = spent_by(
        judged(Bill(answered=2, from_cache=1, usage=usage), Bill(from_cache=3, failed=1)), "judge"
    )
    assert (spent.answered, spent.from_cache, spent.failed) == (2, 4, 1)
    assert (spent.prompt_tokens, spent.completion_tokens) == (100, 10)
    assert spent.cost_usd == pytest.approx((100 * 1.0 + 10 * 10.0) / 1e6)


def test_a_bill_with_tokens_left_out_has_no_cost() -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=10)
    spent = spent_by(judged(Bill(answered=2, usage=usage, is_partial=True)), "judge")
    assert spent.is_partial
    assert spent.cost_usd is None
