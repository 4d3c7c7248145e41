"""When will it be done? Estimates from how fast the training at work goes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from harness.localserver.state.identifiers import now
from harness.localserver.state.objects import StoredJob, TrainingStep


@dataclass
class Pace:
    """How fast one start of a trainer goes, measured between its own steps: what an earlier start took does not count."""

    job_id: str
    rows_per_step: int
    first_step: int = 0
    began_s: float = 0.0
    seconds_per_step: float | None = None
    finish: float | None = None

    def note(self, step: TrainingStep) -> None:
        """A step has been taken now."""
        clock = time.monotonic()
        if not self.first_step:
            self.first_step, self.began_s = step.step, clock
        elif step.step > self.first_step:
            self.seconds_per_step = (clock - self.began_s) / (step.step - self.first_step)
            self.finish = time.time() + self.seconds_per_step * (step.total_steps - step.step)

    def finish_after(self, jobs: Sequence[StoredJob]) -> int | None:
        """When jobs that follow this one will be done, if their rows take as long; Unix time, None while unknown."""
        if self.finish is None or self.seconds_per_step is None:
            return None
        rows = sum(_rows(job) for job in jobs)
        later_s = rows * self.seconds_per_step / self.rows_per_step
        return max(now(), round(self.finish)) + round(later_s)


def _rows(job: StoredJob) -> int:
    epochs = job.hyperparameters.n_epochs
    return (job.examples or 0) * (epochs if isinstance(epochs, int) else 0)
