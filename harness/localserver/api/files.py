"""`/v1/files`: upload, list, retrieve, content, delete."""

import base64

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.pages import MAX_LIMIT, stored_page
from harness.localserver.api.parameters import unsupported
from harness.localserver.api.services import Services, services_of
from harness.localserver.api.uploads import read_form
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
            if field.startswith("expires_after"):
                raise unsupported(field, remedy="Files stay until they are deleted.")
            if field != "purpose":
                raise ApiError(f"Unknown parameter: '{field}'.", param=field, code="unknown_parameter")
        purpose = form.fields.get("purpose")
        if purpose is None:
            raise _missing("purpose")
        if form.filename is None:
            raise _missing("file")
        if purpose not in PURPOSES:
            raise ApiError(f"'{purpose[:80]}' is not one of {list(PURPOSES)} - 'purpose'", param="purpose")
        file = found.store.keep_upload(part, filename=form.filename, purpose=purpose)
    finally:
        part.unlink(missing_ok=True)
    return JSONResponse(file_object(file))


def _missing(name: str) -> ApiError:
    return ApiError(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


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
    return FileResponse(content, media_type="application/octet-stream")


def _requested(request: Request, found: Services) -> StoredFile:
    file_id = request.path_params["file_id"]
    file = found.store.find_file(file_id)
    if file is None:
        raise unknown_file(file_id)
    return file
