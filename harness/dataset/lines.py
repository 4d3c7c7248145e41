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

from harness.dataset.faults import BYTE_ORDER_MARK, Fault, file_fault, line_fault
from harness.errors import UsageError
from harness.records import Json, record
from harness.serial import check_depth, read_json

# A line beyond this is no example: the longest context known takes about 6 MB of text.
MAX_LINE_BYTES = 16 * 2**20

_GZIP_MARK = b"\x1f\x8b"
# Lines between two calls of `progress`.
_PROGRESS_LINES = 256

# Lines that are counted together, and their size beyond which fewer are.
_CHUNK_LINES = 512
_CHUNK_BYTES = 4 * 2**20


@record
class Line:
    """A line that is not blank: its number from 1, its bytes, and its row or the fault that hides it.

    `start` is where it begins, in bytes of the unpacked file; `whole_file` marks a fault that makes every further line
    pointless. A line with a fault has a row only where Python's own reader takes what JSON does not know: NaN, Infinity.
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


class _NotFiniteError(ValueError):
    """NaN, Infinity or -Infinity stands where JSON has numbers."""


def _refuse(constant: str) -> Json:
    raise _NotFiniteError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)

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
    remaining = iter(raw_lines)
    is_beginning = False
    for raw in remaining:
        is_beginning = is_beginning or raw.number == 1
        if not raw.text:
            continue
        if is_beginning and (fault := file_fault(raw.text, (line.text for line in remaining))):
            yield Line(number=raw.number, size=len(raw.text), fault=fault, whole_file=True)
            return
        is_beginning = False
        yield parsed(raw)


def chunks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines a few hundred at a time, fewer where they are long: counting their tokens together is several times as fast."""
    chunk: list[Line] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += line.size
        if len(chunk) >= _CHUNK_LINES or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


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
        UsageError: The file is not there, cannot be read, is a pipe, or its gzip is broken.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        # Opening a pipe would wait for a writer, and a check reads some rows twice.
        raise UsageError(f"{path}: not a regular file", remedy="write the rows to a file first")
    try:
        with path.open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        remedy = "it is cut or damaged: pack it again, or fetch it again"
        raise UsageError(f"{path}: broken gzip: {error}", remedy=remedy) from error
    except OSError as error:
        remedy = "give the path of a JSONL file, plain or gzipped"
        raise UsageError(f"{path}: {error.strerror or error}", remedy=remedy) from error


def _numbered(file: BinaryIO, span: Span) -> Iterator[RawLine]:
    """The lines of a span, from a file that stands at its beginning."""
    start, number = span.start, span.first_line
    for line, size in _bounded(file):
        text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
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


def parsed(raw: RawLine) -> Line:
    """A line that is not blank, read as JSON."""
    row, fault = None, None
    if len(raw.text) > MAX_LINE_BYTES:
        what = f"longer than {MAX_LINE_BYTES // 2**20} MB"
        fault = Fault(what=what, remedy="put one example on each line")
    else:
        row, fault = json_of(raw.text)
    return Line(number=raw.number, start=raw.start, size=len(raw.text), row=row, fault=fault)


def json_of(text: bytes) -> tuple[Json, Fault | None]:
    """What a text of JSON holds, and why it holds nothing, or something that JSON does not know."""
    try:
        row: Json = _DECODER.decode(text.decode("utf-8"))
        check_depth(row)
    except _NotFiniteError as constant:
        remedy = "write null, or leave the key out: a job's reader knows no such number"
        return _lenient(text), Fault(what=f"not valid JSON: {constant}", remedy=remedy)
    except (ValueError, RecursionError) as error:
        return None, line_fault(text, error)
    return row, None


def _lenient(text: bytes) -> Json:
    """What Python's own reader takes; None where something else is wrong, too."""
    try:
        row: Json = read_json(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return row


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
        return parsed(RawLine(number=0, start=start, text=text.removeprefix(BYTE_ORDER_MARK).strip()))

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
