import json
from pathlib import Path

import pytest

from harness.localserver.training.plan import TrainingError
from harness.localserver.training.trainer import train
from tests.localserver.tiny_model import write_tiny_model
from tests.localserver.training.jobs import metrics, plan, write_pairs


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", context=256)


def test_preferences_are_learned_and_hold_for_prompts_not_seen(tmp_path: Path, weights: Path) -> None:
    job = plan(
        weights,
        tmp_path,
        training_file=str(write_pairs(tmp_path / "pairs.jsonl", 24)),
        validation_file=str(write_pairs(tmp_path / "held-out.jsonl", 12, start=100)),
        method="dpo",
        beta=0.1,
        n_epochs=4,
        learning_rate_multiplier=10.0,
    )
    train(job, tmp_path)
    lines = metrics(tmp_path)
    assert lines[0]["train_loss"] == pytest.approx(0.693, abs=0.05)
    assert abs(lines[0]["train_reward_margin"]) < 0.1
    assert lines[-1]["full_valid_preference_accuracy"] == 1.0
    assert lines[-1]["full_valid_reward_margin"] > 0.5
    assert lines[-1]["full_valid_loss"] < 0.5
    assert {"train_mean_token_accuracy", "train_preference_accuracy", "valid_reward_margin"} < set(lines[0])


def test_supervised_steps_say_nothing_of_preferences(tmp_path: Path, weights: Path) -> None:
    train(plan(weights, tmp_path, n_epochs=1), tmp_path)
    assert not any("preference" in name or "reward" in name for line in metrics(tmp_path) for name in line)


def test_completions_are_learned(tmp_path: Path, weights: Path) -> None:
    for name, start in (("train", 0), ("valid", 100)):
        rows = [{"prompt": f"{number}: sy", "completion": " hello"} for number in range(start, start + 12)]
        (tmp_path / f"{name}.texts").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = plan(
        weights,
        tmp_path,
        training_file=str(tmp_path / "train.texts"),
        validation_file=str(tmp_path / "valid.texts"),
        n_epochs=6,
        learning_rate_multiplier=5.0,
    )
    train(job, tmp_path)
    lines = metrics(tmp_path)
    assert lines[-1]["full_valid_loss"] < 0.5 * lines[0]["valid_loss"]


def test_pairs_beyond_the_context_are_the_files_fault(tmp_path: Path, weights: Path) -> None:
    row = {"input": [{"role": "user", "content": "x " * 300}], "preferred": "a", "rejected": "b"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row))
    job = plan(
        weights,
        tmp_path,
        training_file=str(tmp_path / "pairs.jsonl"),
        method="dpo",
        beta=0.1,
        validation_file=None,
    )
    with pytest.raises(TrainingError, match="within the model's context of 256 tokens"):
        train(job, tmp_path)


def test_adapter_names_the_model_it_was_taught_on(tmp_path: Path, weights: Path) -> None:
    train(plan(weights, tmp_path, n_epochs=1), tmp_path)
    config = json.loads((tmp_path / "checkpoints" / "step-3" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(weights)


def test_text_beyond_the_context_is_cut(tmp_path: Path, weights: Path) -> None:
    """A row longer than the context is billed and learned up to it."""
    row = {"prompt": "x" * 100, "completion": "y" * 400}
    (tmp_path / "texts.jsonl").write_text(json.dumps(row))
    ending = train(
        plan(
            weights, tmp_path, training_file=str(tmp_path / "texts.jsonl"), validation_file=None, n_epochs=2
        ),
        tmp_path,
    )
    assert ending.trained_tokens == 2 * 256
