"""Folders of jobs as the queue writes them, and what a trainer leaves in them."""

import json
from pathlib import Path

from harness.localserver.training.plan import TrainingPlan, read_plan
from harness.localserver.training.trainer import train

WORDS = ["red", "green", "blue", "hello world"]


def write_rows(path: Path, count: int, *, start: int = 0, **assistant: object) -> Path:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{WORDS[index % 4]} {index}"},
                {"role": "assistant", "content": WORDS[index % 4], **assistant},
            ]
        }
        for index in range(start, start + count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def plan(weights: Path, folder: Path, **changes: object) -> TrainingPlan:
    folder.mkdir(exist_ok=True)
    settings: dict[str, object] = {
        "model": str(weights),
        "training_file": str(write_rows(folder / "train.jsonl", 10)),
        "validation_file": str(write_rows(folder / "valid.jsonl", 6, start=100)),
        "method": "supervised",
        "beta": None,
        "resume_from": None,
        "n_epochs": 3,
        "batch_size": 4,
        "learning_rate_multiplier": 1.0,
        "seed": 1,
        "threads": 2,
    }
    (folder / "job.json").write_text(json.dumps(settings | changes), encoding="utf-8")
    return read_plan(folder)


def trained(job: TrainingPlan, folder: Path) -> int:
    """Train to the end; returns the tokens trained."""
    ending = train(job, folder)
    assert ending.trained_tokens is not None
    return ending.trained_tokens


def adapter(folder: Path, step: int) -> bytes:
    return (folder / "checkpoints" / f"step-{step}" / "adapter_model.safetensors").read_bytes()


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def outcome(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "outcome.json").read_text())
    return found


def write_pairs(path: Path, count: int, *, start: int = 0) -> Path:
    """Preferences for words in small letters."""
    rows = [
        {
            "input": [{"role": "user", "content": f"{WORDS[index % 4]} {index}"}],
            "preferred": WORDS[index % 4],
            "rejected": WORDS[index % 4].upper(),
        }
        for index in range(start, start + count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
