"""What a provider tells of its jobs: one, the newest, all of them, their events, checkpoints and curves."""

import logging
from collections.abc import Mapping
from functools import partial

from openai import BadRequestError, NotFoundError, OpenAI

from harness.errors import EndpointError, FileError
from harness.records import Checkpoint, Endpoint, Json, TrainingJob
from harness.training.curves import TrainingCurve, curve_from_events, read_curve
from harness.training.jobs.connection import PAGE, connected, job_data, listed, plain, words_of
from harness.training.jobs.creation import SCANNED_JOBS
from harness.training.jobs.pursuit import events_of
from harness.training.progress import JobEvent
from harness.training.replies import FINAL, checkpoint_from, job_from, result_files

log = logging.getLogger(__name__)


def retrieve_job(endpoint: Endpoint, job: str) -> TrainingJob:
    """One job by its id.

    Raises:
        EndpointError: There is none, or the provider cannot be asked.
    """
    with connected(endpoint) as client:
        return job_from(_known(client, job, endpoint))


def list_jobs(endpoint: Endpoint, *, at_most: int = PAGE) -> tuple[TrainingJob, ...]:
    """The provider's jobs, newest first.

    Raises:
        EndpointError: The provider cannot be asked.
    """
    with connected(endpoint) as client:
        pages = partial(client.fine_tuning.jobs.list, limit=min(at_most, PAGE))
        return tuple(job_from(data) for data in listed(pages, at_most=at_most))


def latest_job(endpoint: Endpoint) -> TrainingJob:
    """The newest succeeded job.

    Raises:
        EndpointError: There is none, or the provider cannot be asked.
    """
    with connected(endpoint) as client:
        for data in listed(lambda: client.fine_tuning.jobs.list(limit=PAGE), at_most=SCANNED_JOBS):
            job = job_from(data)
            if job.status == "succeeded" and job.fine_tuned_model:
                return job
    raise EndpointError(
        f"{endpoint.label} has no succeeded fine-tuning job", remedy="train one, or name the candidate"
    )


def cancel_job(endpoint: Endpoint, job: str) -> tuple[TrainingJob, bool]:
    """End a job; the second says whether it was still to be ended.

    Raises:
        EndpointError: There is none, or the provider cannot be asked.
    """
    with connected(endpoint) as client:
        now = job_from(_known(client, job, endpoint))
        if now.status in FINAL:
            return now, False
        try:
            return job_from(plain(client.fine_tuning.jobs.cancel(job))), True
        except BadRequestError:  # it may have ended in between
            now = job_from(job_data(client, job))
            if now.status in FINAL:
                return now, False
            raise


def _known(client: OpenAI, job: str, endpoint: Endpoint) -> Mapping[str, Json]:
    """One job as the provider tells of it.

    Raises:
        EndpointError: There is none of this id.
    """
    try:
        return job_data(client, job)
    except NotFoundError as error:
        raise EndpointError(
            f"{endpoint.label} has no job {job}: {words_of(error, client.api_key)}",
            remedy="`harness jobs` lists those it has; --backend or --base-url names another endpoint",
        ) from error


def job_events(endpoint: Endpoint, job: str) -> tuple[JobEvent, ...]:
    """Everything a job has told, oldest first; nothing where the provider keeps no events.

    Raises:
        EndpointError: There is no such job, or the provider cannot be asked.
    """
    with connected(endpoint) as client:
        _known(client, job, endpoint)
        return tuple(events_of(client, job))


def curve_of(endpoint: Endpoint, job: TrainingJob) -> TrainingCurve | None:
    """The job's curve from its result file and its metrics events, or None when it has neither.

    Raises:
        EndpointError: The provider cannot be asked.
    """
    with connected(endpoint) as client:
        curve = _result_curve(client, job.id)
        metrics = [event.metrics for event in events_of(client, job.id) if event.metrics is not None]
    if not metrics:
        return curve
    return curve_from_events(metrics, onto=curve)


def checkpoints_of(endpoint: Endpoint, job: TrainingJob) -> tuple[Checkpoint, ...]:
    """The job's usable checkpoints, by step; empty where the provider keeps none.

    Raises:
        EndpointError: The provider cannot be asked.
    """
    with connected(endpoint) as client:
        pages = partial(client.fine_tuning.jobs.checkpoints.list, job.id, limit=PAGE)
        try:
            found = [checkpoint_from(data) for data in listed(pages)]
        except NotFoundError:
            return ()
    return tuple(sorted((point for point in found if point is not None), key=lambda point: point.step))


def _result_curve(client: OpenAI, job: str) -> TrainingCurve | None:
    for file in result_files(job_data(client, job)):
        try:
            return read_curve(client.files.content(file).content)
        except NotFoundError:
            log.warning("the result file %s of %s is gone", file, job)
        except FileError as error:
            log.warning("the result file %s of %s has no curve: %s", file, job, error)
    return None
