"""What the server keeps: files, fine-tuning jobs with their checkpoints and events, training steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.localserver.model.weights import SMOLLM2

Auto: TypeAlias = Literal["auto"]
Status: TypeAlias = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
Level: TypeAlias = Literal["info", "warn", "error"]

# What jobs were trained from before their records said it: there was no other model.
EMBEDDED_DIGEST = SMOLLM2.sha256[:16]

FINISHED: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """An uploaded file, or the result file of a job. `number` orders everything the server has stored."""

    id: str
    number: int
    created_at: int
    filename: str
    purpose: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What the caller asked for; `auto` until the training file has been read, numbers from then on."""

    n_epochs: int | Auto = "auto"
    batch_size: int | Auto = "auto"
    learning_rate_multiplier: float | Auto = "auto"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a job failed, as its `error` says it; `param` names the file at fault, if one is."""

    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model as it was at the end of an epoch; the last one is the fine-tuned model itself."""

    id: str
    created_at: int
    step: int
    model: str
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class StoredJob:
    """A fine-tuning job. Its models are its checkpoints: they are stored nowhere else.

    `model` and `base_digest` are the name of the model it starts from, and the digest of its weights.
    """

    id: str
    number: int
    created_at: int
    model: str
    training_file: str
    validation_file: str | None
    hyperparameters: Hyperparameters
    seed: int
    suffix: str | None
    metadata: Mapping[str, str] | None
    base_digest: str = EMBEDDED_DIGEST
    status: Status = "validating_files"
    error: Fault | None = None
    finished_at: int | None = None
    trained_tokens: int | None = None
    result_files: tuple[str, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    # Each start of the trainer writes to a folder of its own, so that a trainer that was left behind
    # for a moment by a killed server cannot mix its rows with those of the next start.
    attempt: int = 0
    crashes: int = 0

    @property
    def fine_tuned_model(self) -> str | None:
        """The name of the trained model, once there is one."""
        return self.checkpoints[-1].model if self.checkpoints else None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened to a job."""

    id: str
    created_at: int
    level: Level
    message: str
    type: Literal["message", "metrics"] = "message"
    data: Mapping[str, int | float | None] | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """What the trainer measured at one step; None where it did not measure."""

    step: int
    total_steps: int
    train_loss: float | None = None
    train_mean_token_accuracy: float | None = None
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    full_valid_loss: float | None = None
    full_valid_mean_token_accuracy: float | None = None
    epoch_end: bool = False

    def measures(self) -> dict[str, float | None]:
        """The measured values by their names on the wire; infinities and NaN, which JSON lacks, as None."""
        values = {
            "train_loss": self.train_loss,
            "train_mean_token_accuracy": self.train_mean_token_accuracy,
            "valid_loss": self.valid_loss,
            "valid_mean_token_accuracy": self.valid_mean_token_accuracy,
            "full_valid_loss": self.full_valid_loss,
            "full_valid_mean_token_accuracy": self.full_valid_mean_token_accuracy,
        }
        return {
            key: value if value is not None and math.isfinite(value) else None
            for key, value in values.items()
        }
