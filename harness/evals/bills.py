"""What it took to have answers judged, summed."""

from collections.abc import Iterable

from harness.records import Bill, Completion, Embedding, Failure, Usage


def bill_of(outcomes: Iterable[Completion | Embedding | Failure]) -> Bill:
    """What some requests took."""
    return total_bill(map(_share, outcomes))


def _share(outcome: Completion | Embedding | Failure) -> Bill:
    if isinstance(outcome, Failure):
        return Bill(failed=int(outcome.kind != "not_asked"))
    if outcome.cached:
        return Bill(from_cache=1)
    if isinstance(outcome, Embedding):
        usage = Usage(prompt_tokens=outcome.prompt_tokens, completion_tokens=0)
    else:
        usage = outcome.usage
    is_partial = usage.prompt_tokens is None or usage.completion_tokens is None
    return Bill(answered=1, usage=usage, is_partial=is_partial)


def total_bill(bills: Iterable[Bill]) -> Bill:
    """Several bills as one; tokens that are not known are left out of the sums."""
    listed = list(bills)

    def tokens(counts: Iterable[int | None]) -> int | None:
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    usages = [bill.usage for bill in listed]
    return Bill(
        answered=sum(bill.answered for bill in listed),
        from_cache=sum(bill.from_cache for bill in listed),
        failed=sum(bill.failed for bill in listed),
        usage=Usage(
            prompt_tokens=tokens(usage.prompt_tokens for usage in usages),
            completion_tokens=tokens(usage.completion_tokens for usage in usages),
            cached_tokens=tokens(usage.cached_tokens for usage in usages),
        ),
        is_partial=any(bill.is_partial for bill in listed),
    )
