"""`/v1/batches`: many requests from a file, answered when there is time, the answers in a file."""

import logging
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.chat import CHAT_URL, answer_chat, read_chat
from harness.localserver.api.failures import failure_of
from harness.localserver.api.files import MAX_LIFE_S, MIN_LIFE_S
from harness.localserver.api.metadata import read_metadata
from harness.localserver.api.pages import page
from harness.localserver.api.parameters import Parameters, read_body
from harness.localserver.api.services import Services, services_of
from harness.localserver.api.text_completions import answer_text, read_completion
from harness.localserver.api.wire import ApiError, JsonObject, listing_with_ends
from harness.localserver.jobs.batch_input import ENDPOINTS
from harness.localserver.jobs.batch_runner import BatchRunner, Reply
from harness.localserver.state.batches import ENDED, OK, BatchStatus, StoredBatch
from harness.localserver.state.identifiers import new_id, now

# The one window OpenAI offers.
WINDOW, WINDOW_S = "24h", 86_400
DEFAULT_LIMIT = 20

_READ = ("input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after")
_TIMES: tuple[BatchStatus, ...] = (
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
)

_log = logging.getLogger(__name__)


def batch_routes() -> list[BaseRoute]:
    """The routes of batches."""
    return [
        Route("/v1/batches", create_batch, methods=["POST"]),
        Route("/v1/batches", list_batches, methods=["GET"]),
        Route("/v1/batches/{batch_id}", retrieve_batch, methods=["GET"]),
        Route("/v1/batches/{batch_id}/cancel", cancel_batch, methods=["POST"]),
    ]


async def create_batch(request: Request) -> Response:
    """Begin with a batch; what is wrong with its input is said by the batch itself."""
    found, runner = services_of(request), _runner(request)
    body = await read_body(request)
    body.refuse_unknown(_READ)
    file_id = body.required_text("input_file_id")
    endpoint = _one_of(body, "endpoint", tuple(ENDPOINTS))
    _one_of(body, "completion_window", (WINDOW,))
    metadata = read_metadata(body)
    life_s = _output_life_s(body)
    file = found.store.find_file(file_id)
    if file is not None and file.purpose != "batch":
        raise ApiError(
            f"Invalid input file: '{file.id}' was uploaded with purpose '{file.purpose}', expected 'batch'.",
            param="input_file_id",
        )
    created_at = now()
    batch = StoredBatch(
        id=new_id("batch_", 32),
        number=runner.batches.next_number(),
        created_at=created_at,
        endpoint=endpoint,
        input_file_id=file_id,
        expires_at=created_at + WINDOW_S,
        metadata=metadata,
        output_life_s=life_s,
    )
    return JSONResponse(batch_object(runner.submit(batch)))


async def list_batches(request: Request) -> Response:
    """Batches, newest first."""
    newest_first = _runner(request).batches.batches()[::-1]
    entries, more = page(request, newest_first, default=DEFAULT_LIMIT)
    return JSONResponse(listing_with_ends([batch_object(batch) for batch in entries], has_more=more))


async def retrieve_batch(request: Request) -> Response:
    """One batch."""
    return JSONResponse(batch_object(_requested(request)))


async def cancel_batch(request: Request) -> Response:
    """End a batch; what it has answered is kept."""
    batch = _requested(request)
    if batch.status in {"cancelling", "cancelled"}:
        return JSONResponse(batch_object(batch))
    if batch.status in ENDED or batch.status == "finalizing":
        raise ApiError(f"Cannot cancel a batch with status '{batch.status}'.", status=409)
    return JSONResponse(batch_object(_runner(request).cancel(batch)))


def _runner(request: Request) -> BatchRunner:
    runner = request.app.state.batches
    assert isinstance(runner, BatchRunner)
    return runner


def _requested(request: Request) -> StoredBatch:
    batch_id = request.path_params["batch_id"]
    batch = _runner(request).batches.find(batch_id)
    if batch is None:
        raise ApiError(f"No batch found with id '{batch_id[:80]}'.", status=404)
    return batch


def _one_of(body: Parameters, key: str, supported: tuple[str, ...]) -> str:
    value = body.required_text(key)
    if value not in supported:
        known = " and ".join(f"'{name}'" for name in supported)
        raise ApiError(
            f"Invalid value: '{value[:40]}'. Supported values are: {known}.", param=key, code="invalid_value"
        )
    return value


def _output_life_s(body: Parameters) -> int | None:
    policy = body.object("output_expires_after")
    if policy is None:
        return None
    policy.refuse_unknown(("anchor", "seconds"))
    if policy.required_text("anchor") != "created_at":
        raise ApiError(
            "Invalid value for 'anchor'. Supported values are: 'created_at'.",
            param=policy.name("anchor"),
            code="invalid_value",
        )
    policy.required("seconds")
    return policy.integer("seconds", low=MIN_LIFE_S, high=MAX_LIFE_S)


class InProcess:
    """The routes of completions for a batch: the same reading, the same answers, the same errors, without HTTP."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def in_flight(self) -> int:
        """Answers being written now."""
        return self._services.inference.in_flight

    def model_of(self, name: str) -> str | None:
        """The full name of a model, None when there is none of this name."""
        try:
            return self._services.resolve(name).name
        except ApiError:
            return None

    async def ask(self, endpoint: str, body: Mapping[str, object]) -> Reply:
        """The answer to a request, or the error for it."""
        found = self._services
        try:
            if endpoint == CHAT_URL:
                answer = await answer_chat(found, read_chat(Parameters(body)))
            else:
                answer = await answer_text(found, read_completion(Parameters(body)))
        except ApiError as error:
            return Reply(status=error.status, body=error.envelope())
        except Exception as error:  # noqa: BLE001 - the edge of a request: it has its 500, the batch goes on
            _log.exception("a request of a batch")
            failure = failure_of(error)
            return Reply(status=failure.status, body=failure.envelope())
        return Reply(status=OK, body=answer)


def batch_object(batch: StoredBatch) -> JsonObject:
    """A batch as OpenAI shows it."""
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": _errors(batch),
        "input_file_id": batch.input_file_id,
        "completion_window": WINDOW,
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": batch.created_at,
        "expires_at": batch.expires_at,
        **{f"{status}_at": batch.reached.get(status) for status in _TIMES},
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": _usage(batch),
        "metadata": batch.metadata,
    }


def _errors(batch: StoredBatch) -> "JsonObject | None":
    if not batch.faults:
        return None
    data: list[JsonObject] = [
        {"code": fault.code, "message": fault.message, "param": fault.param, "line": fault.line}
        for fault in batch.faults
    ]
    return {"object": "list", "data": data}


def _usage(batch: StoredBatch) -> JsonObject:
    tokens = batch.tokens
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens.prompt + tokens.completion,
    }
