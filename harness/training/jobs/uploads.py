"""Files for a job, uploaded once: a provider that has the same bytes is not sent them again."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from openai import APIConnectionError, InternalServerError, NotFoundError, OpenAI, OpenAIError, RateLimitError

from harness.errors import EndpointError
from harness.records import Json
from harness.redaction import redact
from harness.serial import file_digest
from harness.training.jobs.connection import PAGE, listed, plain
from harness.training.jobs.orders import Order
from harness.training.ledger import UploadRecord, note_upload, now, recorded_upload, unreadable

# A file is usable at once at OpenAI; others check it first, and some never say that they are done.
FILE_LIMIT_S = 120.0
# OpenAI's word, and Azure's, for a file that has not been looked at.
WAITING = frozenset({"uploaded", "pending", "running"})
# How often a file is sent that the provider did not say it has.
ATTEMPTS = 3
# How far the provider's clock may be behind ours, in seconds.
CLOCK_SKEW_S = 300.0
PURPOSE: Literal["fine-tune"] = "fine-tune"


def uploaded_once(client: OpenAI, file: Path, order: Order) -> str:
    """The provider's id of a file it is ready to train on.

    Raises:
        UsageError: The file cannot be read.
        EndpointError: The provider refused it.
    """
    try:
        made_from, size = file_digest(file), file.stat().st_size
    except OSError as error:
        raise unreadable(error) from error
    label = order.endpoint.label
    known = recorded_upload(order.ledger, made_from, endpoint=label) if order.ledger else None
    if known is not None and _is_kept(client, known):
        order.say(f"{file.name} is at {label} already, as {known.file}")
        return known.file
    order.say(f"uploading {file.name} ({_size(size)}) to {label}")
    state = _sent(client, file, size=size, order=order)
    uploaded = _identified(state)
    if order.ledger is not None:
        entry = UploadRecord(
            endpoint=label, digest=made_from, file=uploaded, name=file.name, bytes=size, at=now()
        )
        note_upload(order.ledger, entry)
    _check_processed(client, state, file, poll_s=order.poll_s)
    return uploaded


def _is_kept(client: OpenAI, known: UploadRecord) -> bool:
    """Whether the provider still has the file, whole and fit to be trained on."""
    try:
        state = plain(client.files.retrieve(known.file))
    except NotFoundError:
        return False
    size = state.get("bytes")
    is_whole = not isinstance(size, int) or size in {0, known.bytes}
    return is_whole and state.get("status") not in {"error", "deleted"}


def _sent(client: OpenAI, file: Path, *, size: int, order: Order) -> Mapping[str, Json]:
    """Upload under the file's own name; where the answer is lost, the file is looked for before it is sent again."""
    once = client.with_options(max_retries=0)
    started = time.time()
    last = ATTEMPTS if order.endpoint.max_retries else 1
    for attempt in range(1, last + 1):
        try:
            return plain(once.files.create(file=file, purpose=PURPOSE))
        except OSError as error:
            raise unreadable(error) from error
        except (APIConnectionError, InternalServerError) as error:
            found = _arrived(client, file, size=size, since=started)
            if found is not None:
                return found
            if attempt == last:
                raise
            order.say(f"uploading {file.name} again: {type(error).__name__}")
        except RateLimitError:
            if attempt == last:
                raise
        time.sleep(order.poll_s * attempt)
    raise AssertionError("the last attempt returns or raises")


def _arrived(client: OpenAI, file: Path, *, size: int, since: float) -> Mapping[str, Json] | None:
    """The file that a lost answer was about: of this name and size, and new."""
    try:
        for data in listed(
            lambda: client.files.list(purpose=PURPOSE, order="desc", limit=PAGE), at_most=PAGE
        ):
            made = data.get("created_at")
            is_new = isinstance(made, int | float) and made >= since - CLOCK_SKEW_S
            if is_new and data.get("filename") == file.name and data.get("bytes") == size:
                return data
    except (OpenAIError, EndpointError):
        pass  # a provider that is still in trouble, or has no such list
    return None


def _identified(data: Mapping[str, Json]) -> str:
    identifier = data.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise EndpointError("the uploaded file has no id", remedy="ask the provider")
    return identifier


def _check_processed(client: OpenAI, state: Mapping[str, Json], file: Path, *, poll_s: float) -> None:
    """Wait until the provider has looked at the file."""
    give_up = time.monotonic() + FILE_LIMIT_S
    while state.get("status") in WAITING and time.monotonic() < give_up:
        time.sleep(poll_s)
        state = plain(client.files.retrieve(_identified(state)))
    if state.get("status") == "error":
        words = redact(str(state.get("status_details") or "no reason is given"))
        raise EndpointError(f"{file} was refused: {words}", remedy="mend the file, then run again")


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size:,} bytes"
