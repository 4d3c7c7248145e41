"""A trainer that learns nothing: it obeys the same contract of files, and behaves as the job's seed says."""

import json
import os
import shutil
import sys
import time
from math import ceil
from pathlib import Path
from typing import Any

FAILS = 1001
CRASHES = 1002
# Waits after its second step, until it is told to pause or to end; only at its first start.
WAITS = 1003
DIVERGES = 1004
# Like the one that waits, but it ends with success although it was told to pause.
TOO_LATE = 1005
# Takes its time for every step.
SLOW = 1006


def main(folder: Path) -> int:
    job = json.loads((folder / "job.json").read_text())
    (folder / "pid").write_text(str(os.getpid()))
    rows = [json.loads(line) for line in Path(job["training_file"]).read_text().splitlines()]
    steps = ceil(len(rows) * job["n_epochs"] / job["batch_size"])
    ends = {ceil(len(rows) * epoch / job["batch_size"]) for epoch in range(1, job["n_epochs"] + 1)}
    done = begun_after(job)
    with (folder / "metrics.jsonl").open("a", buffering=1) as metrics:
        for step in range(done + 1, steps + 1):
            if job["seed"] == CRASHES:
                sys.exit("out of luck")
            if step in ends:
                saved = folder / "checkpoints" / f"step-{step}"
                saved.mkdir(parents=True)
                (saved / "adapter_config.json").write_text("{}")
            metrics.write(json.dumps(measured(step, steps, job, end=step in ends)) + "\n")
            if step in ends:
                save_state(folder, step)
            if job["seed"] == SLOW:
                time.sleep(0.02)
            if step == 2 and job["seed"] in {WAITS, TOO_LATE} and folder.name == "attempt-1":
                wait_for_pause(folder)
            if (folder / "pause").exists() and job["seed"] != TOO_LATE:
                save_state(folder, step)
                return end(folder, {"status": "paused", "step": step})
    if job["seed"] == FAILS:
        error = {"code": "bad_luck", "message": "Not today.", "param": None}
        return end(folder, {"status": "failed", "error": error})
    return end(folder, {"status": "succeeded", "trained_tokens": len(json.dumps(rows)) * job["n_epochs"]})


def begun_after(job: dict[str, Any]) -> int:
    """The last step of the earlier start that this one goes on from."""
    if not job["resume_from"]:
        return 0
    return int(json.loads((Path(job["resume_from"]) / "state.json").read_text())["step"])


def save_state(folder: Path, step: int) -> None:
    kept = folder / "state" / f"step-{step}"
    if kept.exists():
        return
    older = list(kept.parent.glob("step-*"))
    unfinished = kept.with_name(f"unfinished-{step}")
    unfinished.mkdir(parents=True)
    (unfinished / "state.json").write_text(json.dumps({"step": step}))
    unfinished.replace(kept)
    for state in older:
        shutil.rmtree(state)


def wait_for_pause(folder: Path) -> None:
    while not (folder / "pause").exists():
        time.sleep(0.005)


def end(folder: Path, outcome: dict[str, Any]) -> int:
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
    if job["method"] == "dpo":
        row |= {"train_preference_accuracy": 0.5, "train_reward_margin": 0.1 * step}
    if job["validation_file"] and step % 2 == 1:
        row |= {"valid_loss": 3 / step, "valid_mean_token_accuracy": 0.5}
    if job["validation_file"] and end:
        row |= {"full_valid_loss": 1 / step, "full_valid_mean_token_accuracy": 0.75}
    return row


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
