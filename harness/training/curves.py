"""A job's loss and token accuracy by step, from any of the result files that providers write."""

import base64
import binascii
import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.errors import FileError, Mistake, UsageError
from harness.records import Json
from harness.serial import shown, write_atomic

COLUMNS = (
    "train_loss",
    "train_accuracy",
    "valid_loss",
    "valid_accuracy",
    "full_valid_loss",
    "full_valid_accuracy",
)
"""Accuracies are of tokens, in 0..1. `valid_*` is of one small batch; `full_valid_*` of the whole file."""

# Column and metric names by provider and year: OpenAI's first API (`training_*`), OpenAI since
# August 2023, Azure, and the metrics events of both.
_ALIASES = {
    "training_loss": "train_loss",
    "train_mean_token_accuracy": "train_accuracy",
    "training_token_accuracy": "train_accuracy",
    "validation_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_accuracy",
    "validation_mean_token_accuracy": "valid_accuracy",
    "validation_token_accuracy": "valid_accuracy",
    "full_valid_mean_token_accuracy": "full_valid_accuracy",
}
_NAMES = {name: name for name in COLUMNS} | _ALIASES

# What OpenAI's first API wrote for "not measured at this step".
_NOT_MEASURED = -1.0
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Above this a float cannot tell one step from the next.
_LAST_STEP = 2**53


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingCurve:
    """One row a step, in order: an int column `step` and the float COLUMNS, NaN where not measured."""

    steps: pd.DataFrame


def read_curve(path_or_bytes: Path | str | bytes) -> TrainingCurve:
    """Read a result file: OpenAI's (plain or base64, old or new), Azure's, or our own `curve.csv`.

    Raises:
        FileError: Every line that cannot be read.
        UsageError: The file is not there or cannot be opened.
    """
    if isinstance(path_or_bytes, bytes):
        return _read(path_or_bytes, "result file")
    try:
        data = Path(path_or_bytes).read_bytes()
    except OSError as error:
        remedy = "give the path of a result file (CSV)"
        raise UsageError(f"{path_or_bytes}: {error.strerror or error}", remedy=remedy) from error
    return _read(data, str(path_or_bytes))


def curve_from_events(
    metrics: Iterable[Mapping[str, Json]], *, onto: TrainingCurve | None = None
) -> TrainingCurve:
    """The curve that metrics events tell, merged onto the one of the result file.

    OpenAI's result file has no `full_valid_*`, its events have; events are not rounded, so they win
    where both measure the same.

    Args:
        metrics: The `data` of each metrics event, in any order.
        onto: What the result file says, if there is one.
    """
    rows: dict[int, dict[str, float]] = {}
    for data in metrics:
        if (step := _number(data.get("step"))) is None or not _is_step(step):
            continue
        row = rows.setdefault(int(step), {})
        for name, value in data.items():
            if name in _NAMES and (number := _number(value)) is not None:
                row[_NAMES[name]] = number
    told = _curve(rows)
    if onto is None:
        return told
    merged = told.steps.set_index("step").combine_first(onto.steps.set_index("step"))
    return TrainingCurve(steps=merged.reset_index()[["step", *COLUMNS]])


def write_curve(curve: TrainingCurve, path: Path) -> None:
    """Write the curve as CSV with the names of COLUMNS, empty where not measured.

    Raises:
        OSError: The folder is read-only or the disk is full.
    """
    write_atomic(path, curve.steps.to_csv(index=False, lineterminator="\n"))


# --- reading -------------------------------------------------------------------------------------------


def _read(data: bytes, file: str) -> TrainingCurve:
    rows = _rows(_decoded(data, file), file)
    header = [name.strip() for name in next(rows, [])]
    known = [name for name in header if name in _NAMES]
    if "step" not in header or not known:
        what = f"the columns are {shown(','.join(header), limit=120)}"
        raise FileError(file, [Mistake(1, what, f"step and at least one of {', '.join(COLUMNS)} are needed")])
    mistakes: list[Mistake] = []
    found: dict[int, dict[str, float]] = {}
    for line, cells in enumerate(rows, start=2):
        _read_row(dict(zip(header, cells, strict=False)), line, found, mistakes)
    if mistakes:
        raise FileError(file, mistakes)
    return _curve(found)


def _rows(text: str, file: str) -> Iterator[list[str]]:
    """The cells of every line; no provider puts a line end into a cell, so a row is a line."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        yield from reader
    except csv.Error as error:
        raise FileError(file, [Mistake(reader.line_num, f"not CSV: {error}", "is the file whole?")]) from None


def _decoded(data: bytes, file: str) -> str:
    """The CSV's text: OpenAI serves result files base64-encoded, the others as they are."""
    data = data.strip().removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not data.startswith((b"step", b'"step')):
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True).strip()
        except (binascii.Error, ValueError):
            what, remedy = "neither a result file nor base64 of one", "its first line must begin with `step`"
            raise FileError(file, [Mistake(1, what, remedy)]) from None
        data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FileError(file, [Mistake(line, "not UTF-8", "save the file as UTF-8")]) from None


def _read_row(
    row: Mapping[str, str], line: int, found: dict[int, dict[str, float]], mistakes: list[Mistake]
) -> None:
    if not any(cell.strip() for cell in row.values()):
        return
    step = _cell(row.get("step", ""))
    if step is None or not _is_step(step):
        mistakes.append(Mistake(line, f"step is {shown(row.get('step', ''))}", "it must be a whole number"))
        return
    values = found.setdefault(int(step), {})
    for name, cell in row.items():
        if name not in _NAMES:
            continue
        value = _cell(cell)
        if value is None:
            mistakes.append(Mistake(line, f"{name} is {shown(cell)}", "it must be a number or empty"))
        elif value != _NOT_MEASURED:
            values[_NAMES[name]] = value


def _cell(cell: str) -> float | None:
    """A cell's number, NaN for an empty one, None for anything else."""
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        return None


def _is_step(number: float) -> bool:
    return number.is_integer() and 0 <= number <= _LAST_STEP


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _curve(rows: Mapping[int, Mapping[str, float]]) -> TrainingCurve:
    ordered = sorted(rows)
    steps = pd.DataFrame({"step": pd.Series(ordered, dtype="int64")})
    for name in COLUMNS:
        steps[name] = pd.Series([rows[step].get(name, math.nan) for step in ordered], dtype="float64")
    return TrainingCurve(steps=steps)
