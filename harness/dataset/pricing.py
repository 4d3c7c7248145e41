"""What will a job on a checked file cost, and what will asking its model? By the dated table, or by prices of one's own."""

from dataclasses import fields, replace

from harness.dataset.cost import TOKENS_PER_PRICE, Price, price_of, retirement
from harness.dataset.report import DatasetReport, TrainingCost
from harness.dataset.shapes import Form
from harness.records import record

# Where prices come from that stand in nobody's table.
OWN = "your configuration"


@record
class TokenUse:
    """Tokens a job bills in all, and those of a row on average: what is asked, and what is answered."""

    billed: int
    prompt: float
    answer: float


def training_cost(
    form: Form | None, use: TokenUse, *, base: Price | None, tuned: Price | None
) -> TrainingCost:
    """The money for these tokens; `base` has the price of training, `tuned` is what a fine-tune of it costs to ask.

    Reinforcement is billed by the hour, so its tokens have no price.
    """
    train = base.train if base and form != "reinforcement" else None
    return TrainingCost(
        training_usd=None if train is None else use.billed * train / TOKENS_PER_PRICE,
        per_1000_cases_base_usd=_thousand(use, base),
        per_1000_cases_tuned_usd=_thousand(use, tuned),
        as_of=base.as_of if base else None,
        train_price=train,
        shutdown=base.shutdown if base else None,
    )


def _thousand(use: TokenUse, price: Price | None) -> float | None:
    if price is None or price.input is None or price.output is None:
        return None
    return 1000 * (use.prompt * price.input + use.answer * price.output) / TOKENS_PER_PRICE


def with_prices(report: DatasetReport, *, base: Price, tuned: Price) -> DatasetReport:
    """The report with one's own prices where they are given, and the table's where they are not.

    Args:
        report: A checked file.
        base: Of the base: `train` is what tuning it costs, `shutdown` its last day.
        tuned: Of what is tuned from it.
    """
    listed = price_of(report.model)
    rows = max(1, report.examples)
    answer = report.tokens["answer_tokens"].mean if "answer_tokens" in report.tokens else 0.0
    use = TokenUse(
        billed=report.billed_tokens * report.epochs,
        prompt=(report.uncut_tokens / rows) - answer,
        answer=answer,
    )
    merged = _merged(base, listed)
    cost = training_cost(
        report.form, use, base=merged, tuned=_merged(tuned, price_of(f"ft:{report.model}:a::b"))
    )
    others = [warning for warning in report.warnings if warning.name != "base_retires"]
    return replace(report, cost=cost, warnings=(*others, *retirement(report.model, merged)))


def _merged(own: Price, listed: Price | None) -> Price:
    given = {
        field.name: getattr(own, field.name) for field in fields(own) if getattr(own, field.name) is not None
    }
    if not given:
        return listed or own
    return replace(listed or Price(), **{"as_of": OWN, **given})
