import json
from pathlib import Path

import pytest

from harness.dataset import Price, billed_tokens, default_epochs, read_dataset, training_cost_usd
from harness.dataset.billing import PROMPT_OVER_ROW

SHARED = Path(__file__).parents[3] / "shared" / "data" / "training"


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(10, 10), (20, 5), (15, 6), (80, 3), (1110, 3), (8333, 3), (8334, 2), (30_000, 1), (1, 25)],
)
def test_default_epochs_are_those_of_real_jobs(examples: int, epochs: int) -> None:
    assert default_epochs(examples) == epochs


def write(folder: Path, rows: int) -> Path:
    row = {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "world"}]}
    path = folder / "train.jsonl"
    path.write_text("\n".join([json.dumps(row)] * rows), encoding="utf-8")
    return path


def test_row_bills_three_and_role_and_content_for_each_message_and_one(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, 10))
    assert billed_tokens(dataset, model="gpt-3.5-turbo-0613") == 10 * ((3 + 1 + 1) + (3 + 1 + 1) + 1)


def test_cost_is_tokens_times_epochs_times_price(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, 100))
    cost = training_cost_usd(dataset, model="gpt-4o-mini-2024-07-18", epochs=2)
    assert cost == pytest.approx(100 * 11 * 2 * 3.0 / 1e6)


def test_unknown_price_is_none_not_zero(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, 10))
    assert training_cost_usd(dataset, model="acme/own", epochs=1) is None
    own = training_cost_usd(dataset, model="acme/own", epochs=1, price=Price(train=1_000_000))
    assert own == billed_tokens(dataset, model="acme/own")


def test_public_job_is_billed_to_the_token() -> None:
    path = SHARED / "chatlaw_seed_fine_tuning.jsonl"
    if not path.exists():
        pytest.skip("the shared training files are not beside this checkout")
    dataset = read_dataset(path)
    assert billed_tokens(dataset, model="gpt-3.5-turbo-0613") == 5220
    assert default_epochs(len(dataset.examples)) * 5220 == 26100


@pytest.mark.parametrize(
    ("rows", "script", "trained", "epochs"),
    [(20, 5_260, 26_100, 5), (80, 32_532, 97_116, 3), (82, 35_968, 179_020, 5)],
)
def test_the_scripts_total_less_two_a_row_is_what_public_jobs_trained(
    rows: int, script: int, trained: int, epochs: int
) -> None:
    assert (script - PROMPT_OVER_ROW * rows) * epochs == trained
