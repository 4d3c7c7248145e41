"""Following a job to its end, through bad connections, and waiting until its model answers."""

import time
from collections.abc import Callable, Mapping
from functools import partial

from openai import (
    APIConnectionError,
    APIStatusError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)

from harness.errors import EndpointError
from harness.records import Endpoint, Json, TrainingJob
from harness.redaction import redact
from harness.training.jobs.connection import PAGE, connected, job_data, listed, words_of
from harness.training.jobs.orders import OnProgress
from harness.training.progress import JobEvent, measured, told
from harness.training.remedies import remedy_of_failure
from harness.training.replies import FINAL, estimated_finish, event_from, job_from
from harness.training.requests import JobProgress

POLL_S = 2.0
# Where nothing has happened the next look is later by half, up to this many polls: a job takes minutes to hours.
SLOWER, SLOWEST = 1.5, 5.0
# A job goes on without us: only an endpoint that is away for longer ends the following.
OUTAGE_LIMIT_S = 600.0
# OpenAI's guide says that a fresh model may take some minutes until it answers.
SERVED_LIMIT_S = 600.0
SERVED_POLL_S = 10.0
# What Azure says of a model until a person deploys it, which no waiting does.
UNDEPLOYED = "DeploymentNotFound"
# What a model that is not loaded yet says.
_NOT_YET = {404, 409, 429, 503}


def followed(
    client: OpenAI, job: TrainingJob, *, on_progress: OnProgress, poll_s: float = POLL_S
) -> TrainingJob:
    """The job at its end, whatever that is; everything it tells on the way is passed on.

    Raises:
        KeyboardInterrupt: The user left; the job goes on.
    """
    events: list[JobEvent] = []
    status: str | None = None
    wait_s, away_since = poll_s, None
    while True:
        try:
            # The job first: once it is final, the events asked for after it are all there are.
            data = job_data(client, job.id)
            fresh = events_of(client, job.id, seen=frozenset(event.id for event in events))
        except (APIConnectionError, InternalServerError, RateLimitError) as error:
            away_since = _away(error, away_since, client=client, tell=on_progress)
            time.sleep(wait_s)
            continue
        away_since = None
        job = job_from(data, digest=job.digest)
        events += fresh
        for note in _notes(fresh, events, data=data, before=status):
            on_progress(note)
        if job.status in FINAL:
            return job
        wait_s = poll_s if fresh or job.status != status else min(wait_s * SLOWER, poll_s * SLOWEST)
        status = job.status
        time.sleep(wait_s)


def _away(error: Exception, since: float | None, *, client: OpenAI, tell: OnProgress) -> float:
    """When the endpoint went away; told once, and raised when it stays away for too long."""
    now = time.monotonic()
    if since is None:
        words = words_of(error, client.api_key)
        tell(JobProgress(status="", message=f"no answer for now ({words}); the job goes on, asking again"))
        return now
    if now - since > OUTAGE_LIMIT_S:
        raise error
    return since


def _notes(
    fresh: list[JobEvent], events: list[JobEvent], *, data: Mapping[str, Json], before: str | None
) -> list[JobProgress]:
    """What there is to tell: messages, else a new status, and where the training stands."""
    status = job_from(data).status
    notes = told(fresh, status=status)
    if not notes and status != before:
        notes = [JobProgress(status=status)]
    if any(event.metrics is not None for event in fresh):
        state = measured(events, status=status, now=time.time(), finish=estimated_finish(data))
        notes += [state] if state is not None else []
    return notes


def events_of(client: OpenAI, job: str, *, seen: frozenset[str] = frozenset()) -> list[JobEvent]:
    """The job's events that are not among those seen, oldest first; they are listed newest first."""
    known = set(seen)
    found: list[JobEvent] = []
    try:
        for data in listed(partial(client.fine_tuning.jobs.list_events, job, limit=PAGE)):
            event = event_from(data)
            if event.id in known:
                break
            known.add(event.id)
            found.append(event)
    except NotFoundError:
        return []  # a provider without events: the status alone is followed
    return found[::-1]


def check_succeeded(job: TrainingJob) -> TrainingJob:
    """The job, if it ended well.

    Raises:
        EndpointError: It failed, was cancelled, or names no model.
    """
    if job.status == "succeeded" and job.fine_tuned_model:
        return job
    if job.status == "succeeded":
        raise EndpointError(f"{job.id} succeeded but names no model", remedy="ask the provider")
    words = redact(job.error or "the provider gives no reason")
    ended = "failed" if job.status == "failed" else "was cancelled"
    raise EndpointError(f"fine-tuning job {job.id} {ended}: {words}", remedy=remedy_of_failure(words))


# --- the fresh model -----------------------------------------------------------------------------------


def wait_until_served(
    endpoint: Endpoint,
    model: str,
    *,
    on_progress: OnProgress,
    limit_s: float = SERVED_LIMIT_S,
    poll_s: float = SERVED_POLL_S,
) -> bool:
    """Whether a fresh model answers, asked for one token until it does or the limit is reached.

    Trouble that waiting does not mend (a wrong key, a server without chat) is not ours to tell: whoever asks the
    model next meets it, with its remedy.
    """
    give_up = time.monotonic() + limit_s
    is_told = False
    with connected(endpoint) as client:
        once = client.with_options(max_retries=0)
        while (reason := _refusal(partial(_ask, once, model, endpoint))) is not None:
            if reason == UNDEPLOYED:
                words = f"{model} answers once it is deployed; the deployment's name is then the model's"
                on_progress(JobProgress(status="succeeded", message=words))
                return False
            if time.monotonic() >= give_up:
                on_progress(
                    JobProgress(status="succeeded", message=f"{model} is still not served ({reason})")
                )
                return False
            if not is_told:
                words = (
                    f"{model} is not served yet ({reason}), as happens in the first minutes: "
                    f"waiting up to {limit_s / 60:.0f} min"
                )
                on_progress(JobProgress(status="succeeded", message=words))
                is_told = True
            time.sleep(poll_s)
    if is_told:
        on_progress(JobProgress(status="succeeded", message=f"{model} answers"))
    return True


def _ask(client: OpenAI, model: str, endpoint: Endpoint) -> None:
    """The smallest question there is."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Hi"}],
        endpoint.max_tokens_field: 1,
    }
    client.post("/chat/completions", cast_to=str, body=body)


def _refusal(ask: Callable[[], None]) -> str | None:
    """Why the model does not answer yet; None when it does, or when waiting would not help."""
    try:
        ask()
    except APIConnectionError as error:
        return type(error).__name__
    except APIStatusError as error:
        code = error.code or ""
        if code == UNDEPLOYED:
            return code
        if error.status_code not in _NOT_YET:
            return None
        is_about_model = (
            "model" in f"{code} {error.message}".lower() and "not a chat model" not in error.message
        )
        if error.status_code == 404 and not is_about_model:
            return None
        return f"{error.status_code} {code}".strip()
    return None
