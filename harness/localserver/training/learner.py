"""What a model must do to be trained: take a step on some rows, measure others, save what it has learned.

The schedule, the learning rate, metrics, checkpoints, pausing and resuming are the trainer's and the same for every model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

# What a set of rows cost: `loss` and `mean_token_accuracy`, and for preferences `preference_accuracy` and `reward_margin` too;
# None where no answer token was among them.
Figures: TypeAlias = Mapping[str, float | None]


class Learner(Protocol):
    """A model in training, with its training rows and its validation rows read."""

    @property
    def rows(self) -> int:
        """How many training rows there are."""

    @property
    def exam_rows(self) -> int:
        """How many validation rows there are."""

    @property
    def tokens(self) -> int:
        """Tokens of all training rows, each once, as they are billed."""

    def learn(self, members: Sequence[int], *, rate: float) -> Figures:
        """Take one optimizer step, at this learning rate, on the training rows at `members`; what they cost before it.

        Raises:
            TrainingError: The loss is no longer a number.
        """

    def examine(self, members: Sequence[int]) -> Figures:
        """What the validation rows at `members` cost; nothing is learned."""

    def save(self, folder: Path) -> None:
        """Write what has been learned as a PEFT adapter."""

    def save_state(self, folder: Path) -> None:
        """Write what the next step depends on (adapter, optimizer), exactly: a restored learner goes on bit for bit."""

    def restore_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            StorageError: It cannot be read or is of another model.
        """
