import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.dataset.checking import check_file
from harness.dataset.cost import Price, price_of
from harness.dataset.pricing import OWN, TokenUse, training_cost, with_prices
from harness.dataset.report import DatasetReport

USE = TokenUse(billed=3_000_000, prompt=200.0, answer=50.0)
BASE = Price(input=0.4, output=1.6, train=5.0, as_of="2026-10", shutdown="2027-01-14")
TUNED = Price(input=0.8, output=3.2)


@pytest.fixture
def report(tmp_path: Path) -> DatasetReport:
    row = {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "world"}]}
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join([json.dumps(row)] * 20), encoding="utf-8")
    return check_file(path, model="gpt-4.1-mini-2025-04-14")


def test_a_job_costs_its_tokens_and_a_thousand_cases_their_prompts_and_answers() -> None:
    cost = training_cost("chat", USE, base=BASE, tuned=TUNED)
    assert cost.training_usd == pytest.approx(3 * 5.0)
    assert cost.per_1000_cases_base_usd == pytest.approx(1000 * (200 * 0.4 + 50 * 1.6) / 1e6)
    assert cost.per_1000_cases_tuned_usd == pytest.approx(1000 * (200 * 0.8 + 50 * 3.2) / 1e6)
    assert (cost.as_of, cost.train_price, cost.shutdown) == ("2026-10", 5.0, "2027-01-14")


def test_reinforcement_has_no_price_by_the_token() -> None:
    cost = training_cost("reinforcement", USE, base=BASE, tuned=TUNED)
    assert (cost.training_usd, cost.train_price) == (None, None)
    assert cost.per_1000_cases_base_usd is not None


@pytest.mark.parametrize("price", [None, Price(), Price(input=1.0), Price(output=1.0)])
def test_half_a_price_of_asking_is_none(price: Price | None) -> None:
    cost = training_cost("chat", USE, base=price, tuned=price)
    assert (cost.training_usd, cost.per_1000_cases_base_usd, cost.per_1000_cases_tuned_usd) == (None,) * 3


def test_own_prices_stand_before_the_tables_and_the_rest_is_the_tables(report: DatasetReport) -> None:
    own = with_prices(report, base=Price(train=1_000_000.0), tuned=Price(input=0.0, output=1_000.0))
    answer = report.tokens["answer_tokens"].mean
    assert own.cost.training_usd == report.billed_tokens * report.epochs
    assert own.cost.as_of == OWN
    assert own.cost.per_1000_cases_base_usd == report.cost.per_1000_cases_base_usd
    assert own.cost.per_1000_cases_tuned_usd == pytest.approx(answer)
    assert own.warnings == tuple(
        replace(warning, what=warning.what.replace("as of 2026-10", f"as of {OWN}"))
        for warning in report.warnings
    )


def test_without_prices_of_ones_own_the_report_stays_as_it_is(report: DatasetReport) -> None:
    assert with_prices(report, base=Price(), tuned=Price()) == report


def test_a_day_of_ones_own_takes_the_place_of_the_tables(report: DatasetReport) -> None:
    own = with_prices(report, base=Price(shutdown="2031-01-01"), tuned=Price())
    (told,) = (warning for warning in own.warnings if warning.name == "base_retires")
    assert "until 2031-01-01" in told.what
    assert own.cost.shutdown == "2031-01-01"
    listed = price_of(report.model)
    assert listed is not None
    assert own.cost.train_price == listed.train


def test_a_model_of_nobodys_table_costs_what_is_said(report: DatasetReport) -> None:
    unknown = replace(report, model="acme/own", tokens={})
    own = with_prices(unknown, base=Price(input=1.0, output=1.0), tuned=Price())
    assert own.cost.training_usd is None
    assert own.cost.per_1000_cases_base_usd == pytest.approx(report.uncut_tokens / 20 / 1000)
    assert own.cost.per_1000_cases_tuned_usd is None
