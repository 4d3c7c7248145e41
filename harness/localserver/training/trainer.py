"""Trains one fine-tune in a process of its own: `python -m harness.localserver.training.trainer JOB_DIR`.

Reads `job.json`. Writes `metrics.jsonl`, a line for every step as it happens; `checkpoints/step-N/`, an adapter, at the end
of each epoch; and last `outcome.json`. A step is `batch_size` rows, and batches run on across epochs, as OpenAI's
do. A row longer than the model's context is cut there. The same seed gives the same adapter, bit for bit, on the same
kind of processor.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path
from types import FrameType

import torch

from harness.errors import HarnessError
from harness.localserver.model.adapters import save_adapter
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.processors import crew
from harness.localserver.model.tokenizer import ChatTokenizer
from harness.localserver.training.lesson import Lesson, read_rows
from harness.localserver.training.lora import Measure, Student
from harness.localserver.training.packing import Row

# The recipe: the learning rate at a multiplier of 1.0, the share of steps over which it rises before it falls in a straight
# line, and the length a gradient is cut to. Measured over three seeds on three tasks of 50 and 100 rows.
RATE = 2e-3
WARM_UP_SHARE = 0.1
LONGEST_GRADIENT = 1.0
# Steps of a job up to which, and how often, a batch of the validation rows is measured besides the epochs' ends.
_VALIDATION_CADENCES = ((100, 1), (1000, 10), (sys.maxsize, 100))


class TrainingError(HarnessError):
    """The job cannot be trained; `code` and `param` are said of it as OpenAI says them of a failed job."""

    def __init__(self, problem: str, *, code: str, param: str | None, remedy: str = "") -> None:
        super().__init__(problem, remedy=remedy)
        self.code = code
        self.param = param


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What is asked for in `job.json`; `threads` None means all processors this process may use."""

    weights: Path
    training_file: Path
    validation_file: Path | None
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    seed: int
    threads: int | None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Which rows are learned at which step; an epoch's order is drawn anew from the seed."""

    rows: int
    n_epochs: int
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        """Steps in all."""
        return ceil(self.rows * self.n_epochs / self.batch_size)

    def epoch_ends(self) -> frozenset[int]:
        """The steps, counted from 1, in which the last row of an epoch is learned."""
        return frozenset(ceil(self.rows * epoch / self.batch_size) for epoch in range(1, self.n_epochs + 1))

    def batches(self) -> Iterator[list[int]]:
        """The indices of each step's rows; the last step may have fewer."""
        generator = torch.Generator().manual_seed(self.seed)
        batch: list[int] = []
        for _ in range(self.n_epochs):
            for index in torch.randperm(self.rows, generator=generator).tolist():
                batch.append(index)
                if len(batch) == self.batch_size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def rate(self, step: int) -> float:
        """The share of the full learning rate at a step: up over the warm-up, then down towards zero."""
        rising = max(1, round(self.steps * WARM_UP_SHARE))
        return min(step / rising, (self.steps - step + 1) / max(1, self.steps - rising))

    def validates(self, step: int) -> bool:
        """Whether a batch of the validation rows is measured at this step, as often as OpenAI does."""
        cadence = next(every for longest, every in _VALIDATION_CADENCES if self.steps <= longest)
        return (step - 1) % cadence == 0


class Training:
    """One job at work."""

    def __init__(self, plan: TrainingPlan, folder: Path, pool: Executor) -> None:
        self._plan = plan
        self._folder = folder
        self._started = time.perf_counter()
        gguf = GgufFile(plan.weights)
        tokenizer = ChatTokenizer(gguf)
        self._student = Student(gguf, seed=plan.seed, dtype=training_precision(), device=torch.device("cpu"))
        context = self._student.shape.context
        rows = _rows("training_file", plan.training_file, tokenizer, context)
        exam_rows = (
            _rows("validation_file", plan.validation_file, tokenizer, context) if plan.validation_file else []
        )
        self._lesson = Lesson(rows, self._student, pool)
        self._exam = Lesson(exam_rows, self._student, pool)
        self._optimizer = torch.optim.AdamW([self._student.learned], lr=RATE)
        self._schedule = Schedule(
            rows=len(rows), n_epochs=plan.n_epochs, batch_size=plan.batch_size, seed=plan.seed
        )

    @property
    def trained_tokens(self) -> int:
        """Tokens of all rows, once for every epoch."""
        return sum(row.tokens for row in self._lesson.rows) * self._plan.n_epochs

    def run(self) -> None:
        """Take every step; checkpoints are written before the line that announces them."""
        ends = self._schedule.epoch_ends()
        with (self._folder / "metrics.jsonl").open("w", encoding="utf-8") as metrics:
            for step, batch in enumerate(self._schedule.batches(), start=1):
                figures = {**self._learn(step, batch), **self._examine(step, at_end=step in ends)}
                if step in ends:
                    save_adapter(self._student.adapter(), self._folder / "checkpoints" / f"step-{step}")
                line = {
                    "step": step,
                    "total_steps": self._schedule.steps,
                    **figures,
                    "epoch_end": step in ends,
                    "seconds": time.perf_counter() - self._started,
                }
                metrics.write(json.dumps(line, allow_nan=False) + "\n")
                metrics.flush()

    def _learn(self, step: int, batch: list[int]) -> Mapping[str, float | None]:
        measure, gradient = self._lesson.gradient(batch)
        length = float(gradient.norm())
        if not isfinite(measure.loss_sum) or not isfinite(length):
            raise TrainingError(
                f"The training loss is no longer a number at step {step}.",
                remedy="Lower learning_rate_multiplier.",
                code="training_diverged",
                param="learning_rate_multiplier",
            )
        if measure.count:  # else there is nothing to learn, and momentum alone must not change anything
            for group in self._optimizer.param_groups:
                group["lr"] = RATE * self._plan.learning_rate_multiplier * self._schedule.rate(step)
            self._student.learned.grad = gradient * (LONGEST_GRADIENT / max(length, LONGEST_GRADIENT))
            self._optimizer.step()
        return _figures("train", measure)

    def _examine(self, step: int, *, at_end: bool) -> Mapping[str, float | None]:
        count = len(self._exam.rows)
        figures: dict[str, float | None] = {}
        if count and self._schedule.validates(step):
            # The next rows in file order, from the first again after the last: nothing is drawn, so nothing else shifts.
            first = (step - 1) * self._plan.batch_size
            turn = {(first + offset) % count for offset in range(self._plan.batch_size)}
            figures |= _figures("valid", self._exam.measure(sorted(turn)))
        if count and at_end:
            figures |= _figures("full_valid", self._exam.measure(range(count)))
        return figures


