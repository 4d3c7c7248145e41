"""The application: every route of the server, and what it answers where there is none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from harness.errors import HarnessError
from harness.localserver.api.batches import InProcess, batch_routes
from harness.localserver.api.chat import chat_routes
from harness.localserver.api.edge import Edge
from harness.localserver.api.failures import failure_of
from harness.localserver.api.files import file_routes
from harness.localserver.api.fine_tuning import fine_tuning_routes
from harness.localserver.api.inference import Inference
from harness.localserver.api.models import model_routes
from harness.localserver.api.services import ServedModel, Services, Terms
from harness.localserver.api.text_completions import text_routes
from harness.localserver.api.wire import ApiError
from harness.localserver.generation.requests import Engine
from harness.localserver.jobs.batch_runner import BatchRunner
from harness.localserver.jobs.queue import JobQueue
from harness.localserver.jobs.trainer_process import TrainerSetup
from harness.localserver.state.batches import BatchStore
from harness.localserver.state.store import Store


def create_app(
    store: Store,
    *,
    base: ServedModel,
    engine: Callable[[], Engine],
    trainer: TrainerSetup,
    terms: Terms | None = None,
) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        store: Where files and jobs are kept; the caller closes it.
        base: The untuned model.
        engine: Makes the engine, on the first chat request and not before.
        trainer: How jobs are trained.
        terms: The key it demands, what it takes and what it refuses.

    Raises:
        StorageError: A batch in the store is not readable.
    """
    agreed = terms or Terms()
    kept_batches = BatchStore(store.batches)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        services = Services(
            store=store,
            jobs=JobQueue(store, trainer, base_digest=base.digest),
            inference=Inference(engine),
            base=base,
            max_upload_bytes=agreed.max_upload_bytes,
            training_closed=agreed.training_closed,
        )
        app.state.services = services
        app.state.batches = batches = BatchRunner(store, InProcess(services), batches=kept_batches)
        services.jobs.start()
        batches.start()
        try:
            yield
        finally:
            # Together: whoever stops the server waits for seconds only, and the trainer needs them to save its state.
            await asyncio.gather(batches.stop(), services.jobs.stop())
            services.inference.close()

    app = Starlette(
        routes=_routes(),
        lifespan=lifespan,
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_error,
            HarnessError: _on_failure,
            OSError: _on_failure,
            Exception: _on_failure,
        },
    )
    app.router.redirect_slashes = False
    return Edge(app, api_key=agreed.api_key)


def _routes() -> list[BaseRoute]:
    return [
        *file_routes(),
        *fine_tuning_routes(),
        *model_routes(),
        *chat_routes(),
        *text_routes(),
        *batch_routes(),
    ]


async def _on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _on_failure(_: Request, error: Exception) -> Response:
    """Not the caller's doing. Of a fault nobody foresaw the edge writes more to the log, under the id in the answer's header."""
    return failure_of(error).response()


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Unknown URL, or a method the URL does not take."""
    assert isinstance(error, HTTPException)
    place = f"{request.method} {request.url.path}"
    if error.status_code == 405:
        message = f"Not allowed to {request.method} on {request.url.path} (HINT: Perhaps you meant to use another method?)"
        return ApiError(message, status=405, code="method_not_supported").response(error.headers)
    if error.status_code == 404:
        return ApiError(f"Invalid URL ({place})", status=404, code="unknown_url").response()
    return ApiError(error.detail, status=error.status_code).response(error.headers)
