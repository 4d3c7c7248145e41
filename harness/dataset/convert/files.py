"""A file in another shape becomes chat JSONL: row by row, and nothing is lost without being told."""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import get_args

from harness.dataset.convert.alpaca import from_alpaca
from harness.dataset.convert.chat import from_chat
from harness.dataset.convert.chatlaw import from_chatlaw
from harness.dataset.convert.gemini import from_gemini
from harness.dataset.convert.pairs import from_pairs
from harness.dataset.convert.sharegpt import from_sharegpt
from harness.dataset.convert.turns import Converter, NotConvertible
from harness.dataset.faults import ARRAY, BYTE_ORDER_MARK
from harness.dataset.lines import Line, Progress, json_of, read_lines, reading, unpacked
from harness.dataset.rows import row_problems
from harness.dataset.shapes import Source, delimiter_of
from harness.dataset.writing import row_text, written_files
from harness.errors import StorageError, UsageError
from harness.records import Json, record
from harness.serial import shown

SOURCES: tuple[Source, ...] = get_args(Source)
"""What `--from` takes."""

_CONVERTERS: Mapping[Source, Converter] = {
    "alpaca": from_alpaca,
    "chat": from_chat,
    "chatlaw": from_chatlaw,
    "csv": from_pairs,
    "gemini": from_gemini,
    "prompt-completion": from_pairs,
    "sharegpt": from_sharegpt,
}
# Rows that could not be converted, told one by one.
KEPT_PROBLEMS = 1000
# A cell of a table may be as long as any text.
_LONGEST_CELL = 2**31 - 1


@record
class Unconverted:
    """A row that was left out, by its line, and why."""

    line: int
    what: str


@record
class ConvertedFile:
    """What became of a file: rows read and written, rows left out, and keys without a place, each with how often."""

    rows: int
    written: int
    left_out: int
    problems: tuple[Unconverted, ...]
    dropped: Mapping[str, int]


def convert_file(
    path: Path, target: Path, *, source: Source, progress: Progress | None = None
) -> ConvertedFile:
    """Write `target` as chat JSONL, whole or not at all.

    Args:
        path: JSONL; a file that is one JSON array; or, for `csv`, a table with a head line, its cells parted by commas,
            semicolons or tabs. All of them plain or gzipped.
        target: The file to write; one that is there is replaced.
        source: The shape of `path`.
        progress: Told bytes read and bytes in all.

    Raises:
        UsageError: `path` cannot be read, or is `target`.
        StorageError: `target` cannot be written.
    """
    if path.resolve() == target.resolve():
        raise UsageError(f"{target} would be written over", remedy="give OUT another name")
    tally = _Tally(convert=_CONVERTERS[source])
    lines = _table_lines(path, progress) if source == "csv" else _json_lines(path, progress)
    try:
        with written_files([target]) as files:
            for row in tally.rows_of(lines):
                files[target].write(f"{row_text(row)}\n".encode())
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}", remedy="choose another place"
        ) from error
    return ConvertedFile(
        rows=tally.rows,
        written=tally.rows - tally.left_out,
        left_out=tally.left_out,
        problems=tuple(tally.problems),
        dropped=dict(tally.dropped.most_common()),
    )


class _Tally:
    """What has become of the rows so far."""

    def __init__(self, *, convert: Converter) -> None:
        self._convert = convert
        self.rows = self.left_out = 0
        self.problems: list[Unconverted] = []
        self.dropped: Counter[str] = Counter()

    def rows_of(self, lines: Iterable[Line]) -> Iterator[Mapping[str, Json]]:
        """The chat rows of those lines that can be converted."""
        for line in lines:
            self.rows += 1
            try:
                row, lost = _converted(line, self._convert)
            except NotConvertible as reason:
                self.left_out += 1
                if self.left_out <= KEPT_PROBLEMS:
                    self.problems.append(Unconverted(line=line.number, what=str(reason)))
                continue
            self.dropped.update(lost)
            yield row


def _converted(line: Line, convert: Converter) -> tuple[Mapping[str, Json], tuple[str, ...]]:
    if line.fault:
        raise NotConvertible(line.fault.what)
    if not isinstance(line.row, Mapping):
        raise NotConvertible(f"not a JSON object: {shown(line.row)}")
    conversion = convert(line.row)
    problem = next(row_problems(conversion.row), None)
    if problem:
        raise NotConvertible(f"{problem.sentence()}, {problem.remedy}")
    return conversion.row, conversion.dropped


def _json_lines(path: Path, progress: Progress | None) -> Iterator[Line]:
    """Lines of JSON, or the items of a file that is one array, numbered from 1."""
    lines = read_lines(path, progress=progress)
    begin = list(islice(lines, 2))
    alone = len(begin) == 1 and isinstance(begin[0].row, list)
    fault = begin[0].fault if begin and begin[0].whole_file else None
    if fault and fault.what != ARRAY:
        remedy = f"give --from {fault.source}" if fault.source else fault.remedy
        raise UsageError(f"{path}: {fault.what}", remedy=remedy)
    if not fault and not alone:
        yield from begin
        yield from lines
        return
    for number, item in enumerate(_array(path), start=1):
        yield Line(number=number, size=0, row=item)


def _array(path: Path) -> Sequence[Json]:
    with reading(path) as file:
        whole, fault = json_of(unpacked(file).read().removeprefix(BYTE_ORDER_MARK).strip())
    if isinstance(whole, list) and not fault:
        return whole
    why = fault.what if fault else "not an array"
    raise UsageError(f"{path}: {why}", remedy="give JSON lines or one JSON array")


def _table_lines(path: Path, progress: Progress | None) -> Iterator[Line]:
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with reading(path) as file:
            total = os.fstat(file.fileno()).st_size
            text = io.TextIOWrapper(unpacked(file), encoding="utf-8-sig", newline="")
            head = text.readline()
            rows = chain([head], text)
            reader = csv.DictReader(rows, strict=True, delimiter=delimiter_of(head) or ",")
            for cells in reader:
                named = {str(name).strip(): text for name, text in cells.items() if name is not None}
                yield Line(number=reader.line_num, size=0, row=named)
                if progress:
                    progress(file.tell(), total)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: not a CSV table in UTF-8: {error}", remedy="save it as CSV UTF-8"
        ) from None