def training_precision() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively and so twice as fast, else float32."""
    capabilities = torch.cpu.get_capabilities()
    return (
        torch.bfloat16 if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else torch.float32
    )


def train(plan: TrainingPlan, folder: Path) -> int:
    """Train to the end; returns the tokens trained.

    Raises:
        TrainingError: the rows or the hyperparameters are at fault.
        HarnessError: the weights cannot be read.
        OSError: a file cannot be read or written.
    """
    processors = crew(plan.threads)

    def claim() -> None:
        torch.set_num_threads(processors.threads_each)

    claim()
    with ThreadPoolExecutor(processors.workers, thread_name_prefix="training", initializer=claim) as pool:
        training = Training(plan, folder, pool)
        training.run()
    return training.trained_tokens


def _rows(param: str, path: Path, tokenizer: ChatTokenizer, context: int) -> list[Row]:
    code = f"invalid_{param}"
    try:
        rows = read_rows(path, tokenizer, context=context)
    except (HarnessError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"The file cannot be read as chat examples: {error}", code=code, param=param
        ) from error
    if not any(row.places for row in rows):
        raise TrainingError(
            f"No example has assistant text to learn within the model's context of {context} tokens.",
            code=code,
            param=param,
        )
    return rows


def _figures(kind: str, measure: Measure) -> dict[str, float | None]:
    """A measure under OpenAI's names; nothing where no answer token was in the batch."""
    if not measure.count or not isfinite(measure.loss_sum):
        return {f"{kind}_loss": None, f"{kind}_mean_token_accuracy": None}
    return {
        f"{kind}_loss": measure.loss_sum / measure.count,
        f"{kind}_mean_token_accuracy": measure.right / measure.count,
    }


def read_plan(folder: Path) -> TrainingPlan:
    """The plan in a job's folder."""
    raw = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    validation, threads = raw.get("validation_file"), raw.get("threads")
    return TrainingPlan(
        weights=Path(raw["weights"]),
        training_file=Path(raw["training_file"]),
        validation_file=Path(validation) if validation else None,
        n_epochs=int(raw["n_epochs"]),
        batch_size=int(raw["batch_size"]),
        learning_rate_multiplier=float(raw["learning_rate_multiplier"]),
        seed=int(raw["seed"]),
        threads=int(threads) if threads else None,
    )


def main(folder: Path) -> int:
    """Train the job in `folder`; the exit status is 0 when it succeeded."""
    signal.signal(signal.SIGTERM, _leave)
    outcome: dict[str, object]
    try:
        outcome = {"status": "succeeded", "trained_tokens": train(read_plan(folder), folder)}
    except TrainingError as error:
        outcome = _failure(str(error), code=error.code, param=error.param)
    except (HarnessError, OSError, MemoryError, RuntimeError, ValueError, KeyError) as error:
        # Torch reports memory it did not get as a RuntimeError.
        outcome = _failure(f"{type(error).__name__}: {error}", code="server_error", param=None)
    part = folder / "outcome.json.part"
    part.write_text(json.dumps(outcome), encoding="utf-8")
    part.replace(folder / "outcome.json")
    return 0 if outcome["status"] == "succeeded" else 1


def _failure(message: str, *, code: str, param: str | None) -> dict[str, object]:
    return {"status": "failed", "error": {"code": code, "message": message, "param": param}}


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End at once: everything worth keeping is on disk, and the workers' threads would finish their step first."""
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
