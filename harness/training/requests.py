"""What is asked of a provider's trainer, and what is heard while it works."""

from pathlib import Path

from harness.records import record


@record
class TrainingRequest:
    """What to train: the base model, the files, and what the provider may choose by itself (None)."""

    model: str
    training_file: Path
    validation_file: Path | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    seed: int | None = None
    suffix: str | None = None


@record
class JobProgress:
    """Where a job stands, as told while it is followed. Losses are of the last step reported."""

    status: str
    message: str = ""
    step: int | None = None
    total_steps: int | None = None
    train_loss: float | None = None
    valid_loss: float | None = None
    seconds_left: float | None = None
