"""What is asked of a trainer? The job's plan, as the queue writes it to `job.json`, and the error that ends a job."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from harness.errors import HarnessError

Method: TypeAlias = Literal["supervised", "dpo"]


class TrainingError(HarnessError):
    """The job cannot be trained; `code` and `param` are said of it as OpenAI says them of a failed job."""

    def __init__(self, problem: str, *, code: str, param: str | None, remedy: str = "") -> None:
        super().__init__(problem, remedy=remedy)
        self.code = code
        self.param = param


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """One job for a trainer.

    Attributes:
        model: A GGUF file or the folder of a Hugging Face model.
        training_file: Rows the queue has checked and rewritten; see `examples`.
        validation_file: The same, or None.
        method: Whether answers are imitated or preferred to others.
        beta: How strongly DPO holds on to the model it starts from; None unless the method is `dpo`.
        n_epochs: How often every row is learned.
        batch_size: Rows of a step.
        learning_rate_multiplier: Of the recipe's learning rate.
        seed: Of everything that is drawn.
        threads: Processor threads; None means all processors this process may use.
        resume_from: A state that an earlier start of the same job has saved, or None to begin.
    """

    model: Path
    training_file: Path
    validation_file: Path | None
    method: Method
    beta: float | None
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    seed: int
    threads: int | None
    resume_from: Path | None


def read_plan(folder: Path) -> TrainingPlan:
    """The plan in a job's folder.

    Raises:
        OSError: There is none.
        ValueError: It is not a plan; so are a KeyError and a TypeError.
    """
    raw = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    method: Method = raw["method"]
    beta = raw.get("beta")
    if method not in get_args(Method) or (method == "dpo") != (beta is not None):
        raise ValueError(f"method {method!r} with beta {beta!r} is no plan")
    threads = raw.get("threads")
    return TrainingPlan(
        model=Path(raw["model"]),
        training_file=Path(raw["training_file"]),
        validation_file=_path(raw.get("validation_file")),
        method=method,
        beta=None if beta is None else float(beta),
        n_epochs=int(raw["n_epochs"]),
        batch_size=int(raw["batch_size"]),
        learning_rate_multiplier=float(raw["learning_rate_multiplier"]),
        seed=int(raw["seed"]),
        threads=int(threads) if threads else None,
        resume_from=_path(raw.get("resume_from")),
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
