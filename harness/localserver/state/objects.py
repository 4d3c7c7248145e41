"""What the server keeps: files, fine-tuning jobs with their checkpoints and events, training steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from harness.localserver.model.weights import SMOLLM2

Auto: TypeAlias = Literal["auto"]
Status: TypeAlias = Literal[
    "validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"
]
MethodType: TypeAlias = Literal["supervised", "dpo"]
Level: TypeAlias = Literal["info", "warn", "error"]

# What jobs were trained from before their records said it: there was no other model.
EMBEDDED_DIGEST = SMOLLM2.sha256[:16]

FINISHED: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """An uploaded file, or the result file of a job. `number` orders everything the server has stored.

    From `expires_at` on, Unix time, it is as good as deleted; None keeps it.
    """

    id: str
    number: int
    created_at: int
    filename: str
    purpose: str
    bytes: int
    expires_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What the caller asked for; `auto` until the training file has been read, numbers from then on.

    `beta` means something to DPO only: how strongly the model is held to what it was.
    """

    n_epochs: int | Auto = "auto"
    batch_size: int | Auto = "auto"
    learning_rate_multiplier: float | Auto = "auto"
    beta: float | Auto = "auto"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a job failed, as its `error` says it; `param` names the file at fault, if one is."""

    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model as it was at the end of an epoch; the last one is the fine-tuned model itself.

    `attempt` is the start of the trainer that saved it; None, in records from before training could be taken up
    again, means the job's last.
    """

    id: str
    created_at: int
    step: int
    model: str
    attempt: int | None = None
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class StoredJob:
    """A fine-tuning job. Its models are its checkpoints: they are stored nowhere else.

    Attributes:
        model: The name of the model it starts from.
        base_digest: The digest of that model's weights.
        examples: Rows of the training file, known once it has been read.
        attempt: How often the trainer was started. Each start writes to a folder of its own, so that a trainer that
            was left behind for a moment by a killed server cannot mix its rows with those of the next start.
        crashes: How often in a row the server was killed while the job trained and got no further.
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
    method: MethodType = "supervised"
    examples: int | None = None
    status: Status = "validating_files"
    error: Fault | None = None
    finished_at: int | None = None
    trained_tokens: int | None = None
    result_files: tuple[str, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
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
    """What the trainer measured at one step; None where it did not measure.

    OpenAI does not tell how it names what it measures of DPO; those names are this server's.

    Attributes:
        seconds: Since the trainer was started, by its own clock.
        train_preference_accuracy: Share of the rows whose preferred answer has the higher reward.
        train_reward_margin: By how much, on average, its reward is the higher one.
    """

    step: int
    total_steps: int
    epoch_end: bool = False
    seconds: float = 0.0
    train_loss: float | None = None
    train_mean_token_accuracy: float | None = None
    train_preference_accuracy: float | None = None
    train_reward_margin: float | None = None
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    valid_preference_accuracy: float | None = None
    valid_reward_margin: float | None = None
    full_valid_loss: float | None = None
    full_valid_mean_token_accuracy: float | None = None
    full_valid_preference_accuracy: float | None = None
    full_valid_reward_margin: float | None = None

    def measures(self) -> dict[str, float | None]:
        """The measured values by their names on the wire; infinities and NaN, which JSON lacks, as None."""
        values: dict[str, float | None] = {name: getattr(self, name) for name in MEASURES}
        return {
            key: value if value is not None and math.isfinite(value) else None
            for key, value in values.items()
        }


# The fields of a step that are measured, in their order.
MEASURES = tuple(item.name for item in fields(TrainingStep))[4:]
