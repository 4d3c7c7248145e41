"""What providers call the step and the measures of a training, and which of our columns they are."""

import re
from collections.abc import Mapping
from functools import lru_cache

COLUMNS = (
    "train_loss",
    "train_accuracy",
    "valid_loss",
    "valid_accuracy",
    "full_valid_loss",
    "full_valid_accuracy",
)
"""Accuracies are of tokens, in 0..1. `valid_*` is of one small batch; `full_valid_*` of the whole file."""

ACCURACIES = frozenset(name for name in COLUMNS if name.endswith("accuracy"))

# By provider and year: OpenAI's first API (`training_*`), OpenAI since August 2023, Azure, the metrics of
# their events and checkpoints, Mistral; wandb and Together write `/` for the first `_`. `eval_*` is what
# Hugging Face's trainer and Together measure: the whole file, and so it is both kinds of validation.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "training_loss": ("train_loss",),
    "loss": ("train_loss",),
    "train_mean_token_accuracy": ("train_accuracy",),
    "train_token_accuracy": ("train_accuracy",),
    "training_token_accuracy": ("train_accuracy",),
    "training_accuracy": ("train_accuracy",),
    "mean_token_accuracy": ("train_accuracy",),
    "validation_loss": ("valid_loss",),
    "val_loss": ("valid_loss",),
    "valid_mean_token_accuracy": ("valid_accuracy",),
    "validation_mean_token_accuracy": ("valid_accuracy",),
    "validation_token_accuracy": ("valid_accuracy",),
    "validation_accuracy": ("valid_accuracy",),
    "val_accuracy": ("valid_accuracy",),
    "full_valid_mean_token_accuracy": ("full_valid_accuracy",),
    "eval_loss": ("valid_loss", "full_valid_loss"),
    "eval_accuracy": ("valid_accuracy", "full_valid_accuracy"),
    "eval_token_accuracy": ("valid_accuracy", "full_valid_accuracy"),
    "eval_mean_token_accuracy": ("valid_accuracy", "full_valid_accuracy"),
}
_PLACES: Mapping[str, tuple[str, ...]] = {name: (name,) for name in COLUMNS} | dict(_ALIASES)

_LOG_COUNT = "_step"
# The best first: wandb's own count goes up with every log call, not with every step of the training.
_STEPS = (
    "train_global_step",
    "eval_global_step",
    "trainer_global_step",
    "global_step",
    "step",
    "step_number",
    _LOG_COUNT,
)
# The last line that Hugging Face's trainer logs: its `train_loss` is the mean over the whole training.
_SUMMARY = frozenset({"train_runtime", "train_train_runtime"})

_ENVELOPE = re.compile(r"^(?:data|metrics)[/.]")
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# wandb names the lines of an exported chart `run name - measure`.
_RUN_NAME = " - "


def unwrapped(name: str) -> str:
    """A name without the envelope it came in (`data/`, `metrics/`), else as the provider writes it."""
    return _ENVELOPE.sub("", name.strip())


def columns_of(name: str) -> tuple[str, ...]:
    """Which of COLUMNS a provider's name stands for; none when it is no measure we know."""
    return _PLACES.get(_plain(name), ())


def step_name(names: list[str]) -> str | None:
    """The name among a row's that holds its step, if there is one."""
    found = {_plain(name): name for name in reversed(names)}
    return next((found[step] for step in _STEPS if step in found), None)


def is_step(name: str) -> bool:
    """Whether a name holds a step, also where another one is used."""
    return _plain(name) in _STEPS


def is_log_count(name: str) -> bool:
    """Whether a name holds wandb's count of its own log calls."""
    return _plain(name) == _LOG_COUNT


def run_of(name: str) -> str:
    """The run that a column of an exported chart belongs to; empty elsewhere."""
    return name.rpartition(_RUN_NAME)[0]


def is_summary(names: list[str]) -> bool:
    """Whether a row of these names sums a training up instead of measuring a step."""
    return any(_plain(name) in _SUMMARY for name in names)


@lru_cache(maxsize=1024)  # the same few names in every row
def _plain(name: str) -> str:
    """`train/loss`, `trainLoss`, `metrics/train_loss` and `my run - train/loss` are all `train_loss`."""
    name = unwrapped(name.rpartition(_RUN_NAME)[2])
    if name == _LOG_COUNT:
        return name
    return _SEPARATORS.sub("_", _WORD_BORDER.sub("_", name).lower()).strip("_")
