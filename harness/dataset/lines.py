"""What does each line of a training file hold? One at a time, so that a file of any size needs no more memory than its longest line.

UTF-8 with or without a byte order mark, any line ends, blank lines, no final newline, gzip.
"""

import gzip
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from harness.errors import UsageError
from harness.records import Json, record

# A line beyond this is no example: the longest context known takes about 6 MB of text.
MAX_LINE_BYTES = 64 * 2**20

_GZIP_MARK = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Lines between two calls of `progress`.
_PROGRESS_LINES = 256


@record
class Fault:
    """Why a line, or the file as a whole, holds no row: what, and the remedy."""

    what: str
    remedy: str


@record
class Line:
    """A line that is not blank: its number from 1, its bytes, and its row or the fault that hides it.

    `start` is where it begins, in bytes of the unpacked file; `whole_file` marks a fault that makes every further line
    pointless.
    """

    number: int
    size: int
    start: int = 0
    row: Json = None
    fault: Fault | None = None
    whole_file: bool = False


@record
class Span:
    """Whole lines of a plain file: its bytes from `start` up to `stop` (None: its end), the first of them line `first_line`."""

    start: int
    stop: int | None
    first_line: int


_WHOLE = Span(start=0, stop=None, first_line=1)


Progress = Callable[[int, int], None]
"""Told the bytes read so far and the bytes in all, both of the file as it lies on disk."""


def read_lines(path: Path, *, span: Span | None = None, progress: Progress | None = None) -> Iterator[Line]:
    """The lines of a file, or of a span of it, each parsed; blank ones are left out but counted.

    Raises:
        UsageError: The file is not there, cannot be read, or its gzip is broken.
    """
    return _lines(raw_lines(path, span=span, progress=progress))


def lines_of(data: bytes, span: Span) -> Iterator[Line]:
    """The lines of a span, as `read_lines` reads them, from its bytes."""
    return _lines(_numbered(BytesIO(data), span))


def _lines(raw_lines: Iterable["RawLine"]) -> Iterator[Line]:
    for raw in raw_lines:
        if raw.number == 1 and (fault := _whole_file_fault(raw.text)):
            yield Line(number=1, size=len(raw.text), fault=fault, whole_file=True)
            return
        if raw.text:
            yield parsed(raw)


def is_wrong_as_a_whole(path: Path) -> bool:
    """Whether the first line of a plain file says that no further one need be read.

    Raises:
        UsageError: The file is not there or cannot be read.
    """
    first = next(read_lines(path, span=_WHOLE), None)
    return first is not None and first.whole_file


@record
class RawLine:
    """A line as bytes, without its end, white space around it and a byte order mark; `start` as in `Line`."""

    number: int
    start: int
    text: bytes


def raw_lines(path: Path, *, span: Span | None = None, progress: Progress | None = None) -> Iterator[RawLine]:
    """Every line, blank ones too.

    Raises:
        UsageError: The file is not there, cannot be read, or its gzip is broken.
    """
    with reading(path) as file:
        total = os.fstat(file.fileno()).st_size
        if span:
            file.seek(span.start)
        opened, part = (file, span) if span else (unpacked(file), _WHOLE)
        for read, raw in enumerate(_numbered(opened, part), start=1):
            if read % _PROGRESS_LINES == 0 and progress:
                progress(file.tell(), total)
            yield raw
        if progress:
            progress(total, total)


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A file's bytes as they lie on disk; whatever goes wrong with them is told as one kind of error.

    Raises:
        UsageError: The file is not there, cannot be read, or its gzip is broken.
    """
    try:
        with path.open("rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = "give the path of a JSONL file, plain or gzipped"
        raise UsageError(f"{path}: {reason}", remedy=remedy) from error


def _numbered(file: BinaryIO, span: Span) -> Iterator[RawLine]:
    """The lines of a span, from a file that stands at its beginning."""
    start, number = span.start, span.first_line
    for line, size in _bounded(file):
        text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        yield RawLine(number=number, start=start, text=text.strip())
        start += size
        number += 1
        if start == span.stop:
            return


def unpacked(file: BinaryIO) -> BinaryIO:
    """The file itself, or what its gzip holds."""
    mark = file.read(len(_GZIP_MARK))
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if mark == _GZIP_MARK else file  # type: ignore[return-value]


def _bounded(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The lines and their sizes; of one that is too long its beginning, and the rest is skipped without being kept."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        size, end = len(line), line
        while len(line) > MAX_LINE_BYTES and end and not end.endswith(b"\n"):
            end = file.readline(MAX_LINE_BYTES)
            size += len(end)
        yield line, size


def _whole_file_fault(first_line: bytes) -> Fault | None:
    """A file that is wrong as a whole gets one fault, not one a line."""
    if first_line.startswith(_UTF_16_MARKS):
        return Fault(what="the file is UTF-16", remedy="save it as UTF-8")
    # An array over several lines, and not a row that happens to be one.
    if first_line.startswith(b"[") and parsed(RawLine(number=1, start=0, text=first_line)).fault:
        return Fault(
            what="the file is one JSON array", remedy="write one JSON object a line, without the brackets"
        )
    return None


def parsed(raw: RawLine) -> Line:
    """A line that is not blank, read as JSON."""
    fault, row = None, None
    if len(raw.text) > MAX_LINE_BYTES:
        what = f"longer than {MAX_LINE_BYTES // 2**20} MB"
        fault = Fault(what=what, remedy="put one example on each line")
    else:
        try:
            row = json.loads(raw.text.decode("utf-8"))
        except UnicodeDecodeError as error:
            fault = Fault(what=f"not UTF-8 at byte {error.start + 1}", remedy="save the file as UTF-8")
        except json.JSONDecodeError as error:
            what = f"not valid JSON: {error.msg} at column {error.colno}"
            fault = Fault(what=what, remedy="each line must be one whole JSON object")
        except (RecursionError, ValueError) as error:
            fault = Fault(what=f"not readable JSON: {error}", remedy="make the line a plain chat example")
    return Line(number=raw.number, start=raw.start, size=len(raw.text), row=row, fault=fault)


class Rereader:
    """Reads single lines of a file again, by where they start. A gzipped file is unpacked to a temporary one first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def at(self, start: int) -> Line:
        """The line that starts there; its number is not known."""
        if self._file is None:
            self._file = _seekable(self._path)
        self._file.seek(start)
        text = self._file.readline(MAX_LINE_BYTES + 1)
        return parsed(RawLine(number=0, start=start, text=text.removeprefix(_BYTE_ORDER_MARK).strip()))

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()
            self._file = None


def _seekable(path: Path) -> BinaryIO:
    file = path.open("rb")
    opened = unpacked(file)
    if opened is file:
        return file
    with file:
        copy: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever asked for it
        shutil.copyfileobj(opened, copy)
        return copy
