"""What it took to have answers judged, summed."""

from collections.abc import Iterable, Sequence

from harness.records import Bill, Completion, Embedding, Failure, Usage


def bill_of(outcomes: Iterable[Completion | Embedding | Failure]) -> Bill:
    """What some requests took."""
    return total_bill(map(_share, outcomes))


def _share(outcome: Completion | Embedding | Failure) -> Bill:
    if isinstance(outcome, Failure):
        return Bill(failed=int(outcome.kind != "not_asked"))
    named = outcome.system_fingerprint if isinstance(outcome, Completion) else None
    systems = (named,) if named else ()
    if outcome.cached:
        return Bill(from_cache=1, systems=systems)
    if isinstance(outcome, Embedding):
        usage = Usage(prompt_tokens=outcome.prompt_tokens, completion_tokens=0)
    else:
        usage = outcome.usage
    is_partial = usage.prompt_tokens is None or usage.completion_tokens is None
    if isinstance(outcome, Completion) and outcome.batch is not None:
        return Bill(
            answered=1,
            usage=usage,
            is_partial=is_partial,
            by_batch=1,
            batch_usage=usage,
            systems=systems,
        )
    return Bill(answered=1, usage=usage, is_partial=is_partial, systems=systems)


def total_bill(bills: Iterable[Bill]) -> Bill:
    """Several bills as one; tokens that are not known are left out of the sums."""
    listed = list(bills)
    return Bill(
        answered=sum(bill.answered for bill in listed),
        from_cache=sum(bill.from_cache for bill in listed),
        failed=sum(bill.failed for bill in listed),
        usage=_total_usage([bill.usage for bill in listed]),
        is_partial=any(bill.is_partial for bill in listed),
        by_batch=sum(bill.by_batch for bill in listed),
        batch_usage=_total_usage([bill.batch_usage for bill in listed]),
        systems=tuple(dict.fromkeys(system for bill in listed for system in bill.systems)),
    )


def _total_usage(usages: Sequence[Usage]) -> Usage:
    return Usage(
        prompt_tokens=_total(usage.prompt_tokens for usage in usages),
        completion_tokens=_total(usage.completion_tokens for usage in usages),
        cached_tokens=_total(usage.cached_tokens for usage in usages),
    )


def _total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
