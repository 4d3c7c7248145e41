"""Trains one fine-tune in a process of its own: `python -m harness.localserver.training.trainer JOB_DIR`.

Reads `job.json`. Writes `metrics.jsonl`, a line for every step as it happens; `checkpoints/step-N/`, an adapter, at the end
of each epoch and before the line of that step; `state/step-N/`, what is needed to go on, after the line of that step, at the
end of each epoch, every few minutes and when paused; and last `outcome.json`. A file named `pause` ends it after the current
step. The same seed and threads give the same adapter, bit for bit, on the same kind of processor, however often the job was
paused or killed in between.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from types import FrameType
from typing import TextIO

from harness.errors import HarnessError, StorageError
from harness.localserver.training.learner import Figures, Learner
from harness.localserver.training.opening import open_learner
from harness.localserver.training.plan import Method, TrainingError, TrainingPlan, read_plan
from harness.localserver.training.saved_state import check_state, job_digest, keep_state
from harness.localserver.training.schedule import Schedule

# The learning rate at a multiplier of 1.0. Supervised: measured over three seeds on three tasks of 50 and 100 rows. DPO: 32 pairs
# that differ in style, learned twice, bring held-out pairs to an accuracy of 1 and a reward margin of 1.0; five times the rate
# brings a margin of 5.7, far from the model that was to be kept close to.
RATES: Mapping[Method, float] = {"supervised": 2e-3, "dpo": 2e-4}
# A killed job loses no more than this, in seconds.
STATE_EVERY_S = 300.0
PAUSE = "pause"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How far a training came: to its end with `trained_tokens`, or to a pause after `step`, where they are None."""

    step: int
    trained_tokens: int | None

    def outcome(self) -> dict[str, object]:
        """As `outcome.json` says it."""
        if self.trained_tokens is None:
            return {"status": "paused", "step": self.step}
        return {"status": "succeeded", "trained_tokens": self.trained_tokens}


class Training:
    """One job at work on a learner."""

    def __init__(self, plan: TrainingPlan, folder: Path, learner: Learner) -> None:
        self._plan = plan
        self._folder = folder
        self._learner = learner
        self._started = self._saved = time.monotonic()
        self._job = job_digest(plan)
        self._schedule = Schedule(
            rows=learner.rows, n_epochs=plan.n_epochs, batch_size=plan.batch_size, seed=plan.seed
        )
        self._ends = self._schedule.epoch_ends()

    def run(self) -> Ending:
        """Take the steps that are left, or those up to a pause."""
        done = self._restore(self._plan.resume_from) if self._plan.resume_from else 0
        with (self._folder / "metrics.jsonl").open("w", encoding="utf-8") as metrics:
            for step, batch in islice(enumerate(self._schedule.batches(), start=1), done, None):
                self._take(step, batch, metrics)
                # After the line of the step: a job that goes on from this state will not write it again.
                paused = step < self._schedule.steps and (self._folder / PAUSE).exists()
                if paused or step in self._ends or time.monotonic() - self._saved >= STATE_EVERY_S:
                    self._keep_state(step)
                if paused:
                    return Ending(step=step, trained_tokens=None)
        return Ending(step=self._schedule.steps, trained_tokens=self._learner.tokens * self._plan.n_epochs)

    def _take(self, step: int, batch: list[int], metrics: TextIO) -> None:
        at_end = step in self._ends
        rate = RATES[self._plan.method] * self._plan.learning_rate_multiplier * self._schedule.rate(step)
        learned = _named("train", self._learner.learn(batch, rate=rate))
        examined = self._examine(step, at_end=at_end)
        if at_end:
            self._learner.save(self._folder / "checkpoints" / f"step-{step}")
        line = {
            "step": step,
            "total_steps": self._schedule.steps,
            **learned,
            **examined,
            "epoch_end": at_end,
            "seconds": time.monotonic() - self._started,
        }
        metrics.write(json.dumps(line, allow_nan=False) + "\n")
        metrics.flush()

    def _examine(self, step: int, *, at_end: bool) -> Mapping[str, float | None]:
        count = self._learner.exam_rows
        figures: dict[str, float | None] = {}
        if count and self._schedule.validates(step):
            figures |= _named("valid", self._learner.examine(self._schedule.exam(step, rows=count)))
        if count and at_end:
            figures |= _named("full_valid", self._learner.examine(range(count)))
        return figures

    def _keep_state(self, step: int) -> None:
        keep_state(self._folder / "state", step=step, job=self._job, write=self._learner.save_state)
        self._saved = time.monotonic()

    def _restore(self, state: Path) -> int:
        try:
            step = check_state(state, job=self._job)
            self._learner.restore_state(state)
        except StorageError as error:
            raise TrainingError(
                error.problem, code="state_unreadable", param=None, remedy="create the job again"
            ) from error
        return step


def _named(kind: str, figures: Figures) -> dict[str, float | None]:
    """Figures under OpenAI's names; infinities and NaN, which JSON lacks, as None."""
    return {
        f"{kind}_{name}": value if value is not None and isfinite(value) else None
        for name, value in figures.items()
    }


def train(plan: TrainingPlan, folder: Path) -> Ending:
    """Train to the end, or to a pause.

    Raises:
        TrainingError: The rows, the hyperparameters or the state to resume from are at fault.
        HarnessError: The model cannot be read.
        OSError: A file cannot be read or written.
    """
    with open_learner(plan) as learner:
        return Training(plan, folder, learner).run()


def main(folder: Path) -> int:
    """Train the job in `folder`; the exit status is 1 when it failed."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        outcome = train(read_plan(folder), folder).outcome()
    except TrainingError as error:
        outcome = _failure(str(error), code=error.code, param=error.param)
    except (
        HarnessError,
        OSError,
        MemoryError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        ImportError,
    ) as error:
        # Torch reports memory it did not get as a RuntimeError.
        outcome = _failure(f"{type(error).__name__}: {error}", code="server_error", param=None)
    part = folder / "outcome.json.part"
    part.write_text(json.dumps(outcome), encoding="utf-8")
    part.replace(folder / "outcome.json")
    return 1 if outcome["status"] == "failed" else 0


def _failure(message: str, *, code: str, param: str | None) -> dict[str, object]:
    return {"status": "failed", "error": {"code": code, "message": message, "param": param}}


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End at once: everything worth keeping is on disk, and the workers' threads would finish their step first."""
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
