"""Fine-tuning jobs at an OpenAI-compatible provider: found again or created, followed, read.

A job carries the digest of what it was made from, so asking for the same training twice pays once.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from openai import (
    APIConnectionError,
    APIStatusError,
    BadRequestError,
    BaseModel,
    DefaultHttpxClient,
    NotFoundError,
    OpenAI,
    OpenAIError,
    Timeout,
    UnprocessableEntityError,
    omit,
)
from openai.types.fine_tuning.job_create_params import Hyperparameters

from harness.errors import EndpointError, FileError
from harness.records import Checkpoint, Endpoint, Json, TrainingJob
from harness.redaction import redact
from harness.training.curves import TrainingCurve, curve_from_events, read_curve
from harness.training.ledger import record_job, recorded_job, request_digest, unreadable
from harness.training.progress import JobEvent, measured, told
from harness.training.remedies import (
    ENVIRONMENT,
    NO_KEY,
    NOT_AN_API,
    UNREACHABLE,
    remedy_of_failure,
    remedy_of_status,
)
from harness.training.replies import (
    DIGEST_KEY,
    FINAL,
    checkpoint_from,
    estimated_finish,
    event_from,
    job_from,
    result_files,
)
from harness.training.requests import JobProgress, TrainingRequest

log = logging.getLogger(__name__)

POLL_S = 2.0
CONNECT_TIMEOUT_S = 10.0
# The largest page that OpenAI's list calls give.
PAGE = 100
# How far back an earlier job is looked for where the provider ignores the metadata filter.
SCANNED_JOBS = 300
# A file is usable at once at OpenAI; others check it first, and some never say that they are done.
FILE_LIMIT_S = 120.0
# What the client must be given where the server wants no key.
KEYLESS = "none"

OnProgress = Callable[[JobProgress], None]


def fine_tune(
    endpoint: Endpoint,
    request: TrainingRequest,
    *,
    on_progress: OnProgress,
    poll_s: float = POLL_S,
    ledger: Path | None = None,
) -> TrainingJob:
    """The succeeded job of this request: an earlier one if there is one, else a new one.

    Args:
        endpoint: The provider.
        request: What to train, on which files.
        on_progress: Told of every state, message and measurement while the job is followed.
        poll_s: Seconds between two looks at the job.
        ledger: A file that remembers jobs for providers which keep no metadata.

    Raises:
        EndpointError: The provider refused, or the job failed or was cancelled.
        UsageError: A file cannot be read.
        KeyboardInterrupt: The user left; the job goes on and the next call comes back to it.
    """
    made_from = request_digest(request, endpoint=endpoint)
    with _client(endpoint) as client:
        job = _earlier_job(client, made_from, ledger)
        if job is not None and job.status == "succeeded":
            words = f"{job.fine_tuned_model} is reused: {job.id} was made from the same data and settings"
            on_progress(JobProgress(status=job.status, message=words))
            return job
        if job is None:
            job = _create(client, request, made_from, poll_s=poll_s)
            if ledger is not None:
                record_job(ledger, made_from, job.id)
        else:
            on_progress(JobProgress(status=job.status, message=f"{job.id} is under way already"))
        return _follow(client, job, on_progress=on_progress, poll_s=poll_s)


def retrieve_job(endpoint: Endpoint, job: str) -> TrainingJob:
    """One job by its id.

    Raises:
        EndpointError: There is none, or the provider cannot be asked.
    """
    with _client(endpoint) as client:
        return job_from(_job_data(client, job))


def latest_job(endpoint: Endpoint) -> TrainingJob:
    """The newest succeeded job.

    Raises:
        EndpointError: There is none, or the provider cannot be asked.
    """
    with _client(endpoint) as client:
        for data in _listed(lambda: client.fine_tuning.jobs.list(limit=PAGE), at_most=SCANNED_JOBS):
            job = job_from(data)
            if job.status == "succeeded" and job.fine_tuned_model:
                return job
    raise EndpointError(
        f"{endpoint.label} has no succeeded fine-tuning job", remedy="train one, or name the candidate"
    )


def curve_of(endpoint: Endpoint, job: TrainingJob) -> TrainingCurve | None:
    """The job's curve from its result file and its metrics events, or None when it has neither.

    Raises:
        EndpointError: The provider cannot be asked.
    """
    with _client(endpoint) as client:
        curve = _result_curve(client, job.id)
        metrics = [event.metrics for event in _events(client, job.id) if event.metrics is not None]
    if not metrics:
        return curve
    return curve_from_events(metrics, onto=curve)


def checkpoints_of(endpoint: Endpoint, job: TrainingJob) -> tuple[Checkpoint, ...]:
    """The job's usable checkpoints, by step; empty where the provider keeps none.

    Raises:
        EndpointError: The provider cannot be asked.
    """
    with _client(endpoint) as client:
        pages = partial(client.fine_tuning.jobs.checkpoints.list, job.id, limit=PAGE)
        try:
            found = [checkpoint_from(data) for data in _listed(pages)]
        except NotFoundError:
            return ()
    return tuple(sorted((point for point in found if point is not None), key=lambda point: point.step))


# --- finding and creating -------------------------------------------------------------------------------


def _earlier_job(client: OpenAI, made_from: str, ledger: Path | None) -> TrainingJob | None:
    """A succeeded job of the same request whose model is still there, else one under way."""
    waiting: TrainingJob | None = None
    for job in _jobs_made_from(client, made_from, ledger):
        if job.status == "succeeded" and _is_served(client, job.fine_tuned_model):
            return job
        if job.status not in FINAL:
            waiting = waiting or job
    return waiting


def _jobs_made_from(client: OpenAI, made_from: str, ledger: Path | None) -> Iterator[TrainingJob]:
    noted = recorded_job(ledger, made_from) if ledger is not None else None
    if noted is not None:
        with contextlib.suppress(NotFoundError):
            yield job_from(
                client.fine_tuning.jobs.retrieve(noted).model_dump(warnings=False), digest=made_from
            )
    try:
        pages = client.fine_tuning.jobs.list(limit=PAGE, metadata={DIGEST_KEY: made_from})
    except (BadRequestError, UnprocessableEntityError):
        pages = client.fine_tuning.jobs.list(limit=PAGE)
    for found in islice(pages, SCANNED_JOBS):
        job = job_from(found.model_dump(warnings=False))
        if job.digest == made_from and job.id != noted:
            yield job


def _is_served(client: OpenAI, model: str | None) -> bool:
    if model is None:
        return False
    try:
        client.models.retrieve(model)
    except NotFoundError:
        return False
    return True


def _create(client: OpenAI, request: TrainingRequest, made_from: str, *, poll_s: float) -> TrainingJob:
    training_file = _upload(client, request.training_file, poll_s=poll_s)
    validation_file = None
    if request.validation_file is not None:
        validation_file = _upload(client, request.validation_file, poll_s=poll_s)
    # The client sends no idempotency key: a creation that is retried may make, and bill, two jobs.
    once = client.with_options(max_retries=0)

    def create(metadata: dict[str, str] | None) -> TrainingJob:
        job = once.fine_tuning.jobs.create(
            model=request.model,
            training_file=training_file,
            validation_file=validation_file or omit,
            hyperparameters=_hyperparameters(request) or omit,
            seed=omit if request.seed is None else request.seed,
            suffix=request.suffix or omit,
            metadata=metadata or omit,
        )
        return job_from(_plain(job), digest=made_from)

    try:
        return create({DIGEST_KEY: made_from})
    except (BadRequestError, UnprocessableEntityError) as error:
        if "metadata" not in f"{error.param} {error.message} {error.body}":
            raise
        return create(None)


def _hyperparameters(request: TrainingRequest) -> Hyperparameters:
    """The older, flat spelling: every provider since 2023 reads it. What is left out is `auto`."""
    chosen: Hyperparameters = {}
    if request.epochs is not None:
        chosen["n_epochs"] = request.epochs
    if request.batch_size is not None:
        chosen["batch_size"] = request.batch_size
    if request.learning_rate_multiplier is not None:
        chosen["learning_rate_multiplier"] = request.learning_rate_multiplier
    return chosen


def _upload(client: OpenAI, file: Path, *, poll_s: float) -> str:
    """Upload under the file's own name and wait until the provider has looked at it."""
    try:
        uploaded = client.files.create(file=file, purpose="fine-tune")
    except OSError as error:
        raise unreadable(error) from error
    give_up = time.monotonic() + FILE_LIMIT_S
    state = _plain(uploaded)
    while state.get("status") == "uploaded" and time.monotonic() < give_up:
        time.sleep(poll_s)
        state = _plain(client.files.retrieve(uploaded.id))
    if state.get("status") == "error":
        words = redact(str(state.get("status_details") or "no reason is given"))
        raise EndpointError(f"{file} was refused: {words}", remedy="mend the file, then run again")
    return uploaded.id


