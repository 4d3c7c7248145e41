import pytest

from harness.dataset.cost import cost_usd, price_of
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
