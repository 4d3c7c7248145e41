"""What a run asked for and paid: requests, tokens and money by role."""

import math
from collections.abc import Iterable, Sequence
from statistics import median

from harness.records import Bill, Completion, Failure, ModelFacts, Result, Role, Run, Usage, record
from harness.verdict import usage_cost


@record
class Spending:
    """What one role took. Sums of tokens and money count what this run paid, not answers from the cache.

    `by_batch` of the answered came with a batch, at its price. What one answer takes, `mean_tokens` of text, `mean_cost_usd`
    and times, is told of all answers: one from the cache brings what it took when it came. `mean_cost_usd` is at the price of
    asking one by one, however the answers came; of times, those that nobody measured are left out. `cached_tokens` are those of the prompts that the provider had in its own cache.
    `is_partial` says that the endpoint left out the usage of some answers: the sums are lower bounds. None where nothing
    is known; of times, where there are too few: a 90th percentile takes 10 answers, a 99th 100.
    """

    role: Role
    answered: int = 0
    by_batch: int = 0
    from_cache: int = 0
    failed: int = 0
    not_asked: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    is_partial: bool = False
    cost_usd: float | None = None
    mean_tokens: float | None = None
    mean_cost_usd: float | None = None
    median_latency_s: float | None = None
    p90_latency_s: float | None = None
    p99_latency_s: float | None = None
    longest_latency_s: float | None = None


def spent_by(run: Run, role: Role) -> Spending:
    """What one role took, from the rows of the run."""
    results = [result for result in run.results if result.role == role]
    completions = [result.outcome for result in results if isinstance(result.outcome, Completion)]
    paid = [completion for completion in completions if not completion.cached]
    not_asked = sum(_is_not_asked(result) for result in results)
    bills = [result.bills[role] for result in run.results if role in result.bills]
    measured = (completion.latency_s for completion in completions)
    times = sorted(time for time in measured if time is not None)
    facts = run.manifest.models.get(role)
    usages = [completion.usage for completion in paid] + [bill.usage for bill in bills if bill.answered]
    return Spending(
        role=role,
        answered=len(paid) + sum(bill.answered for bill in bills),
        by_batch=sum(completion.batch is not None for completion in paid)
        + sum(bill.by_batch for bill in bills),
        from_cache=len(completions) - len(paid) + sum(bill.from_cache for bill in bills),
        failed=len(results) - len(completions) - not_asked + sum(bill.failed for bill in bills),
        not_asked=not_asked,
        prompt_tokens=total(usage.prompt_tokens for usage in usages),
        completion_tokens=total(usage.completion_tokens for usage in usages),
        cached_tokens=total(usage.cached_tokens for usage in usages),
        is_partial=any(bill.is_partial for bill in bills)
        or any(usage.prompt_tokens is None or usage.completion_tokens is None for usage in usages),
        cost_usd=_paid(facts, paid, bills),
        mean_tokens=_mean([completion.usage.completion_tokens for completion in completions]),
        mean_cost_usd=_mean([cost_of(facts, [completion.usage]) for completion in completions]),
        median_latency_s=median(times) if times else None,
        p90_latency_s=_percentile(times, 90),
        p99_latency_s=_percentile(times, 99),
        longest_latency_s=times[-1] if times else None,
    )


def _paid(facts: ModelFacts | None, paid: Sequence[Completion], bills: Sequence[Bill]) -> float | None:
    """USD for what was not in the cache, what came with batches at their price; None where it is not known."""
    if any(bill.is_partial for bill in bills):
        return None
    single = [completion.usage for completion in paid if completion.batch is None]
    batched = [completion.usage for completion in paid if completion.batch is not None]
    single += [_beside_batches(bill) for bill in bills if bill.answered > bill.by_batch]
    batched += [bill.batch_usage for bill in bills if bill.by_batch]
    parts = (cost_of(facts, single), cost_of(facts, batched, by_batch=True))
    return None if None in parts else sum(part or 0.0 for part in parts)


def _beside_batches(bill: Bill) -> Usage:
    """The tokens of a bill without those that came with batches."""
    whole, batched = bill.usage, bill.batch_usage
    return Usage(
        prompt_tokens=_less(whole.prompt_tokens, batched.prompt_tokens),
        completion_tokens=_less(whole.completion_tokens, batched.completion_tokens),
        cached_tokens=_less(whole.cached_tokens, batched.cached_tokens),
    )


def _less(whole: int | None, part: int | None) -> int | None:
    return None if whole is None else whole - (part or 0)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of all; None of none, and where one is not known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that so many percent do not exceed; None of so few that it would be the largest for want of others."""
    if len(values) < 100 / (100 - percent):
        return None
    return values[math.ceil(len(values) * percent / 100) - 1]


def total(counts: Iterable[int | None]) -> int | None:
    """The sum of the counts that are known; 0 of nothing, None when none of several is known."""
    listed = list(counts)
    known = [number for number in listed if number is not None]
    return sum(known) if known or not listed else None


def total_cost(parts: Sequence[Spending]) -> float | None:
    """The money of all roles, or None when that of one that was asked is not known; answers from the cache cost nothing."""
    costs = [part.cost_usd for part in parts if part.answered]
    if any(cost is None for cost in costs) or not any(part.answered or part.from_cache for part in parts):
        return None
    return sum(cost for cost in costs if cost is not None)


def _is_not_asked(result: Result) -> bool:
    return isinstance(result.outcome, Failure) and result.outcome.kind == "not_asked"


def cost_of(facts: ModelFacts | None, usages: Sequence[Usage], *, by_batch: bool = False) -> float | None:
    """USD for some answers of a model; None where its price, or what an answer took, is not known."""
    if facts is None or "input" not in facts.price:
        return None
    costs = [usage_cost(usage, facts, by_batch=by_batch) for usage in usages]
    return None if any(cost is None for cost in costs) else sum(cost for cost in costs if cost is not None)