# --- following -----------------------------------------------------------------------------------------


def _follow(client: OpenAI, job: TrainingJob, *, on_progress: OnProgress, poll_s: float) -> TrainingJob:
    events: list[JobEvent] = []
    status: str | None = None
    try:
        while True:
            # The job first: once it is final, the events asked for after it are all there are.
            data = _job_data(client, job.id)
            job = job_from(data, digest=job.digest)
            fresh = _events(client, job.id, seen=frozenset(event.id for event in events))
            events += fresh
            notes = told(fresh, status=job.status)
            if not notes and job.status != status:
                notes = [JobProgress(status=job.status)]
            status = job.status
            if any(event.metrics is not None for event in fresh):
                state = measured(events, status=status, now=time.time(), finish=estimated_finish(data))
                notes += [state] if state is not None else []
            for note in notes:
                on_progress(note)
            if status in FINAL:
                return _finished(job)
            time.sleep(poll_s)
    except KeyboardInterrupt:
        words = f"{job.id} is not cancelled; the same command comes back to it"
        on_progress(JobProgress(status=job.status, message=words))
        raise


def _finished(job: TrainingJob) -> TrainingJob:
    if job.status == "succeeded" and job.fine_tuned_model:
        return job
    if job.status == "succeeded":
        raise EndpointError(f"{job.id} succeeded but names no model", remedy="ask the provider")
    words = redact(job.error or "the provider gives no reason")
    ended = "failed" if job.status == "failed" else "was cancelled"
    raise EndpointError(f"fine-tuning job {job.id} {ended}: {words}", remedy=remedy_of_failure(words))


