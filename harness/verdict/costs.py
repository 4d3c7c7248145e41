"""What did it take to ask some suites, and what would more of the same take?"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from harness.records import Bill, Completion, ModelFacts, Purchase, Result, Role, Run, Usage, record

TOKENS_PER_PRICE = 1_000_000
"""Prices are given in USD per this many tokens."""


@record
class AskingCost:
    """What asking takes when nothing comes from a cache; see `Purchase` for `cost_usd`, `tokens` and `is_partial`."""

    requests: int
    cost_usd: float | None
    tokens: float | None
    is_partial: bool


def usage_cost(usage: Usage, facts: ModelFacts, *, by_batch: bool = False) -> float | None:
    """USD for one answer's tokens; None where a price or a number of tokens is not known.

    Args:
        usage: The tokens.
        facts: Of the model, with its prices.
        by_batch: Whether the answer came with a batch, at the price of those.
    """
    price = facts.batch_price if by_batch else facts.price
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if "input" not in price or prompt is None or completion is None or ("output" not in price and completion):
        return None
    cached = usage.cached_tokens or 0
    return (
        (prompt - cached) * price["input"]
        + cached * price.get("cached", price["input"])
        + completion * price.get("output", 0.0)
    ) / TOKENS_PER_PRICE


def asking_cost(run: Run, suites: Collection[str]) -> AskingCost:
    """What it takes to ask and judge all of some suites' answers anew, from what the run's answers took.

    An answer from the cache counts as what it once took: of a case that nobody was asked yet, nothing is in a cache.
    """
    asked = {(name, case) for name in suites for case in run.manifest.selected.get(name, ())}
    rows = [row for row in run.results if (row.suite, row.case) in asked]
    parts = [_role_cost(run, rows, role) for role in _roles(rows)]
    costs = [part.cost_usd for part in parts if part.cost_usd is not None]
    tokens = [part.tokens for part in parts if part.tokens is not None]
    return AskingCost(
        requests=sum(part.requests for part in parts),
        cost_usd=sum(costs) if costs else None,
        tokens=sum(tokens) if tokens else None,
        is_partial=any(part.is_partial for part in parts),
    )


def priced(purchase: Purchase, cost: AskingCost) -> Purchase:
    """The purchase with what it takes: a share of what the answers of now took."""
    more, now = purchase.needed - purchase.now, purchase.now
    return replace(
        purchase,
        requests=math.ceil(more * cost.requests / now),
        cost_usd=None if cost.cost_usd is None else more * cost.cost_usd / now,
        tokens=None if cost.tokens is None else math.ceil(more * cost.tokens / now),
        is_partial=cost.is_partial,
    )


def _roles(rows: Iterable[Result]) -> list[Role]:
    found = {role for row in rows for role in (row.role, *row.bills)}
    everybody: tuple[Role, ...] = ("candidate", "base", "promoted", "judge", "embedding")
    return [role for role in everybody if role in found]


def _role_cost(run: Run, rows: Sequence[Result], role: Role) -> AskingCost:
    """One role's share: its answers, or its judgements, at what one of them takes on average."""
    bills = [row.bills[role] for row in rows if role in row.bills]
    requests = sum(row.role == role for row in rows) + sum(map(_asked, bills))
    usages = [row.outcome.usage for row in rows if row.role == role and isinstance(row.outcome, Completion)]
    usages += _usages_of(bills) or _usages_of(row.bills[role] for row in run.results if role in row.bills)
    facts = run.manifest.models.get(role, ModelFacts(model="", endpoint=""))
    tokens = [_tokens(usage) for usage in usages]
    known = [number for number in tokens if number is not None]
    costs = [cost for usage in usages if (cost := usage_cost(usage, facts)) is not None]
    has_price = bool(facts.price)
    return AskingCost(
        requests=requests,
        cost_usd=requests * fmean(costs) if has_price and costs else None,
        tokens=requests * fmean(known) if known and not has_price else None,
        is_partial=bool(requests) and not (costs if has_price else known),
    )


def _asked(bill: Bill) -> int:
    return bill.answered + bill.from_cache + bill.failed


def _usages_of(bills: Iterable[Bill]) -> list[Usage]:
    """What one judgement took, once for each that was paid for; a bill knows the sum over its requests."""
    return [
        Usage(
            prompt_tokens=bill.usage.prompt_tokens // bill.answered,
            completion_tokens=bill.usage.completion_tokens // bill.answered,
            cached_tokens=(bill.usage.cached_tokens or 0) // bill.answered,
        )
        for bill in bills
        if bill.answered and not bill.is_partial
        if bill.usage.prompt_tokens is not None and bill.usage.completion_tokens is not None
        for _ in range(bill.answered)
    ]


def _tokens(usage: Usage) -> int | None:
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return usage.prompt_tokens + usage.completion_tokens
