import json
from pathlib import Path

import pytest

from harness.localserver.training.plan import TrainingPlan, read_plan

JOB: dict[str, object] = {
    "model": "/models/a.gguf",
    "training_file": "/jobs/training.jsonl",
    "validation_file": None,
    "method": "dpo",
    "beta": 0.2,
    "n_epochs": 3,
    "batch_size": 4,
    "learning_rate_multiplier": 1,
    "seed": 7,
    "threads": None,
    "resume_from": "/jobs/1/state/step-9",
}


def written(folder: Path, **changes: object) -> Path:
    (folder / "job.json").write_text(json.dumps(JOB | changes), encoding="utf-8")
    return folder


def test_plan_is_read_as_the_queue_writes_it(tmp_path: Path) -> None:
    assert read_plan(written(tmp_path)) == TrainingPlan(
        model=Path("/models/a.gguf"),
        training_file=Path("/jobs/training.jsonl"),
        validation_file=None,
        method="dpo",
        beta=0.2,
        n_epochs=3,
        batch_size=4,
        learning_rate_multiplier=1.0,
        seed=7,
        threads=None,
        resume_from=Path("/jobs/1/state/step-9"),
    )


@pytest.mark.parametrize(
    ("method", "beta"), [("dpo", None), ("supervised", 0.1), ("reinforcement", None), (["dpo"], 0.1)]
)
def test_method_and_beta_belong_together(tmp_path: Path, method: object, beta: float | None) -> None:
    with pytest.raises(ValueError, match="no plan"):
        read_plan(written(tmp_path, method=method, beta=beta))
