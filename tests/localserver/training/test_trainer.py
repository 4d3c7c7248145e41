import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from harness.localserver.model.adapters import load_adapter
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import read_shape
from harness.localserver.model.tokenizer import ChatTokenizer
from harness.localserver.training.device import training_precision
from harness.localserver.training.examples import Taught
from harness.localserver.training.lesson import Lesson
from harness.localserver.training.lora import Student
from harness.localserver.training.packing import Row, row_of
from harness.localserver.training.plan import TrainingError, TrainingPlan
from harness.localserver.training.trainer import main, train
from tests.localserver.tiny_model import write_tiny_model
from tests.localserver.training.jobs import adapter, metrics, outcome, plan, trained, write_rows

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", context=256)


def test_training_lowers_the_loss_and_reports_every_step(tmp_path: Path, weights: Path) -> None:
    tokens = trained(plan(weights, tmp_path, n_epochs=8, learning_rate_multiplier=5.0), tmp_path)
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == list(range(1, 21))
    assert {line["total_steps"] for line in lines} == {20}
    assert lines[-1]["full_valid_loss"] < 0.8 * lines[0]["valid_loss"]
    assert all(0 <= line["train_mean_token_accuracy"] <= 1 for line in lines)
    assert [line["step"] for line in lines if line["epoch_end"]] == [3, 5, 8, 10, 13, 15, 18, 20]
    assert [line["step"] for line in lines if "full_valid_loss" in line] == [3, 5, 8, 10, 13, 15, 18, 20]
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)
    assert tokens % 8 == 0
    assert tokens > 0


def test_every_epoch_leaves_an_adapter_and_they_differ(tmp_path: Path, weights: Path) -> None:
    train(plan(weights, tmp_path), tmp_path)
    folders = sorted((tmp_path / "checkpoints").iterdir())
    assert [folder.name for folder in folders] == ["step-3", "step-5", "step-8"]
    shape = read_shape(GgufFile(weights))
    first, _, last = (load_adapter(folder, shape).layers[5]["mlp.down_proj"].up for folder in folders)
    assert not torch.equal(first, last)


def test_same_seed_gives_the_same_bits_on_one_thread_and_on_two(tmp_path: Path, weights: Path) -> None:
    adapters = []
    for name, threads in (("one", 1), ("two", 2), ("again", 2)):
        train(plan(weights, tmp_path / name, threads=threads), tmp_path / name)
        adapters.append(adapter(tmp_path / name, 8))
    assert adapters[0] == adapters[1] == adapters[2]


def rows_of(job: TrainingPlan, gguf: GgufFile) -> list[Row]:
    tokenizer = ChatTokenizer(gguf)
    conversations = [json.loads(line)["messages"] for line in job.training_file.read_text().splitlines()]
    encoded = [tokenizer.encode_training(messages) for messages in conversations]
    return [row_of(Taught(ids=ids, mask=mask), context=256) for ids, mask in encoded]


def test_training_is_the_plain_loop(tmp_path: Path, weights: Path) -> None:
    """AdamW at the schedule's rate on gradients cut to length 1, one step an epoch."""
    job = plan(
        weights, tmp_path, n_epochs=6, batch_size=10, learning_rate_multiplier=20.0, validation_file=None
    )
    train(job, tmp_path)
    gguf = GgufFile(weights)
    student = Student(gguf, seed=job.seed, dtype=training_precision(CPU), device=CPU)
    optimizer = torch.optim.AdamW([student.learned], lr=2e-3)
    lengths = []
    with ThreadPoolExecutor(1) as pool:
        lesson = Lesson(rows_of(job, gguf), student, pool)
        for share in (1.0, 1.0, 0.8, 0.6, 0.4, 0.2):
            _, student.learned.grad = lesson.gradient(range(10))
            lengths.append(float(torch.nn.utils.clip_grad_norm_([student.learned], 1.0)))
            optimizer.param_groups[0]["lr"] = 20 * 2e-3 * share
            optimizer.step()
    assert (
        max(lengths) > 1.5 * min(lengths) > 1.5
    )  # unlike each other, and cut: else cutting could not be told
    found = load_adapter(tmp_path / "checkpoints" / "step-6", student.shape).layers[5]["self_attn.o_proj"]
    expected = student.adapter().layers[5]["self_attn.o_proj"]
    torch.testing.assert_close(found.up, expected.up, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.down, expected.down, atol=1e-3, rtol=0)


def test_another_seed_gives_another_adapter(tmp_path: Path, weights: Path) -> None:
    adapters = []
    for seed in (1, 2):
        train(plan(weights, tmp_path / str(seed), seed=seed), tmp_path / str(seed))
        adapters.append(adapter(tmp_path / str(seed), 8))
    assert adapters[0] != adapters[1]


