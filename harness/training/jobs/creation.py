"""A job for a request: the one there is, or a new one, and never two.

The client sends no idempotency key, so a creation is asked for once. When its answer is lost, the job is looked for,
by the digest in its metadata or by the files it was given, before anything is created again.
"""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime

from openai import (
    APIConnectionError,
    APIStatusError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    UnprocessableEntityError,
    omit,
)
from openai.types.fine_tuning.job_create_params import Hyperparameters, Method

from harness.errors import EndpointError
from harness.records import Json, TrainingJob
from harness.serial import file_digest
from harness.training.jobs.connection import PAGE, job_data, listed, plain, words_of
from harness.training.jobs.orders import Order
from harness.training.jobs.uploads import CLOCK_SKEW_S, uploaded_once
from harness.training.ledger import (
    ASKED,
    REFUSED,
    JobRecord,
    creating,
    jobs_made_from,
    open_question,
    recorded_job,
)
from harness.training.remedies import NOT_AN_API
from harness.training.replies import DIGEST_KEY, FINAL, job_from
from harness.training.requests import TrainingRequest

# How far back an earlier job is looked for where the provider ignores the metadata filter.
SCANNED_JOBS = 300
# How often a job whose answer was lost is looked for, a poll apart: providers list a job as soon as it exists.
LOOKS = 5
# What servers without a route say.
NO_SUCH_ROUTE = frozenset({404, 405, 501})
# A question this old has been answered by the list of jobs, one way or the other.
SETTLED_S = 120.0


def earlier_job(client: OpenAI, order: Order) -> TrainingJob | None:
    """A succeeded job of the same request whose model is still there, else one under way."""
    waiting: TrainingJob | None = None
    for job in _jobs_of(client, order):
        if job.status == "succeeded" and is_offered(client, job.fine_tuned_model):
            return job
        if job.status not in FINAL:
            waiting = waiting or job
    return waiting


def found_or_created(client: OpenAI, order: Order) -> tuple[TrainingJob, bool]:
    """The job of the request, and whether it was made now.

    Raises:
        EndpointError: A file was refused, or it is not known whether there is a job.
    """
    with creating(order.ledger):
        job = earlier_job(client, order)
        if job is None and (question := _question(order)) is not None and _is_fresh(question):
            order.say(
                "the answer to an earlier creation never came: looking for its job before another is made"
            )
            job = _looked_for(client, order)
        if job is not None:
            order.note(job, files=_digests(order.request))
            return job, False
        return _created(client, order), True


def is_offered(client: OpenAI, model: str | None) -> bool:
    """Whether the provider still has the model."""
    if model is None:
        return False
    try:
        client.models.retrieve(model)
    except NotFoundError:
        return False
    return True


# --- finding -------------------------------------------------------------------------------------------


def _jobs_of(client: OpenAI, order: Order) -> Iterator[TrainingJob]:
    """The jobs of the request: those of the ledger, then what the provider lists."""
    known = jobs_made_from(order.ledger, order.digest, endpoint=order.endpoint.label) if order.ledger else []
    seen: set[str] = set()
    for entry in known:
        seen.add(entry.job.id)
        try:
            yield job_from(job_data(client, entry.job.id), digest=order.digest)
        except NotFoundError:
            continue
    question = _question(order)
    for data in _listed_jobs(client, None if question else order.digest):
        job = job_from(data)
        is_ours = job.digest == order.digest or (question is not None and _answers(data, question, order))
        if is_ours and job.id not in seen:
            yield job_from(data, digest=order.digest)


def _listed_jobs(client: OpenAI, made_from: str | None) -> Iterator[Mapping[str, Json]]:
    """The provider's jobs, newest first; those with this digest alone where it can tell them apart."""
    jobs = client.fine_tuning.jobs
    try:
        pages = (
            jobs.list(limit=PAGE, metadata={DIGEST_KEY: made_from}) if made_from else jobs.list(limit=PAGE)
        )
    except (BadRequestError, UnprocessableEntityError):
        pages = jobs.list(limit=PAGE)
    except APIStatusError as error:
        if error.status_code in NO_SUCH_ROUTE:  # a server that makes jobs and does not list them
            return
        raise
    yield from listed(lambda: pages, at_most=SCANNED_JOBS)


def _question(order: Order) -> JobRecord | None:
    if order.ledger is None:
        return None
    return open_question(order.ledger, order.digest, endpoint=order.endpoint.label)


