"""Trains one fine-tune in a process of its own: `python -m harness.localserver.trainer JOB_DIR`.

Reads `job.json`; writes `metrics.jsonl` (a line for every step as it happens), `checkpoints/step-N/` (an adapter at each epoch's
end), and last `outcome.json`. A step is `batch_size` rows; batches run on across epochs, as OpenAI's do. A row
longer than the model's context is cut there. The same seed on the same machine gives the same adapter.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.localserver.adapters import save_adapter
from harness.localserver.gguf_file import GgufFile
from harness.localserver.lora import Measure, Student
from harness.localserver.packing import Pack, Row, pack_rows, read_row
from harness.localserver.tokenizer import ChatTokenizer

# The recipe: the rate at a multiplier of 1.0, the share of steps it rises over before it falls to zero in a straight line,
# and the length gradients are cut to.
RATE = 2e-3
WARM_UP = 0.1
LONGEST_GRADIENT = 1.0


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What is asked for in `job.json`."""

    weights: Path
    training_file: Path
    validation_file: Path | None
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    seed: int
    threads: int | None


class Lesson:
    """Rows with the states that enter the taught layers, ready for any number of passes."""

    def __init__(self, rows: Sequence[Row], student: Student, pool: ThreadPoolExecutor) -> None:
        self.rows = rows
        self._student = student
        self._pool = pool
        self._states: dict[int, Tensor] = {}
        packs = pack_rows(rows, range(len(rows)))
        for pack, states in zip(packs, pool.map(self._lower, packs), strict=True):
            self._states |= zip(pack.members, states, strict=True)

    def _lower(self, pack: Pack) -> list[Tensor]:
        return self._student.lower_states(pack, [self.rows[index].inputs for index in pack.members])

    def states(self, pack: Pack) -> list[Tensor]:
        return [self._states[index] for index in pack.members]

    def measure(self, members: Sequence[int]) -> Measure:
        packs = pack_rows(self.rows, members)
        return sum(self._pool.map(lambda pack: self._student.measure(pack, self.states(pack)), packs), Measure())

    def learn(self, members: Sequence[int]) -> tuple[Measure, list[Tensor]]:
        """Loss and the gradient of its mean over the batch's answers."""
        total = Measure()
        gradients: list[Tensor] = []
        halves = _halves(self.rows, members)
        packs = [pack for half in halves for pack in pack_rows(self.rows, half)]
        for measure, parts in self._pool.map(lambda pack: self._student.learn(pack, self.states(pack)), packs):
            total += measure
            if gradients:
                torch._foreach_add_(gradients, [part.float() for part in parts])
            else:
                gradients = [part.float() for part in parts]
        if gradients:
            torch._foreach_div_(gradients, float(total.count))
        return total, gradients


def _halves(rows: Sequence[Row], members: Sequence[int]) -> list[list[int]]:
    ordered = sorted(members, key=lambda index: (rows[index].inputs, index))
    middle = ceil(len(ordered) / 2)
    return [half for half in (ordered[:middle], ordered[middle:]) if half]


def main(folder: Path) -> int:
    signal.signal(signal.SIGTERM, _leave)
    try:
        plan = _read_plan(folder)
        trained_tokens = train(plan, folder)
        outcome: dict[str, object] = {"status": "succeeded", "trained_tokens": trained_tokens}
    except (HarnessError, OSError, MemoryError, ValueError) as error:
        outcome = {"status": "failed", "error": {"code": "server_error", "message": str(error), "param": None}}
    part = folder / "outcome.json.part"
    part.write_text(json.dumps(outcome), encoding="utf-8")
    part.replace(folder / "outcome.json")
    return 0 if outcome["status"] == "succeeded" else 1


def _leave(_signal: int, _frame: FrameType | None) -> None:
    os._exit(128 + signal.SIGTERM)


def _read_plan(folder: Path) -> TrainingPlan:
    raw = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return TrainingPlan(
        weights=Path(raw["weights"]),
        training_file=Path(raw["training_file"]),
        validation_file=Path(raw["validation_file"]) if raw["validation_file"] else None,
        n_epochs=int(raw["n_epochs"]),
        batch_size=int(raw["batch_size"]),
        learning_rate_multiplier=float(raw["learning_rate_multiplier"]),
        seed=int(raw["seed"]),
        threads=raw["threads"],
    )


