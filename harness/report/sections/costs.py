"""What it took: requests, tokens and money of each model, how long an answer takes, and what shorter prompts save."""

from collections.abc import Iterator

from harness.records import ModelFacts, PromptSaving, Role, TrainingJob, record
from harness.report.material import ROLE_WORDS, Material
from harness.report.notation import MISSING, count, dollars, plain, seconds
from harness.report.spending import Spending, spent_by, total_cost

OTHERS: tuple[Role, ...] = ("judge", "embedding")
THOUSAND = 1000
KINDS = ("input", "cached", "output")


@record
class CostRow:
    """One model, as texts; tokens and money are of what this run paid for, `each`, `thousand` and `times` of all answers."""

    word: str
    answered: str
    from_cache: str
    failed: str
    is_failing: bool
    prompt_tokens: str
    cached_tokens: str
    completion_tokens: str
    each: str
    price: str
    cost: str
    thousand: str
    times: tuple[str, ...]


@record
class SavingRow:
    """What a shorter prompt saves in a suite."""

    suite: str
    before: str
    after: str
    saved: str
    decision: str


@record
class CostsView:
    """The tables and what stands beneath them.

    `has_few` says that a percentile is left out for want of answers; `by_batch` is how many answers came with batches, empty
    where none did.
    """

    rows: tuple[CostRow, ...]
    total: str
    training: str
    savings: tuple[SavingRow, ...]
    has_few: bool
    by_batch: str


def show_costs(material: Material) -> CostsView:
    """Every model that was asked, the judge too."""
    manifest = material.run.manifest
    roles = [*reversed(material.roles), *(role for role in OTHERS if role in manifest.models)]
    spent = [spent_by(material.run, role) for role in roles]
    return CostsView(
        rows=tuple(_row(part, manifest.models.get(part.role)) for part in spent),
        total=dollars(total_cost(spent)),
        training=_training(manifest.job),
        savings=tuple(_saving(one) for one in material.verdict.savings),
        has_few=any(part.median_latency_s is not None and part.p99_latency_s is None for part in spent),
        by_batch=count(batched) if (batched := sum(part.by_batch for part in spent)) else "",
    )


def _row(part: Spending, facts: ModelFacts | None) -> CostRow:
    at_least = "≥ " if part.is_partial else ""
    tokens, money = part.mean_tokens, part.mean_cost_usd
    return CostRow(
        word=ROLE_WORDS[part.role],
        answered=count(part.answered),
        from_cache=count(part.from_cache),
        failed=count(part.failed),
        is_failing=part.failed > 0,
        prompt_tokens=_bounded(part.prompt_tokens, at_least),
        cached_tokens=count(part.cached_tokens) if part.cached_tokens else MISSING,
        completion_tokens=_bounded(part.completion_tokens, at_least),
        each=plain(tokens if tokens is None or tokens < 10 else round(tokens)),
        price=", ".join(_prices(facts)) or MISSING,
        cost=dollars(part.cost_usd),
        thousand=dollars(None if money is None else money * THOUSAND),
        times=tuple(
            map(
                seconds,
                (part.median_latency_s, part.p90_latency_s, part.p99_latency_s, part.longest_latency_s),
            )
        ),
    )


def _bounded(number: int | None, at_least: str) -> str:
    return MISSING if number is None else at_least + count(number)


def _prices(facts: ModelFacts | None) -> Iterator[str]:
    """What each kind of token costs; once where all cost the same, as on one's own machine."""
    prices = {kind: facts.price[kind] for kind in KINDS if kind in facts.price} if facts else {}
    if len(set(prices.values())) == 1:
        yield dollars(next(iter(prices.values())))
    else:
        yield from (f"{kind} {dollars(price)}" for kind, price in prices.items())


def _training(job: TrainingJob | None) -> str:
    """How many tokens the job was billed for, where it says so."""
    return "" if job is None or job.trained_tokens is None else count(job.trained_tokens)


def _saving(saving: PromptSaving) -> SavingRow:
    return SavingRow(
        suite=saving.suite,
        before=plain(saving.reference_tokens),
        after=plain(saving.tokens),
        saved=dollars(saving.saved_usd),
        decision={"pass": "no worse", "fail": "worse", "undecided": "cannot tell"}[saving.decision],
    )
