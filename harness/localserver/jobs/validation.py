"""Can this file be trained on? Its rows as the trainer takes them, or OpenAI's words for why not.

Problems of content are not errors of the upload or of the job's creation: the job fails with them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from harness.localserver.jobs.faults import JobError
from harness.localserver.jobs.rows import (
    LEADING_KEYS,
    SHAPE_NAMES,
    RowError,
    Shape,
    missing,
    read_row,
    shape_of,
)
from harness.localserver.state.objects import Fault, MethodType

FileRole: TypeAlias = Literal["training", "validation"]

# OpenAI's lower limit for a training file. A validation file only has to hold something.
MIN_EXAMPLES = 10
# A longer line is no training example but an accident: it is a hundred times the model's context.
MAX_LINE_BYTES = 4 * 2**20
# Examples named in a warning.
MAX_NAMED = 10

_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_UNEXPECTED = "Unexpected file format, expected either prompt/completion pairs or chat messages."


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a file is read for.

    Attributes:
        file_id: How messages name it.
        role: What it is to the job.
        method: How the job trains.
        shape: The shape its rows must have because the training file's have it; None when any will do.
    """

    file_id: str
    role: FileRole
    method: MethodType
    shape: Shape | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A file that can be trained on; `warnings` are worth telling and stop nothing."""

    shape: Shape
    examples: int
    warnings: tuple[str, ...] = ()


def prepare(source: Path, target: Path, *, wanted: Wanted) -> Prepared:
    """Check a file and write its rows, one JSON object a line, in the plain form of `read_row`.

    Blank lines and a byte order mark are dropped. The first row with a key of some shape decides the shape of all.

    Raises:
        JobError: The first thing that is wrong.
    """
    reading = _Reading(wanted)
    try:
        with source.open("rb") as rows, target.open("w", encoding="utf-8", newline="\n") as prepared:
            for number, row in _examples(rows):
                line = reading.take(row, f"Example {number}", number)
                if line is not None:
                    prepared.write(json.dumps(line) + "\n")
    except FileNotFoundError:
        raise _unreadable(wanted, "The file was deleted before the job could read it.") from None
    except RowError as error:
        raise _row_fault(wanted, error) from None
    return reading.done()


class _Reading:
    """What is known of a file so far."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._shape: Shape | None = None
        self._count = 0
        self._shapeless: str | None = None
        self._identical: list[int] = []

    def take(self, row: Mapping[str, object], place: str, number: int) -> dict[str, object] | None:
        """The row as the trainer reads it; None while no row has said what shape the file has."""
        self._count = number
        shape = self._shape or self._recognised(row, place)
        if shape is None:
            return None
        if self._shapeless:
            raise missing(self._shapeless, LEADING_KEYS[shape])
        line = read_row(row, shape, place=place)
        if shape == "preference" and line["preferred"] == line["rejected"]:
            self._identical.append(number)
        return line

    def done(self) -> Prepared:
        """The verdict on the whole file."""
        needed = MIN_EXAMPLES if self._wanted.role == "training" else 1
        if self._count and not self._shape:
            raise _unreadable(self._wanted, _UNEXPECTED)
        if self._count < needed or not self._shape:
            name = self._wanted.role.capitalize()
            message = f"{name} file has {self._count} example(s), but must have at least {needed} examples"
            raise _fault(self._wanted, "invalid_n_examples", message)
        return Prepared(shape=self._shape, examples=self._count, warnings=self._warnings())

    def _recognised(self, row: Mapping[str, object], place: str) -> Shape | None:
        shape = shape_of(row)
        if shape is None:
            if self._wanted.method == "dpo":
                raise missing(place, LEADING_KEYS["preference"])
            self._shapeless = self._shapeless or place
            return None
        self._check(shape)
        self._shape = shape
        return shape

    def _check(self, shape: Shape) -> None:
        wanted = self._wanted
        said = f"Invalid file format. Input file {wanted.file_id} is in the {SHAPE_NAMES[shape]} format, but the "
        if (shape == "preference") != (wanted.method == "dpo"):
            fitting = "dpo" if shape == "preference" else "supervised"
            raise _unreadable(
                wanted,
                f"{said}specified fine-tuning job is not using '{fitting}' as the training method "
                f"(provided method={wanted.method}). ",
            )
        if wanted.shape and shape != wanted.shape:
            raise _unreadable(wanted, f"{said}training file is in the {SHAPE_NAMES[wanted.shape]} format.")

    def _warnings(self) -> tuple[str, ...]:
        if not self._identical:
            return ()
        named = ", ".join(str(number) for number in self._identical[:MAX_NAMED])
        more = ", ..." if len(self._identical) > MAX_NAMED else ""
        warning = (
            f"{len(self._identical)} example(s) of the {self._wanted.role} file have the same preferred and "
            f"non-preferred output, which teaches nothing: {named}{more}"
        )
        return (warning,)


def _examples(rows: BinaryIO) -> Iterator[tuple[int, Mapping[str, object]]]:
    """The rows as objects, numbered from 1; blank lines do not count."""
    number = 0
    place = 0
    while line := rows.readline(MAX_LINE_BYTES + 1):
        place += 1
        text = (line.removeprefix(_BOM) if place == 1 else line).strip()
        if not text:
            continue
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise RowError(f"Example {number} is longer than {MAX_LINE_BYTES} bytes.")
        yield number, _parsed(text, f"Example {number}", line=place)


def _parsed(text: bytes, example: str, *, line: int) -> Mapping[str, object]:
    try:
        row = json.loads(text.decode())
        if _SURROGATE.search(text):
            json.dumps(row, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except UnicodeError as error:
        raise RowError(f"{example} cannot be parsed. Error: invalid Unicode: {error} (line {line})") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise RowError(
            f"{example} cannot be parsed. Error: line contains invalid json: {reason} (line {line})"
        ) from None
    if not isinstance(row, dict):
        raise RowError(f"{example} is not a JSON object.")
    return row


def _row_fault(wanted: Wanted, error: RowError) -> JobError:
    if error.extra:
        message = f"The job failed due to a file format error in the {wanted.role} file. Invalid file format. {error}"
        return _fault(wanted, "invalid_file_format", message)
    return _unreadable(wanted, f"Invalid file format. {error}")


def _unreadable(wanted: Wanted, what: str) -> JobError:
    message = f"The job failed due to an invalid {wanted.role} file. {what}"
    return _fault(wanted, f"invalid_{wanted.role}_file", message)


def _fault(wanted: Wanted, code: str, message: str) -> JobError:
    return JobError(Fault(code=code, message=message, param=f"{wanted.role}_file"))