def _read_rows(path: Path, tokenizer: ChatTokenizer, context: int) -> list[Row]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [
        read_row(*tokenizer.encode_training(json.loads(line)["messages"]), context=context)
        for line in lines
        if line.strip()
    ]


def train(plan: TrainingPlan, folder: Path) -> int:
    started = time.perf_counter()
    threads = plan.threads or os.cpu_count() or 1
    workers = min(2, threads)
    device = torch.device("cpu")
    torch.set_num_threads(max(1, threads // workers))
    dtype = torch.bfloat16 if torch.cpu.get_capabilities().get("avx512_bf16") else torch.float32
    gguf = GgufFile(plan.weights)
    tokenizer = ChatTokenizer(gguf)
    student = Student(gguf, seed=plan.seed, dtype=dtype, device=device)
    context = student.shape.context
    rows = _read_rows(plan.training_file, tokenizer, context)
    valid_rows = _read_rows(plan.validation_file, tokenizer, context) if plan.validation_file else []
    print("loaded", time.perf_counter() - started, flush=True)
    with (
        ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(max(1, threads // workers))) as pool,
        (folder / "metrics.jsonl").open("a", encoding="utf-8") as metrics,
    ):
        lesson = Lesson(rows, student, pool)
        exam = Lesson(valid_rows, student, pool)
        student.release_lower()
        print("lower", time.perf_counter() - started, flush=True)
        tensors = student.tensors()
        total = ceil(len(rows) * plan.n_epochs / plan.batch_size)
        optimizer = torch.optim.AdamW(tensors, lr=RATE)
        stream = _stream(len(rows), plan)
        ends = {ceil(len(rows) * epoch / plan.batch_size) for epoch in range(1, plan.n_epochs + 1)}
        for step in range(1, total + 1):
            members = [index for _, index in zip(range(plan.batch_size), stream, strict=False)]
            measure, gradients = lesson.learn(members)
            for group in optimizer.param_groups:
                group["lr"] = RATE * plan.learning_rate_multiplier * _share(step, total)
            if gradients:
                norm = torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients]))
                for tensor, gradient in zip(tensors, gradients, strict=True):
                    tensor.grad = gradient * (LONGEST_GRADIENT / norm.clamp(min=LONGEST_GRADIENT))
                optimizer.step()
            line: dict[str, object] = {"step": step, "total_steps": total, **_figures("train", measure)}
            if valid_rows and (step - 1) % _cadence(total) == 0:
                start = (step - 1) * plan.batch_size
                chosen = sorted({(start + offset) % len(valid_rows) for offset in range(plan.batch_size)})
                line |= _figures("valid", exam.measure(chosen))
            if step in ends:
                if valid_rows:
                    line |= _figures("full_valid", exam.measure(range(len(valid_rows))))
                save_adapter(student.adapter(), folder / "checkpoints" / f"step-{step}")
            line |= {"epoch_end": step in ends, "seconds": time.perf_counter() - started}
            metrics.write(json.dumps(line) + "\n")
            metrics.flush()
    return sum(row.tokens for row in rows) * plan.n_epochs


def _figures(kind: str, measure: Measure) -> Mapping[str, float | None]:
    loss = measure.loss_sum / measure.count if measure.count else None
    accuracy = measure.right / measure.count if measure.count else None
    return {f"{kind}_loss": loss, f"{kind}_mean_token_accuracy": accuracy}


def _stream(count: int, plan: TrainingPlan) -> Iterator[int]:
    for epoch in range(plan.n_epochs):
        order = list(range(count))
        random.Random(f"{plan.seed}:{epoch}").shuffle(order)
        yield from order


def _share(step: int, total: int) -> float:
    rising = max(1, round(total * WARM_UP))
    return min(step / rising, (total - step + 1) / max(1, total - rising + 1))


def _cadence(total: int) -> int:
    return 1 if total <= 100 else 10 if total <= 1000 else 100


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
