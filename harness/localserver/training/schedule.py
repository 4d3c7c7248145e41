"""Which rows are learned when, and how fast? A function of the job's numbers and its seed, so a resumed job need not be told."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch

# The share of the steps over which the learning rate rises, before it falls in a straight line. Measured, with the rate itself,
# over three seeds on three tasks of 50 and 100 rows.
WARM_UP_SHARE = 0.1
# Steps of a job up to which, and how often, a batch of the validation rows is measured besides the epochs' ends.
_VALIDATION_CADENCES = ((100, 1), (1000, 10), (sys.maxsize, 100))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Which rows are learned at which step, counted from 1; an epoch's order is drawn anew from the seed.

    A step is `batch_size` rows, and batches run on across epochs, as OpenAI's do.
    """

    rows: int
    n_epochs: int
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        """Steps in all."""
        return ceil(self.rows * self.n_epochs / self.batch_size)

    def epoch_ends(self) -> frozenset[int]:
        """The steps in which the last row of an epoch is learned."""
        return frozenset(ceil(self.rows * epoch / self.batch_size) for epoch in range(1, self.n_epochs + 1))

    def batches(self) -> Iterator[list[int]]:
        """The indices of each step's rows; the last step may have fewer."""
        generator = torch.Generator().manual_seed(self.seed)
        batch: list[int] = []
        for _ in range(self.n_epochs):
            for index in torch.randperm(self.rows, generator=generator).tolist():
                batch.append(index)
                if len(batch) == self.batch_size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def rate(self, step: int) -> float:
        """The share of the full learning rate at a step: up over the warm-up, then down towards zero."""
        rising = max(1, round(self.steps * WARM_UP_SHARE))
        return min(step / rising, (self.steps - step + 1) / max(1, self.steps - rising))

    def validates(self, step: int) -> bool:
        """Whether a batch of the validation rows is measured at this step, as often as OpenAI does."""
        cadence = next(every for longest, every in _VALIDATION_CADENCES if self.steps <= longest)
        return (step - 1) % cadence == 0

    def exam(self, step: int, *, rows: int) -> list[int]:
        """The validation rows of a step: the next ones in file order, from the first again after the last.

        Nothing is drawn, so nothing else shifts.
        """
        first = (step - 1) * self.batch_size
        return sorted({(first + offset) % rows for offset in range(self.batch_size)})
