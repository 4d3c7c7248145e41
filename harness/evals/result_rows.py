"""The rows of `results.jsonl`: read whatever became of the file, and mended before any are added.

A row is a line. Lines are only ever added, each in one write, so a killed process leaves at most a last line without its end, and a
power cut a file that is shorter than it was, or ends in zeros.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from harness.records import Result
from harness.serial import ParseError, from_json, to_json, write_atomic

log = logging.getLogger(__name__)


def read_rows(file: Path, *, tell: Callable[[str], None] = log.warning) -> Iterator[Result]:
    """The rows that can be read, in the order of writing; of one cell perhaps several.

    Args:
        file: It may be missing, and somebody may be writing it.
        tell: Told in one sentence, at the end, how many lines could not be read.
    """
    damaged = 0
    for line in _lines(file):
        try:
            yield from_json(Result, line)
        except ParseError:
            damaged += 1
    if damaged:
        tell(
            f"{file}: {damaged} damaged {'row is' if damaged == 1 else 'rows are'} passed over; the command that made the "
            "run asks for what is missing"
        )


def kept_rows(file: Path, *, tell: Callable[[str], None] = log.warning) -> list[Result]:
    """The rows that can be read, after which the file holds these and nothing else: more can be added.

    A file with damage in it is set aside under another name; a last line without its end is cut off.

    Args:
        file: It may be missing.
        tell: Told in one sentence what was damaged and what became of it.

    Raises:
        OSError: The file cannot be read or written.
    """
    rows, whole_bytes, damaged = [], 0, 0
    for line in _lines(file):
        whole_bytes += len(line)
        try:
            rows.append(from_json(Result, line))
        except ParseError:
            damaged += 1
    if damaged:
        aside = _free_name(file)
        shutil.copyfile(file, aside)
        write_atomic(file, "".join(to_json(row) + "\n" for row in rows))
        tell(
            f"{file} was damaged: it is now {aside.name}, and its {len(rows)} rows that could be read are kept; what it lost "
            "is asked for again, or comes from the answer cache"
        )
    elif _cut_off(file, size=whole_bytes):
        tell(f"{file}: the last row was not whole, and is written again")
    return rows


def _lines(file: Path) -> Iterator[bytes]:
    """The lines that have an end."""
    if file.exists():
        with file.open("rb") as handle:
            yield from (line for line in handle if line.endswith(b"\n"))


def _cut_off(file: Path, *, size: int) -> bool:
    """Take away what stands behind the last whole line; whether there was something."""
    if not file.exists() or file.stat().st_size <= size:
        return False
    with file.open("rb+") as handle:
        handle.truncate(size)
    return True


def _free_name(file: Path) -> Path:
    names = (file.with_name(f"{file.name}.damaged-{number}") for number in count(1))
    return next(name for name in names if not name.exists())
