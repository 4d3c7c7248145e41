import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import ModelSettings, Settings, TrainingSettings
from harness.dataset import Price
from harness.errors import BudgetError, DatasetError, UsageError
from harness.lineup import SeatPlan, check_training_budget, configured_price, training_request, training_terms
from harness.training import TrainingRequest

ROW = json.dumps(
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello to you."}]}
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("train.jsonl", "valid.jsonl"):
        (tmp_path / name).write_text(f"{ROW}\n" * 12, encoding="utf-8")
    return Settings(root=tmp_path, train=Path("train.jsonl"), valid=Path("valid.jsonl"))


def test_request_says_what_is_configured(settings: Settings, tmp_path: Path) -> None:
    chosen = TrainingSettings(epochs=2, batch_size=4, learning_rate_multiplier=0.5, seed=7, suffix="night")
    request = training_request(
        Settings(root=tmp_path, train=settings.train, training=chosen), base="some-model"
    )
    assert request == TrainingRequest(
        model="some-model",
        training_file=tmp_path / "train.jsonl",
        validation_file=None,
        epochs=2,
        batch_size=4,
        learning_rate_multiplier=0.5,
        seed=7,
        suffix="night",
    )
    assert training_request(settings, base="m").validation_file == tmp_path / "valid.jsonl"


def test_preferences_are_trained_by_their_own_method(settings: Settings, tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "Yes"}
    row = {
        "input": {"messages": [{"role": "user", "content": "Hi"}]},
        "preferred_output": [said],
        "non_preferred_output": [{**said, "content": "No"}],
    }
    for name in ("train.jsonl", "valid.jsonl"):
        (tmp_path / name).write_text(f"{json.dumps(row)}\n" * 12, encoding="utf-8")
    assert training_request(settings, base="m").method == "dpo"


@pytest.mark.parametrize("name", ["train", "valid"])
def test_file_that_is_not_there_is_told_with_its_setting(settings: Settings, name: str) -> None:
    (settings.root / f"{name}.jsonl").unlink()
    with pytest.raises(UsageError, match=rf"{name}\.jsonl: no such file \(correct `{name}` under"):
        training_request(settings, base="m")


def test_path_with_backslashes_is_explained(settings: Settings, tmp_path: Path) -> None:
    windows = Settings(root=tmp_path, train=Path("data\\train.jsonl"))
    with pytest.raises(UsageError, match=r"no such file \(write / instead of \\\)"):
        training_request(windows, base="m")


def test_broken_lines_of_both_files_are_told_at_once(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(f'{ROW}\nnot json\n{ROW}\n{{"messages": []}}\n', encoding="utf-8")
    (tmp_path / "valid.jsonl").write_text(f"{ROW}\n[]\n", encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        training_request(settings, base="m")
    places = [line.partition(": ")[0] for line in str(caught.value).splitlines()]
    assert places == [f"{tmp_path}/train.jsonl:2", f"{tmp_path}/train.jsonl:4", f"{tmp_path}/valid.jsonl:2"]


def test_fine_tuning_over_the_budget_is_refused(settings: Settings) -> None:
    request = training_request(settings, base="gpt-4.1-2025-04-14")
    with pytest.raises(
        BudgetError, match=r"fine-tuning gpt-4\.1-2025-04-14 on train\.jsonl would cost .* USD"
    ):
        check_training_budget(request, 0.0)
    check_training_budget(request, 5.0)
    check_training_budget(request, None)


def test_training_without_a_known_price_is_not_refused(settings: Settings) -> None:
    check_training_budget(training_request(settings, base="acme/plain"), 0.0)


def test_configured_price_decides_the_budget(settings: Settings) -> None:
    request = training_request(settings, base="acme/plain")
    with pytest.raises(BudgetError, match=r"the budget is 0\.01 USD"):
        check_training_budget(request, 0.01, price=Price(train=1000.0))
    check_training_budget(request, 0.01, price=Price(input=1000.0))
    dear = training_request(settings, base="gpt-4.1-2025-04-14")
    check_training_budget(dear, 0.0001, price=Price(train=0.0))


def test_price_is_that_of_the_table_with_the_model(settings: Settings) -> None:
    tables = {
        "one": ModelSettings(model="m", base_url="http://one.example/v1", price=Price(train=1.0)),
        "two": ModelSettings(model="m", base_url="http://two.example/v1", price=Price(train=2.0)),
    }
    configured = replace(settings, models=tables)
    where = SeatPlan(model="m", settings=tables["two"])
    assert configured_price(configured, where, "m").train == 2.0
    assert configured_price(configured, SeatPlan(model="m", settings=None), "m").train == 1.0
    assert configured_price(configured, where, "another") == Price()


def test_terms_have_the_price_and_what_is_expected(settings: Settings) -> None:
    request = training_request(settings, base="acme/plain")
    terms = training_terms(request, price=Price(train=1000.0), place="acme")
    assert (terms.place, terms.train_price) == ("acme", 1000.0)
    assert terms.estimate_usd is not None
    assert terms.estimate_usd > 0
    assert training_terms(request, price=Price()).estimate_usd is None