def test_validation_changes_nothing_about_training(tmp_path: Path, weights: Path) -> None:
    train(plan(weights, tmp_path / "with"), tmp_path / "with")
    train(plan(weights, tmp_path / "without", validation_file=None), tmp_path / "without")
    with_valid, without = metrics(tmp_path / "with"), metrics(tmp_path / "without")
    assert [line["train_loss"] for line in with_valid] == [line["train_loss"] for line in without]
    assert not any("valid_loss" in line or "full_valid_loss" in line for line in without)


def test_step_without_taught_tokens_has_no_loss(tmp_path: Path, weights: Path) -> None:
    job = plan(weights, tmp_path, batch_size=1, n_epochs=1)
    silent = write_rows(tmp_path / "silent.jsonl", 2, weight=0).read_text()
    job.training_file.write_text(silent + job.training_file.read_text(), encoding="utf-8")
    train(job, tmp_path)
    losses = [line["train_loss"] for line in metrics(tmp_path)]
    assert (len(losses), losses.count(None)) == (12, 2)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_step_without_taught_tokens_changes_nothing(tmp_path: Path, weights: Path, seed: int) -> None:
    """Whichever of the two rows comes first, only one of them teaches."""
    changes: dict[str, object] = {"batch_size": 1, "n_epochs": 1, "seed": seed, "validation_file": None}
    adapters = []
    for name, silent in (("alone", 0), ("beside", 1)):
        job = plan(weights, tmp_path / name, **changes)
        text = (
            write_rows(job.training_file, 1).read_text()
            + write_rows(tmp_path / "silent", silent, weight=0).read_text()
        )
        job.training_file.write_text(text, encoding="utf-8")
        train(job, tmp_path / name)
        (folder,) = (tmp_path / name / "checkpoints").iterdir()
        adapters.append((folder / "adapter_model.safetensors").read_bytes())
    assert adapters[0] == adapters[1]


def test_trained_tokens_are_those_of_all_rows_in_all_epochs(tmp_path: Path, weights: Path) -> None:
    once = trained(plan(weights, tmp_path, n_epochs=1), tmp_path)
    assert trained(plan(weights, tmp_path, n_epochs=3), tmp_path) == 3 * once


def test_row_beyond_the_context_is_cut(tmp_path: Path, weights: Path) -> None:
    job = plan(weights, tmp_path, n_epochs=1, validation_file=None)
    long = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y z " * 400}]}
    job.training_file.write_text(json.dumps(long) + "\n", encoding="utf-8")
    assert trained(job, tmp_path) == 256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"messages": [{"role": "user", "content": "a"}]}', "No example has text to learn"),
        ("{broken", "cannot be read as training examples"),
        ('{"prompt": "x"}', "cannot be read as training examples"),
    ],
)
def test_file_that_teaches_nothing_is_the_jobs_failure(
    tmp_path: Path, weights: Path, content: str, message: str
) -> None:
    plan(weights, tmp_path).training_file.write_text(content, encoding="utf-8")
    assert main(tmp_path) == 1
    error = outcome(tmp_path)["error"]
    assert isinstance(error, dict)
    assert message in error["message"]
    assert (error["code"], error["param"]) == ("invalid_training_file", "training_file")


def test_absurd_rate_ends_in_words(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(TrainingError, match="no longer a number") as caught:
        train(plan(weights, tmp_path, n_epochs=20, learning_rate_multiplier=1e30), tmp_path)
    assert (caught.value.code, caught.value.param) == ("training_diverged", "learning_rate_multiplier")
    assert all("NaN" not in line for line in (tmp_path / "metrics.jsonl").read_text().splitlines())


def test_missing_weights_are_the_servers_failure(tmp_path: Path) -> None:
    plan(tmp_path / "none.gguf", tmp_path)
    assert main(tmp_path) == 1
    assert outcome(tmp_path)["status"] == "failed"
    assert "none.gguf" in str(outcome(tmp_path)["error"])


def test_process_succeeds(tmp_path: Path, weights: Path) -> None:
    plan(weights, tmp_path)
    subprocess.run([sys.executable, "-m", "harness.localserver.training.trainer", str(tmp_path)], check=True)
    tokens = trained(plan(weights, tmp_path), tmp_path)
    assert outcome(tmp_path) == {"status": "succeeded", "trained_tokens": tokens}


def test_sigterm_ends_the_process_at_once(tmp_path: Path, weights: Path) -> None:
    """The training file is a pipe that nobody writes to: the process is known to be at work when it opens it."""
    os.mkfifo(tmp_path / "pipe.jsonl")
    plan(weights, tmp_path, training_file=str(tmp_path / "pipe.jsonl"))
    command = [sys.executable, "-m", "harness.localserver.training.trainer", str(tmp_path)]
    with subprocess.Popen(command) as process, (tmp_path / "pipe.jsonl").open("wb"):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
    assert not (tmp_path / "outcome.json").exists()
