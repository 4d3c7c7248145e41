"""What is told while a run is prepared: the fetching of weights and the fine-tuning, in a line each."""

from collections.abc import Callable, Mapping
from typing import Protocol

from harness.records import Json
from harness.training import JobProgress


class Teller(Protocol):
    """Where preparation tells what it does: lines that stay, and one line that is rewritten."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def progress(self, text: str) -> None:
        """The current state of something long; the next one may replace it."""


def weights_line(event: Mapping[str, Json]) -> str:
    """How far the fetching of the weights is; `done` and `total` are bytes."""
    done, total = event.get("done"), event.get("total")
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        return f"fetching the model's weights {_bar(done / total)} {done / 1e6:.0f} of {total / 1e6:.0f} MB"
    return "fetching the model's weights"


def progress_teller(teller: Teller) -> Callable[[JobProgress], None]:
    """What a fine-tuning reports, told in a line: step, losses, time left."""

    def tell(progress: JobProgress) -> None:
        if progress.step is None:
            teller.say(f"fine-tuning: {progress.message or progress.status}")
            return
        done = f"{_bar(progress.step / progress.total_steps)} " if progress.total_steps else ""
        parts = [f"fine-tuning {done}step {progress.step}/{progress.total_steps or '?'}"]
        if progress.train_loss is not None:
            parts.append(f"loss {progress.train_loss:.3f}")
        if progress.valid_loss is not None:
            parts.append(f"validation {progress.valid_loss:.3f}")
        if progress.seconds_left is not None:
            parts.append(f"{_span(progress.seconds_left)} left")
        teller.progress(", ".join(parts))

    return tell


def _span(seconds: float) -> str:
    """A duration, as exactly as anybody knows it."""
    minutes = round(seconds / 60)
    if seconds < 2 * 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 2 * 60 else f"{minutes // 60} h {minutes % 60} min"


def _bar(share: float, width: int = 20) -> str:
    """`[#####...............]`, plain ASCII for every terminal and log."""
    full = round(max(0.0, min(1.0, share)) * width)
    return f"[{'#' * full}{'.' * (width - full)}]"
