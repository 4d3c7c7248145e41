"""A trainer that learns nothing: it obeys the same contract of files, and ends as the job's seed says."""

import json
import os
import signal
import sys
from math import ceil
from pathlib import Path
from typing import Any

FAILS = 1001
CRASHES = 1002
WAITS = 1003
DIVERGES = 1004


def main(folder: Path) -> int:
    job = json.loads((folder / "job.json").read_text())
    (folder / "pid").write_text(str(os.getpid()))
    rows = Path(job["training_file"]).read_text().splitlines()
    steps = ceil(len(rows) * job["n_epochs"] / job["batch_size"])
    ends = {ceil(len(rows) * epoch / job["batch_size"]) for epoch in range(1, job["n_epochs"] + 1)}
    with (folder / "metrics.jsonl").open("a", buffering=1) as metrics:
        for step in range(1, steps + 1):
            metrics.write(json.dumps(measured(step, steps, job, end=step in ends)) + "\n")
            if job["seed"] == WAITS and step == 2:
                signal.pause()
            if job["seed"] == CRASHES:
                sys.exit("out of luck")
            if step in ends:
                saved = folder / "checkpoints" / f"step-{step}"
                saved.mkdir(parents=True)
                (saved / "adapter_config.json").write_text("{}")
    tokens = sum(len(message["content"]) for row in rows for message in json.loads(row)["messages"])
    outcome = {"status": "succeeded", "trained_tokens": tokens * job["n_epochs"]}
    if job["seed"] == FAILS:
        outcome = {"status": "failed", "error": {"code": "bad_luck", "message": "Not today.", "param": None}}
    (folder / "outcome.json").write_text(json.dumps(outcome))
    return 0


def measured(step: int, steps: int, job: dict[str, Any], *, end: bool) -> dict[str, Any]:
    row = {
        "step": step,
        "total_steps": steps,
        "train_loss": float("nan") if job["seed"] == DIVERGES else 2 / step,
        "train_mean_token_accuracy": 1 - 1 / (step + 1),
        "epoch_end": end,
        "seconds": 0.01 * step,
    }
    if job["validation_file"] and step % 2 == 1:
        row |= {"valid_loss": 3 / step, "valid_mean_token_accuracy": 0.5}
    if job["validation_file"] and end:
        row |= {"full_valid_loss": 1 / step, "full_valid_mean_token_accuracy": 0.75}
    return row


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
