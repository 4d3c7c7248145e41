import json
from pathlib import Path

import pytest

from harness.dataset import Price, billed_tokens, default_epochs, read_dataset, training_cost_usd
from harness.dataset.billing import PROMPT_OVER_ROW, count_rows, default_batch_size, default_multiplier
from harness.dataset.tokens import count_tokens
from harness.dataset.tools import tool_text

SHARED = Path(__file__).parents[3] / "shared" / "data" / "training"


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [
        *[(0, 25), (1, 25), (10, 10), (15, 6), (20, 5), (33, 3), (34, 3)],
        *[(80, 3), (1110, 3), (8333, 3), (8334, 2), (12_500, 2), (25_001, 1), (30_000, 1)],
    ],
)
def test_default_epochs_are_those_of_real_jobs(examples: int, epochs: int) -> None:
    assert default_epochs(examples) == epochs


@pytest.mark.parametrize(
    ("examples", "batch"),
    [(0, 1), (999, 1), (1000, 2), (1499, 2), (1500, 3), (127_500, 255), (128_000, 256), (10**6, 256)],
)
def test_batch_is_two_in_a_thousand_examples_between_1_and_256(examples: int, batch: int) -> None:
    assert default_batch_size(examples) == batch


@pytest.mark.parametrize(
    ("model", "multiplier"),
    [
        ("gpt-3.5-turbo-0125", 2.0),
        ("gpt-4o-mini-2024-07-18", 1.8),
        ("ft:gpt-4.1-nano-2025-04-14:acme::abc123", 1.0),
        ("gpt-4o-2024-08-06", None),
        ("acme/own", None),
    ],
)
def test_the_learning_rate_multiplier_is_known_where_a_real_job_told_it(
    model: str, multiplier: float | None
) -> None:
    assert default_multiplier(model) == multiplier


def test_of_a_preference_pair_both_answers_are_billed_and_one_is_learned(tmp_path: Path) -> None:
    pair = {
        "input": {"messages": [{"role": "user", "content": "hello"}]},
        "preferred_output": [{"role": "assistant", "content": "お誕生日おめでとう"}],
        "non_preferred_output": [{"role": "assistant", "content": "hello"}],
    }
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(pair), encoding="utf-8")
    (row,) = count_rows(read_dataset(path).examples, model="gpt-4-0613")
    # Nine tokens in the encoding of gpt-4, eight in that of later models.
    prompt, preferred, rejected = 3 + 1 + 1, 3 + 1 + 9, 3 + 1 + 1
    assert (row.script, row.billed, row.answers) == (
        3 + prompt + preferred + rejected,
        1 + prompt + preferred + rejected,
        9,
    )


def test_tools_of_a_row_are_billed(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "world"}]}
    tool = {
        "type": "function",
        "function": {"name": "fly", "parameters": {"type": "object", "properties": {}}},
    }
    path = tmp_path / "tools.jsonl"
    path.write_text(f"{json.dumps(row)}\n{json.dumps({**row, 'tools': [tool]})}", encoding="utf-8")
    plain, tooled = count_rows(read_dataset(path).examples, model="gpt-4-0613")
    assert tooled.billed - plain.billed == count_tokens(tool_text({"tools": [tool]}), encoding="cl100k_base")
    assert tooled.answers == plain.answers == 1


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


def test_an_own_price_of_zero_is_a_price_and_one_without_training_is_none(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, 10))
    assert training_cost_usd(dataset, model="gpt-4o-mini-2024-07-18", epochs=1, price=Price(train=0.0)) == 0.0
    listed = training_cost_usd(dataset, model="gpt-4o-mini-2024-07-18", epochs=1)
    assert training_cost_usd(dataset, model="gpt-4o-mini-2024-07-18", epochs=1, price=Price()) == listed


def test_epochs_that_are_left_open_are_the_providers(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, 10))
    ten = training_cost_usd(dataset, model="gpt-4o-mini-2024-07-18", epochs=10)
    assert training_cost_usd(dataset, model="gpt-4o-mini-2024-07-18", epochs=None) == ten


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
