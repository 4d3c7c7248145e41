"""What is told of jobs: their events, each of them once."""

from harness.localserver.jobs.metrics import metrics_event
from harness.localserver.state.identifiers import new_id, now
from harness.localserver.state.objects import Event, Level, StoredJob, TrainingStep
from harness.localserver.state.store import Store

# The one message that OpenAI's events show with `data` null rather than empty.
STARTED = "Fine-tuning job started"


class Chronicle:
    """Writes the events of jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def say(self, job: StoredJob, message: str, *, level: Level = "info") -> None:
        """Tell something."""
        data: dict[str, float | None] | None = None if message == STARTED else {}
        event = Event(id=new_id("ftevent-"), created_at=now(), level=level, message=message, data=data)
        self._store.add_event(job, event)

    def say_once(self, job: StoredJob, message: str, *, level: Level = "info") -> None:
        """Tell something that a server killed at the wrong moment may have told already."""
        if all(event.message != message for event in self._store.events(job)):
            self.say(job, message, level=level)

    def tell_step(self, job: StoredJob, step: TrainingStep) -> None:
        """Tell what was measured at a step, unless it has been told: a training taken up again repeats some steps."""
        if step.step > self.last_step(job):
            self._store.add_event(job, metrics_event(step))

    def last_step(self, job: StoredJob) -> int:
        """The last step told of a job, 0 before the first."""
        for event in reversed(self._store.events(job)):
            if event.type == "metrics" and event.data:
                return int(event.data["step"] or 0)
        return 0
