"""`/v1/fine_tuning/jobs`: create, list, retrieve, cancel, pause, resume, events, checkpoints."""

from collections.abc import Set

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.new_jobs import read_new_job
from harness.localserver.api.pages import page, stored_page
from harness.localserver.api.parameters import read_body
from harness.localserver.api.services import Services, services_of
from harness.localserver.api.wire import (
    ApiError,
    JsonObject,
    checkpoint_object,
    event_object,
    job_object,
    listing,
    listing_with_ends,
    unknown_job,
)
from harness.localserver.jobs.attempts import read_history
from harness.localserver.state.objects import FINISHED, Status, StoredJob

JOBS_PAGE = 20
EVENTS_PAGE = 20
CHECKPOINTS_PAGE = 10


def fine_tuning_routes() -> list[BaseRoute]:
    """The routes of fine-tuning jobs."""
    job = "/v1/fine_tuning/jobs/{job_id}"
    return [
        Route("/v1/fine_tuning/jobs", create_job, methods=["POST"]),
        Route("/v1/fine_tuning/jobs", list_jobs, methods=["GET"]),
        Route(job, retrieve_job, methods=["GET"]),
        Route(f"{job}/cancel", cancel_job, methods=["POST"]),
        Route(f"{job}/pause", pause_job, methods=["POST"]),
        Route(f"{job}/resume", resume_job, methods=["POST"]),
        Route(f"{job}/events", list_events, methods=["GET"]),
        Route(f"{job}/checkpoints", list_checkpoints, methods=["GET"]),
    ]


async def create_job(request: Request) -> Response:
    """Begin a job. Its files are read after this answer: what is wrong in them shows on the job."""
    found = services_of(request)
    if found.training_closed:
        raise ApiError(
            "Fine-tuning is not available: this server takes no new fine-tuning jobs. The models it has can still be used.",
            status=403,
            code="training_not_available",
        )
    job = found.jobs.submit(read_new_job(await read_body(request), found))
    return JSONResponse(_object(job, found))


async def list_jobs(request: Request) -> Response:
    """Jobs, newest first, those with the metadata of the query if it names any."""
    found = services_of(request)
    jobs = [job for job in found.store.jobs() if _matches(job, request)]
    entries, more = stored_page(request, jobs, store=found.store, default=JOBS_PAGE)
    return JSONResponse(listing([_object(job, found) for job in entries], has_more=more))


async def retrieve_job(request: Request) -> Response:
    """One job."""
    found = services_of(request)
    return JSONResponse(_object(_requested(request, found), found))


async def cancel_job(request: Request) -> Response:
    """End a job that has not ended; the body of the request is not read."""
    found = services_of(request)
    job = _requested(request, found)
    if job.status in FINISHED:
        raise ApiError(
            f"Job has already completed: {job.id}", param="fine_tune_id", code="job_already_completed"
        )
    return JSONResponse(_object(found.jobs.cancel(job), found))


async def pause_job(request: Request) -> Response:
    """Let a queued or running job rest until it is resumed; the body of the request is not read."""
    found = services_of(request)
    job = _requested(request, found)
    _demand_status(job, {"queued", "running"}, wish="paused")
    return JSONResponse(_object(found.jobs.pause(job), found))


async def resume_job(request: Request) -> Response:
    """Put a paused job back in the queue; it goes on where it was. The body of the request is not read."""
    found = services_of(request)
    job = _requested(request, found)
    _demand_status(job, {"paused"}, wish="resumed")
    return JSONResponse(_object(found.jobs.resume(job), found))


async def list_events(request: Request) -> Response:
    """What happened to a job, newest first."""
    found = services_of(request)
    events = found.store.events(_requested(request, found))[::-1]
    entries, more = page(request, events, default=EVENTS_PAGE)
    return JSONResponse(listing([event_object(event) for event in entries], has_more=more))


async def list_checkpoints(request: Request) -> Response:
    """The models of a job at the ends of its epochs, newest first; the newest is the fine-tuned model."""
    found = services_of(request)
    job = _requested(request, found)
    history = read_history(found.store.job_folder(job), attempts=job.attempt)
    steps = {taken.step.step: taken.step for taken in history}
    entries, more = page(request, job.checkpoints[::-1], default=CHECKPOINTS_PAGE)
    data = [checkpoint_object(job, checkpoint, step=steps.get(checkpoint.step)) for checkpoint in entries]
    return JSONResponse(listing_with_ends(data, has_more=more))


def _requested(request: Request, found: Services) -> StoredJob:
    job_id = request.path_params["job_id"]
    job = found.store.find_job(job_id)
    if job is None:
        raise unknown_job(job_id)
    return job


def _demand_status(job: StoredJob, statuses: Set[Status], *, wish: str) -> None:
    if job.status not in statuses:
        expected = " or ".join(f"'{status}'" for status in sorted(statuses))
        raise ApiError(
            f"Job {job.id} cannot be {wish}: its status is '{job.status}', but must be {expected}.",
            param="fine_tune_id",
            code="invalid_job_status",
        )


def _object(job: StoredJob, found: Services) -> JsonObject:
    return job_object(job, estimated_finish=found.jobs.estimated_finish(job))


def _matches(job: StoredJob, request: Request) -> bool:
    """`metadata[key]=value` for each key asked for, or `metadata=null` for jobs without any."""
    if request.query_params.get("metadata") == "null" and job.metadata:
        return False
    metadata = job.metadata or {}
    wanted = [
        (key.removeprefix("metadata[").removesuffix("]"), value)
        for key, value in request.query_params.multi_items()
        if key.startswith("metadata[") and key.endswith("]")
    ]
    return all(metadata.get(key) == value for key, value in wanted)
