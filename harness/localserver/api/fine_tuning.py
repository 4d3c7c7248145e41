"""`/v1/fine_tuning/jobs`: create, list, retrieve, cancel, events, checkpoints."""

import re
import secrets
import sys

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.metadata import read_metadata
from harness.localserver.api.pages import page, stored_page
from harness.localserver.api.parameters import Parameters, read_body, unsupported, wrong_type
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
from harness.localserver.jobs.trainer_process import read_steps
from harness.localserver.state.identifiers import new_id, now
from harness.localserver.state.objects import FINISHED, Auto, Hyperparameters, StoredJob
from harness.localserver.state.store import Store

_CREATE = (
    "model",
    "training_file",
    "validation_file",
    "suffix",
    "seed",
    "integrations",
    "method",
    "metadata",
    "hyperparameters",
)
# OpenAI's bounds.
MAX_EPOCHS = 50
MAX_BATCH_SIZE = 256
MAX_SUFFIX_CHARACTERS = 64
MAX_SEED = 2**31 - 1
# A suffix becomes part of a model's name, where colons separate and slashes end a URL's segment.
_SUFFIX = re.compile(r"[A-Za-z0-9_.-]+")

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
        Route(f"{job}/events", list_events, methods=["GET"]),
        Route(f"{job}/checkpoints", list_checkpoints, methods=["GET"]),
    ]


async def create_job(request: Request) -> Response:
    """Begin a job. Its files are read after this answer: what is wrong in them shows on the job."""
    found = services_of(request)
    body = await read_body(request)
    job = found.jobs.submit(_new_job(body, found))
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
    steps = {step.step: step for step in read_steps(found.store.attempt_folder(job))}
    entries, more = page(request, job.checkpoints[::-1], default=CHECKPOINTS_PAGE)
    data = [checkpoint_object(job, checkpoint, step=steps.get(checkpoint.step)) for checkpoint in entries]
    return JSONResponse(listing_with_ends(data, has_more=more))


def _requested(request: Request, found: Services) -> StoredJob:
    job_id = request.path_params["job_id"]
    job = found.store.find_job(job_id)
    if job is None:
        raise unknown_job(job_id)
    return job


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


# --- reading a new job ---


def _new_job(body: Parameters, found: Services) -> StoredJob:
    body.refuse_unknown(_CREATE)
    if body.value("integrations"):
        raise unsupported("integrations", remedy="Follow the job's events instead.")
    model = body.required_text("model")
    if not found.is_base(model):
        raise ApiError(
            f"Model {model[:200]} is not available for fine-tuning or does not exist.",
            param="model",
            code="model_not_available",
        )
    body.required("training_file")
    training_file = _file_id(body, "training_file", store=found.store)
    seed = body.integer("seed", low=0, high=MAX_SEED)
    return StoredJob(
        id=new_id("ftjob-"),
        number=found.store.next_number(),
        created_at=now(),
        model=found.base.name,
        base_digest=found.base.digest,
        training_file=training_file or "",
        validation_file=_file_id(body, "validation_file", store=found.store),
        hyperparameters=_hyperparameters(body),
        seed=secrets.randbelow(MAX_SEED + 1) if seed is None else seed,
        suffix=_suffix(body),
        metadata=read_metadata(body),
    )


def _file_id(body: Parameters, key: str, *, store: Store) -> str | None:
    file_id = body.text(key)
    if file_id is None:
        return None
    file = store.find_file(file_id)
    if file is None:
        raise ApiError(f"invalid {key}: {file_id[:80]}", param=key)
    if file.purpose != "fine-tune":
        raise ApiError(
            f"invalid {key}: {file_id} has the purpose '{file.purpose}', but must have 'fine-tune'", param=key
        )
    return file_id


def _suffix(body: Parameters) -> str | None:
    suffix = body.text("suffix", longest=MAX_SUFFIX_CHARACTERS)
    if suffix and not _SUFFIX.fullmatch(suffix):
        raise ApiError(
            "Invalid 'suffix': only letters, digits, '.', '_' and '-' can be part of a model's name.",
            param="suffix",
            code="invalid_value",
        )
    return suffix or None


def _hyperparameters(body: Parameters) -> Hyperparameters:
    method, older = body.object("method"), body.object("hyperparameters")
    if method and older:
        raise ApiError(
            "Setting 'method' and 'hyperparameters' at the same time is not supported.",
            param="hyperparameters",
            code="invalid_parameter_combination",
        )
    if method:
        older = _supervised(method)
    if older is None:
        return Hyperparameters()
    older.refuse_unknown(("n_epochs", "batch_size", "learning_rate_multiplier"))
    return Hyperparameters(
        n_epochs=_whole_or_auto(older, "n_epochs", high=MAX_EPOCHS),
        batch_size=_whole_or_auto(older, "batch_size", high=MAX_BATCH_SIZE),
        learning_rate_multiplier=_multiplier(older),
    )


def _supervised(method: Parameters) -> Parameters | None:
    kind = method.required_text("type")
    if kind != "supervised":
        raise ApiError(
            f"Unsupported value: 'method.type' does not support '{kind[:40]}' with this model. Only 'supervised' "
            "is supported.",
            param="method.type",
            code="unsupported_value",
        )
    method.refuse_unknown(("type", "supervised"))
    supervised = method.object("supervised")
    if supervised is None:
        return None
    supervised.refuse_unknown(("hyperparameters",))
    return supervised.object("hyperparameters")


def _whole_or_auto(body: Parameters, key: str, *, high: int) -> int | Auto:
    value = body.value(key)
    if value is None or value == "auto":
        return "auto"
    if isinstance(value, str):
        raise wrong_type(body.name(key), value, expected="an integer or 'auto'")
    return body.integer(key, low=1, high=high) or "auto"


def _multiplier(body: Parameters) -> float | Auto:
    key = "learning_rate_multiplier"
    value = body.value(key)
    if value is None or value == "auto":
        return "auto"
    if isinstance(value, str):
        raise wrong_type(body.name(key), value, expected="a decimal or 'auto'")
    return body.decimal(key, low=sys.float_info.min, high=sys.float_info.max) or "auto"
