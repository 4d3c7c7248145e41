import pytest

from harness.dataset.cost import Price, cost_usd, price_of, retirement
from harness.dataset.findings import Finding
from harness.records import Usage


def test_tuned_model_costs_more_than_its_base() -> None:
    base, tuned = price_of("gpt-4.1-mini-2025-04-14"), price_of("ft:gpt-4.1-mini-2025-04-14:acme::abc123")
    assert base is not None
    assert tuned is not None
    assert (base.input, base.output) == (0.4, 1.6)
    assert (tuned.input, tuned.cached, tuned.output, tuned.train) == (0.8, 0.2, 3.2, 5.0)


@pytest.mark.parametrize(
    "model",
    [
        "ft:gpt-4o-mini-2024-07-18:acme:x:9o1eNlSa:ckpt-step-101",
        "gpt-4o-mini-2024-07-18.ft-0123456789abcdef",
    ],
)
def test_checkpoints_and_azure_names_have_the_tuned_price(model: str) -> None:
    price = price_of(model)
    assert price is not None
    assert price.input == 0.3


def test_alias_is_its_snapshot() -> None:
    assert price_of("gpt-4.1") == price_of("gpt-4.1-2025-04-14")


def test_price_carries_its_date_and_the_models_end() -> None:
    price = price_of("gpt-4.1")
    assert price is not None
    assert (price.as_of, price.shutdown) == ("2026-10", "2027-01-14")


def test_unknown_model_has_no_price_rather_than_a_free_one() -> None:
    assert price_of("smollm2-135m-instruct") is None
    assert price_of("ft:") is None
    assert price_of("") is None


def test_cached_tokens_have_their_own_price() -> None:
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=500_000, cached_tokens=400_000)
    assert cost_usd(usage, {"input": 2.0, "cached": 0.5, "output": 8.0}) == pytest.approx(1.2 + 0.2 + 4.0)
    assert cost_usd(usage, {"input": 2.0, "output": 8.0}) == pytest.approx(2.0 + 4.0)


def test_unknown_count_or_price_makes_the_cost_unknown() -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=None)
    assert cost_usd(usage, {"input": 2.0, "output": 8.0}) is None
    assert cost_usd(Usage(prompt_tokens=10, completion_tokens=1), {}) is None


def test_batches_have_a_price_of_their_own_where_they_do_not_cost_half() -> None:
    tuned, base = price_of("ft:gpt-4o-2024-08-06:acme::abc123"), price_of("gpt-4o-2024-08-06")
    assert tuned is not None
    assert base is not None
    assert (tuned.batch_input, tuned.batch_output, tuned.cached) == (2.225, 12.5, 1.875)
    assert (base.batch_input, base.batch_output) == (None, None)


def test_the_end_of_a_base_is_told_with_where_the_day_comes_from() -> None:
    price = Price(shutdown="2027-01-14", no_jobs_from="2026-12-01", as_of="2026-10")
    (found,) = retirement("gpt-x", price)
    assert found == Finding(
        name="base_retires",
        level="warning",
        what=(
            "gpt-x is served until 2027-01-14, and so are its fine-tunes, "
            "new jobs on it are taken until 2026-12-01 (as of 2026-10)"
        ),
        count=0,
        lines=(),
        why="what is trained now can be used until that day",
        remedy="tune a model whose weights you can keep: `harness serve` speaks the same API",
        figures={"shutdown": "2027-01-14", "no_jobs_from": "2026-12-01"},
    )
    (bare,) = retirement("gpt-x", Price(shutdown="2027-01-14"))
    assert bare.what == "gpt-x is served until 2027-01-14, and so are its fine-tunes"


def test_a_base_without_an_end_is_no_news() -> None:
    assert retirement("gpt-x", Price()) == []
    assert retirement("gpt-x", None) == []


def test_nothing_answered_needs_no_price_of_answers() -> None:
    assert cost_usd(Usage(prompt_tokens=1_000_000, completion_tokens=0), {"input": 2.0}) == 2.0
    assert cost_usd(Usage(prompt_tokens=1_000_000, completion_tokens=1), {"input": 2.0}) is None
    assert cost_usd(Usage(prompt_tokens=1, completion_tokens=1), {"output": 2.0}) is None


def test_no_more_tokens_are_cached_than_were_sent() -> None:
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=0, cached_tokens=2_000_000)
    assert cost_usd(usage, {"input": 2.0, "cached": 0.5, "output": 8.0}) == pytest.approx(0.5)
