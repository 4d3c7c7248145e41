"""When will it be done? Estimates from how fast the training at work goes."""

import time
from collections.abc import Callable, Sequence

from harness.localserver.state.objects import StoredJob, TrainingStep


class Pace:
    """How fast one start of a trainer goes, measured between its own steps: what an earlier start took does not count."""

    def __init__(self, job: StoredJob, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.job_id = job.id
        batch = job.hyperparameters.batch_size
        self._rows_per_step = batch if isinstance(batch, int) else 1
        self._clock = clock
        self._first: TrainingStep | None = None
        self._heard = 0.0
        self._steps_left = 0
        self._step_s: float | None = None

    def note(self, step: TrainingStep) -> None:
        """A step has been heard of now."""
        self._heard = self._clock()
        self._steps_left = step.total_steps - step.step
        first = self._first = self._first or step
        if step.step > first.step:
            self._step_s = (step.seconds - first.seconds) / (step.step - first.step)

    def seconds_left(self, then: Sequence[StoredJob] = ()) -> float | None:
        """Until this training, and then those jobs if their rows take as long, are done; None before two steps."""
        if self._step_s is None:
            return None
        own_s = self._heard + self._step_s * self._steps_left - self._clock()
        rows = sum(_rows(job) for job in then)
        return max(0.0, own_s) + rows * self._step_s / self._rows_per_step


def _rows(job: StoredJob) -> int:
    epochs = job.hyperparameters.n_epochs
    return (job.examples or 0) * (epochs if isinstance(epochs, int) else 0)