def _events(client: OpenAI, job: str, *, seen: frozenset[str] = frozenset()) -> list[JobEvent]:
    """The job's events that are not among those seen, oldest first; they are listed newest first."""
    known = set(seen)
    found: list[JobEvent] = []
    try:
        for data in _listed(partial(client.fine_tuning.jobs.list_events, job, limit=PAGE)):
            event = event_from(data)
            if event.id in known:
                break
            known.add(event.id)
            found.append(event)
    except NotFoundError:
        return []  # a provider without events: the status alone is followed
    return found[::-1]


def _result_curve(client: OpenAI, job: str) -> TrainingCurve | None:
    for file in result_files(_job_data(client, job)):
        try:
            return read_curve(client.files.content(file).content)
        except NotFoundError:
            log.warning("the result file %s of %s is gone", file, job)
        except FileError as error:
            log.warning("the result file %s of %s has no curve: %s", file, job, error)
    return None


# --- replies as plain data: the client hands over whatever came, also a web page's text ---------------------


def _job_data(client: OpenAI, job: str) -> Mapping[str, Json]:
    return _plain(client.fine_tuning.jobs.retrieve(job))


def _plain(reply: object) -> Mapping[str, Json]:
    if not isinstance(reply, BaseModel):
        raise EndpointError("the answer is not in OpenAI's format", remedy=NOT_AN_API)
    return reply.model_dump(warnings=False)


def _listed(
    pages: Callable[[], Iterable[BaseModel]], *, at_most: int | None = None
) -> Iterator[Mapping[str, Json]]:
    """The objects of a list, page after page."""
    try:
        yield from map(_plain, islice(pages(), at_most))
    except (AttributeError, TypeError) as error:  # how the client stumbles over a page that is none
        raise EndpointError("the list is not in OpenAI's format", remedy=NOT_AN_API) from error


# --- the client ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _client(endpoint: Endpoint) -> Iterator[OpenAI]:
    """The official client, whose trouble leaves the block as an EndpointError."""
    try:
        with _connected(endpoint) as client:
            try:
                yield client
            except OpenAIError as error:
                raise _trouble(error, endpoint, client.api_key) from error
            except json.JSONDecodeError as error:
                raise EndpointError(f"{endpoint.label}: the answer is not JSON", remedy=NOT_AN_API) from error
    except OpenAIError as error:
        raise _trouble(error, endpoint, None) from error


def _connected(endpoint: Endpoint) -> OpenAI:
    timeout = Timeout(endpoint.timeout_s, connect=min(CONNECT_TIMEOUT_S, endpoint.timeout_s))
    url, retries = endpoint.base_url, endpoint.max_retries
    try:
        http = DefaultHttpxClient(timeout=timeout)
    except Exception as error:  # of many kinds, all about the environment
        raise _trouble(error, endpoint, None) from error
    connect = partial(OpenAI, base_url=url, timeout=timeout, max_retries=retries, http_client=http)
    try:
        return connect(api_key=endpoint.api_key)
    except OpenAIError:
        # No key given and none in OPENAI_API_KEY: fine for a server of one's own.
        if endpoint.base_url is None:
            raise
        return connect(api_key=KEYLESS)


def _trouble(error: Exception, endpoint: Endpoint, key: str | None) -> EndpointError:
    words = " ".join(redact(str(error), key).split())
    return EndpointError(f"{endpoint.label}: {words}", remedy=_remedy(error))


def _remedy(error: Exception) -> str:
    if isinstance(error, APIConnectionError):
        return UNREACHABLE
    if isinstance(error, APIStatusError):
        return remedy_of_status(error.status_code, error.code)
    return NO_KEY if isinstance(error, OpenAIError) else ENVIRONMENT
