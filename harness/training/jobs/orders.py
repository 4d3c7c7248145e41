"""One request on its way to a provider: what is asked of whom, and where it is written down."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from harness.records import Endpoint, TrainingJob, record
from harness.training.ledger import JobRecord, note_job, recorded_job
from harness.training.requests import JobProgress, Terms, TrainingRequest

OnProgress: TypeAlias = Callable[[JobProgress], None]


@record
class Order:
    """What is asked of whom; `digest` is the request's, `ledger` the file of jobs, if any."""

    endpoint: Endpoint
    request: TrainingRequest
    digest: str
    ledger: Path | None
    terms: Terms
    tell: OnProgress
    poll_s: float

    def say(self, message: str, *, status: str = "") -> None:
        """A message to whoever listens."""
        self.tell(JobProgress(status=status, message=message))

    def note(
        self, job: TrainingJob, *, files: Mapping[str, str], uploads: Mapping[str, str] | None = None
    ) -> None:
        """Write the job down: `files` are digests, `uploads` the provider's ids; of a known job, its state alone."""
        if self.ledger is None:
            return
        known = recorded_job(self.ledger, job.id, endpoint=self.endpoint.label)
        if known is not None:
            note_job(self.ledger, replace(known, job=job))
            return
        entry = JobRecord(
            job=job,
            endpoint=self.endpoint.label,
            place=self.terms.place,
            files=files,
            paths={name: str(file) for name, file in self.request.files.items()},
            uploads=uploads or {},
            estimate_usd=self.terms.estimate_usd,
            train_price=self.terms.train_price,
        )
        note_job(self.ledger, entry)
