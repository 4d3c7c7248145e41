"""How is a model trained that the server's own network can run? Its upper layers, in packs, from remembered lower states."""

from collections.abc import Sequence
from concurrent.futures import Executor
from math import isfinite
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harness.errors import StorageError
from harness.localserver.model.adapters import PUBLISHED_NAME, save_adapter
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.tokenizer import ChatTokenizer
from harness.localserver.model.weights import SMOLLM2
from harness.localserver.training.device import training_precision
from harness.localserver.training.examples import (
    Example,
    Param,
    Preference,
    encode_preference,
    encode_taught,
    read_examples,
)
from harness.localserver.training.learner import Figures
from harness.localserver.training.lesson import Lesson
from harness.localserver.training.lora import Student
from harness.localserver.training.packing import Row, pair_of, row_of
from harness.localserver.training.plan import TrainingError, TrainingPlan
from harness.serial import file_digest

# The length a gradient is cut to; part of the measured recipe.
LONGEST_GRADIENT = 1.0
_STATE = "learner.safetensors"


class LeanLearner:
    """A `Learner` of the server's own network; `pool` computes the two halves of a batch."""

    def __init__(self, plan: TrainingPlan, pool: Executor, *, device: torch.device) -> None:
        self._weights = plan.model
        self._preferences = plan.method == "dpo"
        gguf = GgufFile(plan.model)
        tokenizer = ChatTokenizer(gguf)
        self._student = Student(gguf, seed=plan.seed, dtype=training_precision(device), device=device)
        context = self._student.shape.context

        def lesson(path: Path | None, param: Param) -> Lesson:
            examples = read_examples(path, method=plan.method, param=param) if path else []
            rows = [_row(example, tokenizer, context=context, param=param) for example in examples]
            if rows and not any(row.places for row in rows):
                raise TrainingError(
                    f"No example has text to learn within the model's context of {context} tokens.",
                    code=f"invalid_{param}",
                    param=param,
                )
            return Lesson(rows, self._student, pool, beta=plan.beta)

        self._lesson = lesson(plan.training_file, "training_file")
        self._exam = lesson(plan.validation_file, "validation_file")
        self._optimizer = torch.optim.AdamW([self._student.learned])

    @property
    def rows(self) -> int:
        """See `Learner`."""
        return len(self._lesson.rows)

    @property
    def exam_rows(self) -> int:
        """See `Learner`."""
        return len(self._exam.rows)

    @property
    def tokens(self) -> int:
        """See `Learner`."""
        return sum(row.tokens for row in self._lesson.rows)

    def learn(self, members: Sequence[int], *, rate: float) -> Figures:
        """See `Learner`."""
        measure, gradient = self._lesson.gradient(members)
        length = float(gradient.norm())
        if not isfinite(measure.loss_sum) or not isfinite(length):
            raise TrainingError(
                "The training loss is no longer a number.",
                remedy="lower learning_rate_multiplier",
                code="training_diverged",
                param="learning_rate_multiplier",
            )
        if measure.count:  # else there is nothing to learn, and momentum alone must not change anything
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._student.learned.grad = gradient * (LONGEST_GRADIENT / max(length, LONGEST_GRADIENT))
            self._optimizer.step()
        return measure.figures(preferences=self._preferences)

    def examine(self, members: Sequence[int]) -> Figures:
        """See `Learner`."""
        return self._exam.measure(members).figures(preferences=self._preferences)

    def save(self, folder: Path) -> None:
        """See `Learner`."""
        base = PUBLISHED_NAME if self._weights.name == SMOLLM2.name else str(self._weights)
        save_adapter(self._student.adapter(), folder, base=base)

    def save_state(self, folder: Path) -> None:
        """See `Learner`."""
        moments = self._optimizer.state.get(self._student.learned, {})
        tensors = {"learned": self._student.learned, **moments}
        save_file(
            {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()},
            folder / _STATE,
            metadata={"weights": file_digest(self._weights)},
        )

    def restore_state(self, folder: Path) -> None:
        """See `Learner`."""
        try:
            with safe_open(folder / _STATE, framework="pt") as file:
                weights = (file.metadata() or {}).get("weights")
                tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            learned = tensors.pop("learned")
        except (OSError, KeyError, SafetensorError) as error:
            raise StorageError(f"{folder}: the saved state cannot be read: {error}") from error
        if weights != file_digest(self._weights) or learned.shape != self._student.learned.shape:
            raise StorageError(f"{folder}: the saved state is of another model")
        with torch.no_grad():
            self._student.learned.copy_(learned)
        if tensors:
            self._optimizer.state[self._student.learned] = {
                # AdamW counts its steps on the processor, wherever the rest is.
                name: tensor if name == "step" else tensor.to(self._student.learned.device)
                for name, tensor in tensors.items()
            }


def _row(example: Example, tokenizer: ChatTokenizer, *, context: int, param: Param) -> Row:
    if isinstance(example, Preference):
        return pair_of(*encode_preference(example, tokenizer, param=param), context=context)
    return row_of(encode_taught(example, tokenizer, param=param), context=context)
