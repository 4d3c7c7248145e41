"""Cases kept in a file of their own: JSON lines, or a table with a head line."""

import csv
import io
from dataclasses import replace
from pathlib import Path

from harness.errors import Mistake
from harness.serial import (
    ParseError,
    Problem,
    has_unfit_letter,
    read_json_lines,
    remedy_of_path,
    shown,
)

COLUMNS = ("id", "prompt", "expected", "tags", "required")
"""A table's columns that belong to the case itself; all others become its metadata."""
# A prompt may be as long as any text; Python's reader stops at 128 kB by itself.
_LONGEST_CELL = 2**31 - 1

Rows = list[tuple[int, object]]


def read_case_rows(folder: Path, name: str) -> tuple[Rows, list[Mistake]]:
    """The rows of a suite's cases file, each with its line, and what of the file cannot be read.

    Raises:
        ParseError: There is no such file, or it is no text.
    """
    path = folder / name
    text = _text(path, name)
    rows, mistakes = _csv_rows(text) if path.suffix.lower() == ".csv" else read_json_lines(text)
    return rows, [replace(mistake, file=str(path)) for mistake in mistakes]


def _text(path: Path, name: str) -> str:
    if has_unfit_letter(name):
        remedy = "write / in paths, and quote them with '"
        raise ParseError([Problem((), f"{shown(name)} is no name of a file", remedy)])
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe waits for a writer for ever
            raise ParseError([Problem((), f"{name}: not a regular file", "write the cases to a file")])
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        remedy = "save it as UTF-8; in a spreadsheet, as CSV UTF-8"
        raise ParseError([Problem((), f"{name}: not UTF-8", remedy)]) from None
    except OSError as error:
        remedy = remedy_of_path(name, "give a path relative to the suite file")
        raise ParseError([Problem((), f"{name}: {error.strerror or error}", remedy)]) from None


def _csv_rows(text: str) -> tuple[Rows, list[Mistake]]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: Rows = []
    try:
        for row in reader:
            extra = {key: value for key, value in row.items() if key is not None and key not in COLUMNS}
            case: dict[str, object] = {key: row[key] for key in ("id", "prompt", "expected") if row.get(key)}
            case["tags"] = (row.get("tags") or "").split()
            case["required"] = (row.get("required") or "false").strip().lower() in {"true", "1", "yes"}
            rows.append((reader.line_num, {**case, "metadata": extra}))
    except csv.Error as error:
        mistake = Mistake(
            max(1, reader.line_num), f"not valid CSV: {error}", "close every quote, double those inside"
        )
        return rows, [mistake]
    return rows, []
