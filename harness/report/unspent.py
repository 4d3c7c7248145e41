"""What a run that stopped early did not have to ask and pay: the answers it left out, as dear as those it has."""

from collections.abc import Iterator, Sequence

from harness.records import Completion, Looks, Result, Role, Run, Usage, record
from harness.report.spending import cost_of, total

ASKED: tuple[Role, ...] = ("candidate", "base", "promoted")


@record
class Unspent:
    """Requests, tokens and money, about; None where too little is known of what an answer takes."""

    requests: int
    tokens: int | None
    cost_usd: float | None


@record
class _Part:
    """What some rows took of one model, and how many times that is left out."""

    role: str
    requests: int
    usages: tuple[Usage, ...]
    times: float


def unspent_by(run: Run) -> Unspent | None:
    """What stopping early saved; None where the run did not.

    An answer that is left out is taken to cost what the role's answers of this run cost on average, its
    judging included. Of a model that is compared with, only the share counts that did not come from the cache.
    """
    looks = run.manifest.looks
    if looks is None or not looks.why:
        return None
    parts = [part for role in ASKED for part in _parts(run, looks, role)]
    tokens = [_tokens(part) for part in parts]
    costs = [cost_of(run.manifest.models.get(part.role), part.usages) for part in parts]
    return Unspent(
        requests=round(sum(part.times * part.requests for part in parts)),
        tokens=None
        if None in tokens
        else round(sum(part.times * (sum_ or 0) for part, sum_ in zip(parts, tokens, strict=True))),
        cost_usd=None
        if None in costs
        else sum(part.times * (cost or 0.0) for part, cost in zip(parts, costs, strict=True)),
    )


def _parts(run: Run, looks: Looks, role: Role) -> Iterator[_Part]:
    rows = [row for row in run.results if row.role == role and row.suite in looks.cases]
    planned = sum(
        len(run.manifest.selected[suite.name]) * suite.trials
        for suite in run.manifest.suites
        if suite.name in looks.cases
    )
    if not rows or planned <= len(rows):
        return
    times = (planned - len(rows)) / len(rows)
    completions = [row.outcome for row in rows if isinstance(row.outcome, Completion)]
    # A candidate's answers are new, and only those that were asked before come from the cache.
    new = [answer for answer in completions if role == "candidate" or not answer.cached]
    if new:
        usages = tuple(answer.usage for answer in new)
        yield _Part(role=role, requests=len(new), usages=usages, times=times)
    yield from _judging(rows, times=times)


def _judging(rows: Sequence[Result], *, times: float) -> Iterator[_Part]:
    for role in dict.fromkeys(role for row in rows for role in row.bills):
        bills = [row.bills[role] for row in rows if role in row.bills and row.bills[role].answered]
        if bills:
            yield _Part(
                role=role,
                requests=sum(bill.answered for bill in bills),
                usages=tuple(bill.usage for bill in bills),
                times=times,
            )


def _tokens(part: _Part) -> int | None:
    prompt = total(usage.prompt_tokens for usage in part.usages)
    answer = total(usage.completion_tokens for usage in part.usages)
    return None if prompt is None or answer is None else prompt + answer
