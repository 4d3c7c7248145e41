"""What is asked of a provider's trainer, and what is heard while it works."""

from pathlib import Path
from typing import Literal

from harness.records import record

LOCAL_PLACE = "local"
"""What this project calls the local server."""


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
    method: Literal["supervised", "dpo"] = "supervised"

    @property
    def files(self) -> dict[str, Path]:
        """Its files by `train` and `valid`."""
        both = {"train": self.training_file, "valid": self.validation_file}
        return {name: file for name, file in both.items() if file is not None}


@record
class Terms:
    """What a ledger should know of a job beside what the provider tells.

    `place` is what this project calls the provider: `local`, `openai`, a name under `models`, or a URL. `train_price` is
    USD for 1M trained tokens, `estimate_usd` what the job was expected to cost; None where no price is known.
    """

    place: str = ""
    train_price: float | None = None
    estimate_usd: float | None = None


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