def _answers(data: Mapping[str, Json], question: JobRecord, order: Order) -> bool:
    """Whether a job that bears no digest is what an unanswered creation made: its files, after it was asked for."""
    job, request = job_from(data), order.request
    files = {"train": data.get("training_file"), "valid": data.get("validation_file")}
    made = job.created_at if job.created_at is not None else 0
    epochs = job.hyperparameters.get("n_epochs")
    return (
        job.digest is None
        and {name: file for name, file in files.items() if file} == dict(question.uploads)
        and made >= _seconds(question.at) - CLOCK_SKEW_S
        and (request.epochs is None or epochs in {request.epochs, None})
        and (request.seed is None or data.get("seed") in {request.seed, None})
        and not _is_recorded(job.id, order)
    )


def _is_recorded(job: str, order: Order) -> bool:
    return order.ledger is not None and (
        recorded_job(order.ledger, job, endpoint=order.endpoint.label) is not None
    )


def _is_fresh(question: JobRecord) -> bool:
    return time.time() - _seconds(question.at) < SETTLED_S


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def _looked_for(client: OpenAI, order: Order) -> TrainingJob | None:
    """The job of the request, asked for several times: it may be listed a moment after it was made."""
    for _ in range(LOOKS):
        if (job := earlier_job(client, order)) is not None:
            return job
        time.sleep(order.poll_s)
    return None


# --- creating ------------------------------------------------------------------------------------------


def _created(client: OpenAI, order: Order) -> TrainingJob:
    uploads = {name: uploaded_once(client, file, order) for name, file in order.request.files.items()}
    digests = _digests(order.request)
    asked = TrainingJob(id="", status=ASKED, model=order.request.model, digest=order.digest)
    order.note(asked, files=digests, uploads=uploads)
    try:
        job = _asked(client, order, uploads)
    except (APIConnectionError, InternalServerError, json.JSONDecodeError, EndpointError) as error:
        job = _made_after_all(client, order, error)
    except APIStatusError:  # a refusal: there is no job
        refused = TrainingJob(id="", status=REFUSED, model=order.request.model, digest=order.digest)
        order.note(refused, files=digests, uploads=uploads)
        raise
    order.note(job, files=digests, uploads=uploads)
    return job


def _digests(request: TrainingRequest) -> dict[str, str]:
    return {name: file_digest(file) for name, file in request.files.items()}


def _asked(client: OpenAI, order: Order, uploads: Mapping[str, str]) -> TrainingJob:
    """Ask for the job, once; a second time only where the provider has refused the metadata."""
    request = order.request
    once = client.with_options(max_retries=0)
    is_plain = request.method == "supervised"

    def create(metadata: dict[str, str] | None) -> TrainingJob:
        job = once.fine_tuning.jobs.create(
            model=request.model,
            training_file=uploads["train"],
            validation_file=uploads.get("valid") or omit,
            hyperparameters=(_hyperparameters(request) if is_plain else None) or omit,
            method=omit if is_plain else _preference_method(request),
            seed=omit if request.seed is None else request.seed,
            suffix=request.suffix or omit,
            metadata=metadata or omit,
        )
        made = job_from(plain(job), digest=order.digest)
        if not made.id:
            raise EndpointError("the answer names no job", remedy=NOT_AN_API)
        return made

    try:
        return create({DIGEST_KEY: order.digest})
    except (BadRequestError, UnprocessableEntityError) as error:
        if "metadata" not in f"{error.param} {error.message} {error.body}":
            raise
        return create(None)


def _made_after_all(client: OpenAI, order: Order, error: Exception) -> TrainingJob:
    """The job whose creation was not answered.

    Raises:
        EndpointError: There is none, as far as the provider tells.
    """
    words = words_of(error, client.api_key)
    order.say(
        f"the creation was not answered ({words}): looking for the job before anything is created again"
    )
    job = _looked_for(client, order)
    if job is not None:
        order.say(f"{job.id} was made all the same", status=job.status)
        return job
    raise EndpointError(
        f"{order.endpoint.label}: {words}; the creation was not answered, and no job of it is listed",
        remedy="run the same command again: it looks for the job before it creates one",
    ) from error


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


def _preference_method(request: TrainingRequest) -> Method:
    """Preferences are known to the newer spelling alone."""
    chosen = _hyperparameters(request)
    method: Method = {"type": "dpo", "dpo": {"hyperparameters": {**chosen}}}  # type: ignore[typeddict-item]
    return method
