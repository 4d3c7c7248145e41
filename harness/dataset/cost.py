"""What tokens cost: a dated price table, and money from token counts.

Every price is of one date and may be overridden by `price` in a model's configuration; a model that
is not in the table has no price, never a price of zero.
"""

from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from importlib import resources

from harness.dataset.findings import Finding
from harness.dataset.model_names import base_of, is_tuned
from harness.records import Usage, record
from harness.serial import from_json

TOKENS_PER_PRICE = 1_000_000


@record
class Price:
    """USD per 1M tokens; None where the provider has no such price.

    `batch_input` and `batch_output` are of the Batch API, where they are not half of the others. `train` is per token of the
    file and epoch, `as_of` the month the prices were read, `shutdown`
    the day the provider stops serving the model, `no_jobs_from` the day from which it takes no new job on it.
    """

    input: float | None = None
    cached: float | None = None
    output: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None
    train: float | None = None
    as_of: str | None = None
    shutdown: str | None = None
    no_jobs_from: str | None = None


@record
class _Tier:
    input: float
    output: float
    cached: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None
    train: float | None = None


@record
class _Entry:
    """A model itself, and what is tuned from it: they are priced differently."""

    base: _Tier
    tuned: _Tier
    shutdown: str | None = None
    no_jobs_from: str | None = None


@record
class _Table:
    as_of: str
    unit: str
    source: str
    models: Mapping[str, _Entry]
    aliases: Mapping[str, str] = field(default_factory=dict)


def price_of(model: str) -> Price | None:
    """The table's price of a model, by snapshot, alias or a fine-tune's name; None when unknown.

    A base model's `train` is what tuning it costs.
    """
    table = _table()
    name = base_of(model)
    entry = table.models.get(table.aliases.get(name, name))
    if entry is None:
        return None
    tier = entry.tuned if is_tuned(model) else entry.base
    return Price(
        input=tier.input,
        cached=tier.cached,
        output=tier.output,
        batch_input=tier.batch_input,
        batch_output=tier.batch_output,
        train=entry.tuned.train,
        as_of=table.as_of,
        shutdown=entry.shutdown,
        no_jobs_from=entry.no_jobs_from,
    )


def retirement(model: str, price: Price | None) -> list[Finding]:
    """What there is to say about the end of a base model: fine-tunes live no longer than it does."""
    if price is None or price.shutdown is None:
        return []
    jobs = f", new jobs on it are taken until {price.no_jobs_from}" if price.no_jobs_from else ""
    dated = f" (as of {price.as_of})" if price.as_of else ""
    return [
        Finding(
            name="base_retires",
            level="warning",
            what=f"{model} is served until {price.shutdown}, and so are its fine-tunes{jobs}{dated}",
            count=0,
            lines=(),
            why="what is trained now can be used until that day",
            remedy="tune a model whose weights you can keep: `harness serve` speaks the same API",
            figures={"shutdown": price.shutdown, "no_jobs_from": price.no_jobs_from},
        )
    ]


@lru_cache(maxsize=1)
def _table() -> _Table:
    return from_json(_Table, resources.files("harness.dataset").joinpath("prices.json").read_bytes())


def cost_usd(usage: Usage, price: Mapping[str, float]) -> float | None:
    """The money for some tokens, or None when a count or a price that matters is not known.

    Args:
        usage: Counts of one request, or summed over many.
        price: USD per 1M tokens under `input`, `cached` and `output`, as in `ModelFacts.price`;
            without `cached`, cached tokens cost what others cost.
    """
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    if "input" not in price or ("output" not in price and usage.completion_tokens):
        return None
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
    return (
        (usage.prompt_tokens - cached) * price["input"]
        + cached * price.get("cached", price["input"])
        + usage.completion_tokens * price.get("output", 0.0)
    ) / TOKENS_PER_PRICE
