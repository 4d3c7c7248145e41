"""How is any Hugging Face model trained? As the trainer asks of a learner, with transformers and peft."""

import os
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from harness.errors import StorageError
from harness.localserver.hf.lessons import Lesson, read_lesson
from harness.localserver.hf.loading import (
    context_of,
    count_numbers,
    load_config,
    load_network,
    load_tokens,
)
from harness.localserver.hf.precision import learning_precision
from harness.localserver.hf.recognition import ModelOnDisk, recognise
from harness.localserver.hf.student import Student
from harness.localserver.training.device import training_device
from harness.localserver.training.examples import Param
from harness.localserver.training.lean_learner import LONGEST_GRADIENT
from harness.localserver.training.learner import Figures
from harness.localserver.training.objectives import Measure, imitation
from harness.localserver.training.plan import TrainingError, TrainingPlan
from harness.serial import digest

_STATE = "learner.safetensors"
# Of the length of a training example; OpenAI's own limit. The model's context is the limit where it is shorter.
_LONGEST_ROW = 65_536


def open_hf_learner(plan: TrainingPlan) -> "HfLearner":
    """The learner of a Hugging Face folder or GGUF file, its rows read, on a GPU where there is one.

    Raises:
        TrainingError: The rows are at fault.
        StorageError: The model cannot be read.
        UsageError: It does not fit into memory, or cannot be fine-tuned.
    """
    device = training_device()
    if device.type == "cuda":
        # Only so are sums on a GPU the same twice; cuBLAS reads the variable when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
    model = recognise(plan.model)
    config = load_config(model)
    tokens = load_tokens(model, config)
    context = min(context_of(config), _LONGEST_ROW)

    def read(path: Path | None, param: Param) -> Lesson:
        return read_lesson(path, tokens, method=plan.method, param=param, context=context)

    lesson, exam = read(plan.training_file, "training_file"), read(plan.validation_file, "validation_file")
    dtype = learning_precision(device, numbers=count_numbers(model))
    network = load_network(model, config, dtype=dtype, device=device)
    student = Student(network, base=model.path, seed=plan.seed)
    return HfLearner(student, lesson=lesson, exam=exam, beta=plan.beta, model=_identity(model))


