"""What is told of a step: the event that bears its metrics, and its row in the result file."""

from collections.abc import Sequence

from harness.localserver.state.identifiers import new_id, now
from harness.localserver.state.objects import Event, TrainingStep

# In the order of OpenAI's messages.
_TOLD = (
    ("training loss", "train_loss"),
    ("validation loss", "valid_loss"),
    ("full validation loss", "full_valid_loss"),
)
# There in the metrics of every step, measured or not.
_ALWAYS = ("train_loss", "train_mean_token_accuracy")
_COLUMNS = ("train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy")
_DECIMALS = 5


def metrics_event(step: TrainingStep) -> Event:
    """The event of a step: losses with two decimals in words, everything that was measured, unrounded, as data."""
    losses = [(name, getattr(step, field)) for name, field in _TOLD]
    told = ", ".join(f"{name}={loss:.2f}" for name, loss in losses if loss is not None)
    values = step.measures()
    return Event(
        id=new_id("ftevent-"),
        created_at=now(),
        level="info",
        message=f"Step {step.step}/{step.total_steps}: {told}",
        type="metrics",
        data={
            "step": step.step,
            "total_steps": step.total_steps,
            **{key: value for key, value in values.items() if value is not None or key in _ALWAYS},
        },
    )


def step_table(steps: Sequence[TrainingStep]) -> str:
    """The result file: OpenAI's five columns, five decimals with trailing zeros cut, blank when not measured."""
    rows = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
    for step in steps:
        values = step.measures()
        cells = [values[column] for column in _COLUMNS]
        rows.append(
            ",".join(
                [str(step.step), *("" if cell is None else str(round(cell, _DECIMALS)) for cell in cells)]
            )
        )
    return "\n".join(rows) + "\n"
