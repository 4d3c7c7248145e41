"""A file in another shape becomes chat JSONL: row by row, and nothing is lost without being told."""

import csv
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from harness.dataset.convert.alpaca import from_alpaca
from harness.dataset.convert.chatlaw import from_chatlaw
from harness.dataset.convert.gemini import from_gemini
from harness.dataset.convert.pairs import from_pairs
from harness.dataset.convert.sharegpt import from_sharegpt
from harness.dataset.convert.turns import Converter, NotConvertible
from harness.dataset.lines import Line, Progress, read_lines
from harness.dataset.rows import row_problems
from harness.dataset.shapes import Source
from harness.errors import StorageError, UsageError
from harness.records import Json, record
from harness.serial import shown

FileSource = Literal[Source, "csv"]
"""What `--from` takes."""
SOURCES: tuple[FileSource, ...] = (*get_args(Source), "csv")

_CONVERTERS: Mapping[FileSource, Converter] = {
    "alpaca": from_alpaca,
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
    path: Path, target: Path, *, source: FileSource, progress: Progress | None = None
) -> ConvertedFile:
    """Write `target` as chat JSONL, whole or not at all.

    Args:
        path: JSONL, plain or gzipped; a file that is one JSON array; or, for `csv`, a table with a head line.
        target: The file to write; one that is there is replaced.
        source: The shape of `path`.
        progress: Told bytes read and bytes in all.

    Raises:
        UsageError: `path` cannot be read.
        StorageError: `target` cannot be written.
    """
    convert = _CONVERTERS[source]
    dropped: Counter[str] = Counter()
    problems: list[Unconverted] = []
    rows = left_out = 0
    lines = _table_lines(path) if source == "csv" else _json_lines(path, progress)
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, encoding="utf-8", newline="\n", delete=False
        ) as part:
            try:
                for line in lines:
                    rows += 1
                    try:
                        row, lost = _converted(line, convert)
                    except NotConvertible as reason:
                        left_out += 1
                        if left_out <= KEPT_PROBLEMS:
                            problems.append(Unconverted(line=line.number, what=str(reason)))
                        continue
                    dropped.update(lost)
                    part.write(json.dumps(row, ensure_ascii=False) + "\n")
                part.close()
                os.replace(part.name, target)  # noqa: PTH105 - the name of a temporary file
            finally:
                Path(part.name).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}", remedy="choose another place"
        ) from error
    return ConvertedFile(
        rows=rows,
        written=rows - left_out,
        left_out=left_out,
        problems=tuple(problems),
        dropped=dict(dropped.most_common()),
    )


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
    if not alone and not (begin and begin[0].whole_file):
        yield from begin
        yield from lines
        return
    try:
        items = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON: {error}", remedy="give JSON lines or one JSON array") from None
    for number, item in enumerate(items if isinstance(items, list) else [items], start=1):
        yield Line(number=number, size=0, row=item)


def _table_lines(path: Path) -> Iterator[Line]:
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for cells in reader:
                named = {str(name).strip(): text for name, text in cells.items() if name is not None}
                yield Line(number=reader.line_num, size=0, row=named)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", remedy="give the path of a CSV file") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: not a CSV table in UTF-8: {error}", remedy="save it as CSV UTF-8"
        ) from None
