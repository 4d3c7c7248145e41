"""Reading a multipart upload: its file straight to disk, its fields in any order, within limits."""

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from harness.localserver.api.parameters import declared_length, too_long, unsupported_content_type
from harness.localserver.api.wire import ApiError

if TYPE_CHECKING:  # a type of theirs that exists for checkers only
    from python_multipart.multipart import MultipartCallbacks

# OpenAI's limit for one file.
MAX_UPLOAD_BYTES = 512 * 2**20
# Everything in a form that is not the file: names, purposes, headers.
MAX_FIELD_BYTES = 64 * 2**10
MAX_FIELDS = 20
# What OpenAI's client sends for bytes without a name.
DEFAULT_FILENAME = "upload"
# The longest name any of today's file systems can give a file.
MAX_FILENAME_CHARACTERS = 255

_FORM = "multipart/form-data"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form whose file is on disk: the file's name, None when the form had no file, and the other fields."""

    filename: str | None
    fields: dict[str, str]


async def read_form(request: Request, part: Path, *, max_bytes: int) -> Form:
    """Write the form's file to `part` as it arrives.

    Raises:
        ApiError: Not a multipart form, cut short, or larger than `max_bytes` (413).
        OSError: The disk is full.
    """
    boundary = _boundary(request)
    if declared_length(request) > max_bytes + MAX_FIELD_BYTES:
        raise _too_large(max_bytes)  # known before a byte of it is on the disk
    with part.open("wb") as file:
        reader = _FormReader(file, max_bytes)
        try:
            parser = MultipartParser(boundary, reader.callbacks())
            async for chunk in request.stream():
                parser.write(chunk)
        except FormParserError as error:
            raise _malformed(str(error)) from None
        if not reader.complete:
            raise _malformed("the last boundary is missing")
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())
    return Form(filename=reader.filename, fields=reader.fields)


def _boundary(request: Request) -> bytes:
    header = request.headers.get("content-type", "")
    kind, options = parse_options_header(header)
    if kind != _FORM.encode():
        raise unsupported_content_type(header, accepted=_FORM)
    boundary = options.get(b"boundary")
    if not boundary:
        raise _malformed("the content type names no boundary")
    return boundary


def _malformed(reason: str) -> ApiError:
    return ApiError(f"Could not parse multipart form: {reason[:200]}")


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(
        f"The file is larger than the limit of {max_bytes} bytes.",
        status=413,
        param="file",
        code="file_too_large",
    )


def _filename(given: bytes) -> str:
    """A file's name as it is shown: no folders before it (RFC 7578, 4.2), nothing that steers a terminal.

    Raises:
        ApiError: Longer than a file's name can be.
    """
    last = re.split(r"[/\\]", given.decode("utf-8", "replace"))[-1]
    name = _CONTROL.sub("", last).strip()
    if len(name) > MAX_FILENAME_CHARACTERS:
        raise too_long("filename", len(name), longest=MAX_FILENAME_CHARACTERS)
    return DEFAULT_FILENAME if name in {"", ".", ".."} else name


class _FormReader:
    """What has arrived of a form. The parser calls it; it writes the file and keeps the small fields."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self.filename: str | None = None
        self.fields: dict[str, str] = {}
        self.complete = False
        self._file = file
        self._max_bytes = max_bytes
        self._written = 0
        self._kept = 0
        self._in_file = False
        self._name = ""
        self._value = bytearray()
        self._header = bytearray()
        self._header_value = bytearray()
        self._disposition = b""

    def callbacks(self) -> "MultipartCallbacks":
        """What the parser is to call."""
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_text,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._disposition = b""
        self._in_file = False
        self._value.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._keep(self._header, data[start:end])

    def _header_text(self, data: bytes, start: int, end: int) -> None:
        self._keep(self._header_value, data[start:end])

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _malformed("a part has no name")
        self._name = options[b"name"].decode("utf-8", "replace")
        self._in_file = self._name == "file"
        if self._in_file:
            if self.filename is not None:
                raise _malformed("more than one file")
            self.filename = _filename(options.get(b"filename", b""))
        elif self._name in self.fields:
            raise _malformed(f"more than one field '{self._name[:80]}'")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._in_file:
            self._keep(self._value, data[start:end])
            return
        self._written += end - start
        if self._written > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._file.write(data[start:end])

    def _part_end(self) -> None:
        if not self._in_file:
            self.fields[self._name] = self._value.decode("utf-8", "replace")
            if len(self.fields) > MAX_FIELDS:
                raise _malformed(f"more than {MAX_FIELDS} fields")

    def _end(self) -> None:
        self.complete = True

    def _keep(self, buffer: bytearray, data: bytes) -> None:
        self._kept += len(data)
        if self._kept > MAX_FIELD_BYTES:
            raise _malformed(f"more than {MAX_FIELD_BYTES} bytes beside the file")
        buffer += data
