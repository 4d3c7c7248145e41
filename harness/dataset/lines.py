"""What does each line of a training file hold? One at a time, so that a file of any size needs no more memory than its longest line.

UTF-8 with or without a byte order mark, any line ends, blank lines, no final newline, gzip.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
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

    `whole_file` marks a fault that makes every further line pointless.
    """

    number: int
    size: int
    row: Json = None
    fault: Fault | None = None
    whole_file: bool = False


Progress = Callable[[int, int], None]
"""Told the bytes read so far and the bytes in all, both of the file as it lies on disk."""


def read_lines(path: Path, *, progress: Progress | None = None) -> Iterator[Line]:
    """The lines of a file, each parsed; blank ones are left out but counted.

    Raises:
        UsageError: The file is not there, cannot be read, or its gzip is broken.
    """
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            opened = _unpacked(file)
            for number, line in enumerate(_bounded(opened), start=1):
                if number % _PROGRESS_LINES == 0 and progress:
                    progress(file.tell(), total)
                if number == 1 and (fault := _whole_file_fault(line)):
                    yield Line(number=1, size=len(line), fault=fault, whole_file=True)
                    return
                if text := (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).strip():
                    yield _parsed(number, text)
            if progress:
                progress(total, total)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = "give the path of a JSONL file, plain or gzipped"
        raise UsageError(f"{path}: {reason}", remedy=remedy) from error


def _unpacked(file: BinaryIO) -> BinaryIO:
    mark = file.read(len(_GZIP_MARK))
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if mark == _GZIP_MARK else file  # type: ignore[return-value]


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    """The lines; of one that is too long its beginning, and the rest is skipped without being kept."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        end = line
        while len(line) > MAX_LINE_BYTES and end and not end.endswith(b"\n"):
            end = file.readline(MAX_LINE_BYTES)
        yield line


def _whole_file_fault(first_line: bytes) -> Fault | None:
    """A file that is wrong as a whole gets one fault, not one a line."""
    if first_line.startswith(_UTF_16_MARKS):
        return Fault(what="the file is UTF-16", remedy="save it as UTF-8")
    text = first_line.removeprefix(_BYTE_ORDER_MARK).strip()
    if text.startswith(b"[") and _parsed(1, text).fault:  # an array over several lines, not a row that is one
        return Fault(
            what="the file is one JSON array", remedy="write one JSON object a line, without the brackets"
        )
    return None


def _parsed(number: int, line: bytes) -> Line:
    size = len(line)
    if size > MAX_LINE_BYTES:
        what = f"longer than {MAX_LINE_BYTES // 2**20} MB"
        return Line(number=number, size=size, fault=Fault(what=what, remedy="put one example on each line"))
    try:
        return Line(number=number, size=size, row=json.loads(line.decode("utf-8")))
    except UnicodeDecodeError as error:
        what, remedy = f"not UTF-8 at byte {error.start + 1}", "save the file as UTF-8"
    except json.JSONDecodeError as error:
        what = f"not valid JSON: {error.msg} at column {error.colno}"
        remedy = "each line must be one whole JSON object"
    except (RecursionError, ValueError) as error:
        what, remedy = f"not readable JSON: {error}", "make the line a plain chat example"
    return Line(number=number, size=size, fault=Fault(what=what, remedy=remedy))
