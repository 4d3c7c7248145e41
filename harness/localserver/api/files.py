"""`/v1/files`: upload, list, retrieve, content, delete."""

import base64
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from harness.localserver.api.pages import MAX_LIMIT, stored_page
from harness.localserver.api.parameters import Parameters
from harness.localserver.api.services import Services, services_of
from harness.localserver.api.uploads import Form, read_form
from harness.localserver.api.wire import (
    ApiError,
    deleted_object,
    file_object,
    listing_with_ends,
    unknown_file,
)
from harness.localserver.state.objects import StoredFile
from harness.localserver.state.store import upload_path

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
ORDERS = ("asc", "desc")

# OpenAI's bounds of `expires_after`, in seconds: an hour to thirty days.
MIN_LIFE_S = 3600
MAX_LIFE_S = 2_592_000
# Files of a batch go after thirty days unless their upload says otherwise; others stay.
LIFE_S = {"batch": MAX_LIFE_S}

# The oldest clients can name a model at an upload; it never meant anything.
_FIELDS = ("purpose", "expires_after[anchor]", "expires_after[seconds]", "model")


def file_routes() -> list[BaseRoute]:
    """The routes of files."""
    return [
        Route("/v1/files", create_file, methods=["POST"]),
        Route("/v1/files", list_files, methods=["GET"]),
        Route("/v1/files/{file_id}", retrieve_file, methods=["GET"]),
        Route("/v1/files/{file_id}", delete_file, methods=["DELETE"]),
        Route("/v1/files/{file_id}/content", file_content, methods=["GET"]),
    ]


async def create_file(request: Request) -> Response:
    """Store an upload; what is in it is looked at by the job that uses it."""
    found = services_of(request)
    part = upload_path(found.store)
    try:
        form = await read_form(request, part, max_bytes=found.max_upload_bytes)
        for field in form.fields:
            if field not in _FIELDS:
                name = field[:80]
                raise ApiError(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        purpose = _purpose(form)
        file = found.store.keep_upload(
            part, filename=_filename(form, purpose), purpose=purpose, life_s=_life_s(form, purpose)
        )
    finally:
        part.unlink(missing_ok=True)
    return JSONResponse(file_object(file))


def _purpose(form: Form) -> str:
    purpose = Parameters(form.fields).required_text("purpose")
    if purpose not in PURPOSES:
        raise ApiError(f"'{purpose[:80]}' is not one of {list(PURPOSES)} - 'purpose'", param="purpose")
    return purpose


def _filename(form: Form, purpose: str) -> str:
    """The file's name. One that says another format is refused, as at OpenAI; one that says none, as older clients send, is not."""
    name = form.filename
    if name is None:
        raise ApiError("Missing required parameter: 'file'.", param="file", code="missing_required_parameter")
    if purpose == "fine-tune" and PurePath(name).suffix.lower() not in {"", ".jsonl"}:
        raise ApiError("Invalid file format for Fine-Tuning API. Must be .jsonl", param="file")
    return name


def _life_s(form: Form, purpose: str) -> int | None:
    anchor, seconds = (form.fields.get(f"expires_after[{key}]") for key in ("anchor", "seconds"))
    if anchor is None and seconds is None:
        return LIFE_S.get(purpose)
    short = seconds is not None and seconds.isascii() and seconds.isdecimal() and len(seconds) < 20
    policy = Parameters(
        {"anchor": anchor, "seconds": int(seconds or "") if short else seconds}, "expires_after"
    )
    if policy.required_text("anchor") != "created_at":
        raise ApiError(
            f"Invalid value: '{str(anchor)[:40]}'. Supported values are: 'created_at'.",
            param="expires_after.anchor",
            code="invalid_value",
        )
    policy.required("seconds")
    return policy.integer("seconds", low=MIN_LIFE_S, high=MAX_LIFE_S)


async def list_files(request: Request) -> Response:
    """Files, newest first unless `order=asc`, of one `purpose` if it is named."""
    store = services_of(request).store
    order = request.query_params.get("order", "desc")
    if order not in ORDERS:
        raise ApiError(
            f"Invalid value: '{order[:40]}'. Supported values are: 'asc' and 'desc'.",
            param="order",
            code="invalid_value",
        )
    purpose = request.query_params.get("purpose")
    files = [file for file in store.files() if purpose in (None, file.purpose)]
    entries, more = stored_page(request, files, store=store, default=MAX_LIMIT, newest_first=order == "desc")
    return JSONResponse(listing_with_ends([file_object(file) for file in entries], has_more=more))


async def retrieve_file(request: Request) -> Response:
    """One file."""
    return JSONResponse(file_object(_requested(request, services_of(request))))


async def delete_file(request: Request) -> Response:
    """Delete a file. A job that has not read it yet will fail."""
    found = services_of(request)
    file = _requested(request, found)
    found.store.remove_file(file)
    return JSONResponse(deleted_object("file", file.id))


async def file_content(request: Request) -> Response:
    """The bytes of a file; those of a job's result file in base64, as OpenAI serves them."""
    found = services_of(request)
    file = _requested(request, found)
    content = found.store.content_of(file)
    if file.purpose == "fine-tune-results":
        return Response(base64.b64encode(content.read_bytes()), media_type="application/octet-stream")
    return _Download(
        content,
        media_type="application/octet-stream",
        filename=file.filename,
        headers={"x-content-type-options": "nosniff"},  # whatever was uploaded, no browser shows it as a page
    )


class _Download(FileResponse):
    """A file, always whole: OpenAI takes no ranges, and what is wrong with one would not be said in its envelope."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [(key, value) for key, value in scope["headers"] if key not in {b"range", b"if-range"}]
        await super().__call__({**scope, "headers": headers}, receive, send)


def _requested(request: Request, found: Services) -> StoredFile:
    file_id = request.path_params["file_id"]
    file = found.store.find_file(file_id)
    if file is None:
        raise unknown_file(file_id)
    return file