class HfLearner:
    """A `Learner`; `beta` is DPO's, and None for supervised training."""

    def __init__(
        self, student: Student, *, lesson: Lesson, exam: Lesson, beta: float | None, model: str
    ) -> None:
        self._student = student
        self._lesson = lesson
        self._exam = exam
        self._beta = beta
        self._model = model
        self._optimizer = torch.optim.AdamW(student.learned.values())
        # By lesson and row: the log-probabilities of both answers before anything was learned.
        self._references: dict[tuple[bool, int], Tensor] = {}

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
        self._optimizer.zero_grad(set_to_none=True)
        passes = list(self._lesson.passes(members))
        flat = [index for group in passes for index in group]
        count = self._lesson.answers(flat) if self._beta is None else len(flat)
        measure = Measure()
        for group in passes:
            part, total = self._judge(self._lesson, group)
            (total / count).backward()  # type: ignore[no-untyped-call]
            measure += part
        if count:  # else there is nothing to learn, and momentum alone must not change anything
            self._step(measure, rate=rate)
        return measure.figures(preferences=self._beta is not None)

    def examine(self, members: Sequence[int]) -> Figures:
        """See `Learner`."""
        with torch.no_grad():
            measures = [self._judge(self._exam, group)[0] for group in self._exam.passes(members)]
        return sum(measures, Measure()).figures(preferences=self._beta is not None)

    def save(self, folder: Path) -> None:
        """See `Learner`."""
        self._student.save(folder)

    def save_state(self, folder: Path) -> None:
        """See `Learner`."""
        tensors = {f"learned.{name}": parameter for name, parameter in self._student.learned.items()}
        for name, parameter in self._student.learned.items():
            moments = self._optimizer.state.get(parameter, {})
            tensors |= {f"{moment}.{name}": value for moment, value in moments.items()}
        save_file(
            {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()},
            folder / _STATE,
            metadata={"model": self._model},
        )

    def restore_state(self, folder: Path) -> None:
        """See `Learner`."""
        try:
            with safe_open(folder / _STATE, framework="pt") as file:
                model = (file.metadata() or {}).get("model")
                tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise StorageError(f"{folder}: the saved state cannot be read: {error}") from error
        learned = {name: tensors.get(f"learned.{name}") for name in self._student.learned}
        fits = all(
            tensor is not None and tensor.shape == self._student.learned[name].shape
            for name, tensor in learned.items()
        )
        if model != self._model or not fits:
            raise StorageError(f"{folder}: the saved state is of another model")
        for name, parameter in self._student.learned.items():
            with torch.no_grad():
                parameter.copy_(tensors[f"learned.{name}"])
            moments = {
                key.partition(".")[0]: value for key, value in tensors.items() if _is_moment(key, name)
            }
            if moments:
                # AdamW counts its steps on the processor, wherever the rest is.
                self._optimizer.state[parameter] = {
                    key: value if key == "step" else value.to(parameter.device)
                    for key, value in moments.items()
                }

    def _step(self, measure: Measure, *, rate: float) -> None:
        length = float(torch.nn.utils.clip_grad_norm_(self._student.learned.values(), LONGEST_GRADIENT))
        if not isfinite(measure.loss_sum) or not isfinite(length):
            raise TrainingError(
                "The training loss is no longer a number.",
                remedy="lower learning_rate_multiplier",
                code="training_diverged",
                param="learning_rate_multiplier",
            )
        for group in self._optimizer.param_groups:
            group["lr"] = rate * self._student.rate_scale
        self._optimizer.step()

    def _judge(self, lesson: Lesson, group: Sequence[int]) -> tuple[Measure, Tensor]:
        """What the rows of one pass cost, and the sum of it as something to differentiate."""
        endings = [ending for index in group for ending in lesson.rows[index].endings]
        if self._beta is None:
            judged = self._student.answer_losses(endings)
            return imitation(*(torch.cat(parts) for parts in zip(*judged, strict=True)))
        before = torch.stack([self._reference(lesson, index) for index in group])
        return _prefer(self._student.answer_losses(endings), before, beta=self._beta)

    def _reference(self, lesson: Lesson, index: int) -> Tensor:
        """The log-probabilities (2,) of a row's answers by the model that training began with."""
        key = (lesson is self._exam, index)
        if key not in self._references:
            with self._student.unchanged():
                # Each row by itself, so that they are the same whichever rows it is learned with.
                judged = self._student.answer_losses(lesson.rows[index].endings)
            self._references[key] = torch.stack([-losses.sum(dtype=torch.float64) for losses, _ in judged])
        return self._references[key]


def _prefer(
    judged: Sequence[tuple[Tensor, Tensor]], before: Tensor, *, beta: float
) -> tuple[Measure, Tensor]:
    """DPO's loss, Rafailov et al. 2023, equation 7; `judged` has the preferred and the rejected answer of each pair in turn."""
    now = torch.stack([-losses.sum(dtype=torch.float64) for losses, _ in judged]).view(-1, 2)
    margins = beta * ((now - before)[:, 0] - (now - before)[:, 1])
    total = -functional.logsigmoid(margins).sum()
    preferred = [right for _, right in judged[::2]]
    measure = Measure(
        loss_sum=float(total.detach()),
        count=len(margins),
        right=sum(int(right.sum()) for right in preferred),
        answers=sum(len(right) for right in preferred),
        pairs=len(margins),
        wins=int((margins > 0).sum()),
        margin_sum=float(margins.detach().sum()),
    )
    return measure, total


def _is_moment(key: str, name: str) -> bool:
    moment, _, of = key.partition(".")
    return of == name and moment != "learned"


def _identity(model: ModelOnDisk) -> str:
    """What tells a model from another without reading all its weights: the names and sizes of its files."""
    return digest({file.name: file.stat().st_size for file in model.files})
