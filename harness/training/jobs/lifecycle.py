"""A request becomes a job and a job becomes a model: found again or created, followed, its model waited for."""

from dataclasses import replace
from pathlib import Path

from harness.records import Endpoint, TrainingJob, record
from harness.training.jobs.connection import connected
from harness.training.jobs.creation import earlier_job, found_or_created
from harness.training.jobs.orders import OnProgress, Order
from harness.training.jobs.pursuit import POLL_S, check_succeeded, followed, wait_until_served
from harness.training.ledger import note_job, recorded_job, request_digest
from harness.training.requests import LOCAL_PLACE, JobProgress, Terms, TrainingRequest

_NO_TERMS = Terms()


@record
class StartedJob:
    """The job of a request, and whether it was made just now or was there."""

    job: TrainingJob
    is_new: bool


def fine_tune(
    endpoint: Endpoint,
    request: TrainingRequest,
    *,
    on_progress: OnProgress,
    poll_s: float = POLL_S,
    ledger: Path | None = None,
    terms: Terms = _NO_TERMS,
) -> TrainingJob:
    """The succeeded job of this request: an earlier one if there is one, else a new one.

    A new one's model has been waited for until it answers, or for ten minutes.

    Args:
        endpoint: The provider.
        request: What to train, on which files.
        on_progress: Told of every state, message and measurement while the job is followed.
        poll_s: Seconds between two looks at the job.
        ledger: The file in which jobs are written down; uploads are beside it.
        terms: What the ledger should know beside what the provider tells.

    Raises:
        EndpointError: The provider refused, or the job failed or was cancelled.
        UsageError: A file cannot be read.
        StorageError: The ledger is a newer version's.
        KeyboardInterrupt: The user left; the job goes on and the next call comes back to it.
    """
    started = start_job(endpoint, request, on_progress=on_progress, poll_s=poll_s, ledger=ledger, terms=terms)
    if started.job.status == "succeeded" and not started.is_new:
        return check_succeeded(started.job)
    try:
        job = follow_job(endpoint, started.job, on_progress=on_progress, poll_s=poll_s, ledger=ledger)
    except KeyboardInterrupt:
        words = f"{started.job.id} is not cancelled; the same command comes back to it"
        on_progress(JobProgress(status=started.job.status, message=words))
        raise
    job = check_succeeded(job)
    assert job.fine_tuned_model is not None, "a job that succeeded names its model"
    # The local server has the model at once, and takes memory when it is asked.
    if terms.place != LOCAL_PLACE:
        wait_until_served(endpoint, job.fine_tuned_model, on_progress=on_progress)
    return job


def start_job(
    endpoint: Endpoint,
    request: TrainingRequest,
    *,
    on_progress: OnProgress,
    poll_s: float = POLL_S,
    ledger: Path | None = None,
    terms: Terms = _NO_TERMS,
) -> StartedJob:
    """The job of this request, not waited for: one that succeeded or is under way, else a new one.

    Raises:
        EndpointError: The provider refused, or it is not known whether there is a job.
        UsageError: A file cannot be read.
        StorageError: The ledger is a newer version's.
    """
    order = Order(
        endpoint=endpoint,
        request=request,
        digest=request_digest(request, endpoint=endpoint),
        ledger=ledger,
        terms=terms,
        tell=on_progress,
        poll_s=poll_s,
    )
    with connected(endpoint) as client:
        job, is_new = found_or_created(client, order)
    if not is_new and job.status == "succeeded":
        words = f"{job.fine_tuned_model} is reused: {job.id} was made from the same data and settings"
        order.say(words, status=job.status)
    elif not is_new:
        order.say(f"{job.id} is under way already", status=job.status)
    return StartedJob(job=job, is_new=is_new)


def find_job(
    endpoint: Endpoint, request: TrainingRequest, *, ledger: Path | None = None
) -> TrainingJob | None:
    """The job of this request that succeeded or is under way, if there is one; nothing is made.

    Raises:
        EndpointError: The provider cannot be asked.
        UsageError: A file cannot be read.
        StorageError: The ledger is a newer version's.
    """
    order = Order(
        endpoint=endpoint,
        request=request,
        digest=request_digest(request, endpoint=endpoint),
        ledger=ledger,
        terms=_NO_TERMS,
        tell=lambda _: None,
        poll_s=0.0,
    )
    with connected(endpoint) as client:
        return earlier_job(client, order)


def follow_job(
    endpoint: Endpoint,
    job: TrainingJob,
    *,
    on_progress: OnProgress,
    poll_s: float = POLL_S,
    ledger: Path | None = None,
) -> TrainingJob:
    """The job at its end, whatever that is: also failed or cancelled.

    Raises:
        EndpointError: The provider cannot be asked for ten minutes on end.
        KeyboardInterrupt: The user left; the job goes on.
    """
    with connected(endpoint) as client:
        job = followed(client, job, on_progress=on_progress, poll_s=poll_s)
    if ledger is not None:
        note_state(ledger, job, endpoint=endpoint.label)
    return job


def note_state(ledger: Path, job: TrainingJob, *, endpoint: str) -> None:
    """Write down what has become of a job that is known here; others are not taken in."""
    entry = recorded_job(ledger, job.id, endpoint=endpoint)
    if entry is not None:
        # A provider that keeps no metadata tells no digest.
        digest = job.digest or entry.job.digest
        note_job(ledger, replace(entry, job=replace(job, digest=digest)))
