"""A job's loss and token accuracy by step, from any of the files that providers and trainers write."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from harness.errors import FileError, Mistake, UsageError
from harness.records import Json
from harness.serial import shown, write_atomic
from harness.training.measures import (
    ACCURACIES,
    COLUMNS,
    columns_of,
    is_log_count,
    is_step,
    is_summary,
    step_name,
    unwrapped,
)
from harness.training.metric_rows import MOST_COLUMNS, MetricRow, MetricTable, read_rows

REPEATED = "repeated"
"""The column of a curve's extras that marks steps measured more than once, with other values: the last is kept."""

OPENAI_CLOSING_TOKENS = 2
"""OpenAI and Azure count two tokens after each answer as part of it: 628 of 628 steps of three real files fit."""

# What OpenAI's first API wrote for "not measured at this step".
_NOT_MEASURED = -1.0
# A loss beyond it has blown up as surely as an infinite one, and has a square and a mean.
_HIGHEST_MEASURE = 1e100
# Above this a float cannot tell one step from the next.
_LAST_STEP = 2**53
# Headers by which OpenAI (since August 2023) and Azure are known.
_OPENAI = ("train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
_AZURE = ("train_mean_token_accuracy", "train_error_rate")
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingCurve:
    """A training by step: what it measured, and what else its file tells.

    Attributes:
        steps: One row a step, in order: an int column `step` and the float COLUMNS, NaN where not measured.
        extras: The same steps with the file's other columns under their own names (error rates, classification
            metrics, learning rate, timestamp), and REPEATED.
        not_numbers: By column, the steps at which the file says that the measure is not a number.
        closing_tokens: How many tokens beyond an answer's own its accuracy counts; 0 where that is not known.
    """

    steps: pd.DataFrame
    extras: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"step": pd.Series(dtype="int64")}))
    not_numbers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    closing_tokens: int = 0


def read_curve(path_or_bytes: Path | str | bytes) -> TrainingCurve:
    """Read what a provider or a trainer wrote about its steps; the format is told by the content.

    Result files of OpenAI (plain or base64, old or new) and Azure; lists of events or checkpoints; Together's,
    Mistral's and wandb's metrics; Hugging Face's `trainer_state.json`; our own `curve.csv`.

    Raises:
        FileError: Every line that cannot be read.
        UsageError: The file is not there or cannot be opened.
    """
    if isinstance(path_or_bytes, bytes):
        return _read(path_or_bytes, "result file")
    try:
        data = Path(path_or_bytes).read_bytes()
    except OSError as error:
        remedy = "give the path of a result file (CSV or JSON)"
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
    reading = _Reading(nan_is_told=True)
    for number, data in enumerate(metrics, start=1):
        reading.take(MetricRow(line=number, cells=data))
    told = reading.curve()
    if onto is None:
        return told
    return TrainingCurve(
        steps=_merged(told.steps, onto.steps)[["step", *COLUMNS]],
        extras=_merged(told.extras, onto.extras),
        not_numbers={**onto.not_numbers, **told.not_numbers},
        closing_tokens=onto.closing_tokens,
    )


def write_curve(curve: TrainingCurve, path: Path) -> None:
    """Write the curve as CSV with the names of COLUMNS and those of its extras, empty where not measured.

    Raises:
        OSError: The folder is read-only or the disk is full.
    """
    table = curve.steps.astype(dict.fromkeys(curve.not_numbers, object))
    for name, steps in curve.not_numbers.items():
        table.loc[table["step"].isin(steps), name] = "nan"
    table = table.merge(curve.extras, on="step", how="left")
    write_atomic(path, table.to_csv(index=False, lineterminator="\n"))


def _merged(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Both by step; where both tell the same, the first is believed."""
    merged: pd.DataFrame = first.set_index("step").combine_first(second.set_index("step")).reset_index()
    return merged


# --- reading -------------------------------------------------------------------------------------------


def _read(data: bytes, file: str) -> TrainingCurve:
    table = read_rows(data, file)
    # In a table of someone else's, `nan` often stands for "not measured"; we leave such cells empty.
    is_ours = table.header[: len(COLUMNS) + 1] == ("step", *COLUMNS)
    reading = _Reading(nan_is_told=is_ours or not table.header, keeps_text=bool(table.header))
    for row in table.rows:
        reading.take(row)
    mistakes = [*table.mistakes, *reading.mistakes]
    if not mistakes and not table.header and not reading.steps:
        what = "no entry has a step and a measure such as train_loss"
        mistakes.append(Mistake(1, what, "give a list of metrics, events, checkpoints or a trainer state"))
    if mistakes:
        raise FileError(file, mistakes)
    return reading.curve(closing_tokens=_closing_tokens(table))


def _closing_tokens(table: MetricTable) -> int:
    header = set(table.header)
    is_theirs = header >= set(_OPENAI) or header >= set(_AZURE) or any(row.is_openai for row in table.rows)
    return OPENAI_CLOSING_TOKENS if is_theirs else 0


class _Reading:
    """What the rows have told so far."""

    def __init__(self, *, nan_is_told: bool, keeps_text: bool = False) -> None:
        self.steps: dict[int, dict[str, float]] = {}
        self.mistakes: list[Mistake] = []
        self._extras: dict[int, dict[str, float | str]] = {}
        self._not_numbers: dict[str, set[int]] = {}
        self._nan_is_told = nan_is_told
        self._keeps_text = keeps_text
        self._latest: int | None = None
        self._others: set[str] = set()

    def take(self, row: MetricRow) -> None:
        """Take what a row measured; a row without a measure is no row of a curve."""
        told = {name: cell for name, cell in row.cells.items() if cell is not None and cell != ""}
        names = list(told)
        measures = {name: cell for name, cell in told.items() if columns_of(name)}
        if not measures:
            return
        step = self._step(row, told)
        if step is None:
            return
        if is_summary(names):
            return
        self._take_measures(row, step, measures)
        others = {name: cell for name, cell in told.items() if name not in measures and not is_step(name)}
        self._take_extras(step, others)

    def _step(self, row: MetricRow, told: Mapping[str, Json]) -> int | None:
        """The row's step; a row that only counts wandb's log calls stands where the row before it stood."""
        at = step_name(list(told))
        if at is not None and is_log_count(at) and self._latest is not None:
            return self._latest
        step = _number(told[at]) if at is not None else None
        if step is None or not _is_step(step):
            said = "missing" if at is None else shown(told[at])
            self._wrong(row, f"step is {said}", "it must be a whole number")
            return None
        if at is not None and not is_log_count(at):
            self._latest = int(step)
        return int(step)

    def _take_measures(self, row: MetricRow, step: int, measures: Mapping[str, Json]) -> None:
        told = [(column, name, cell) for name, cell in measures.items() for column in columns_of(name)]
        values = {
            column: value
            for column, name, cell in told
            if (value := self._value(row, step, column, (name, cell))) is not None
        }
        known = self.steps.setdefault(step, {})
        if any(known.get(column, value) != value for column, value in values.items()):
            self._extras.setdefault(step, {})[REPEATED] = 1.0
        known.update(values)
        for column in values:  # a later row knows better
            self._not_numbers.get(column, set()).discard(step)

    def _value(self, row: MetricRow, step: int, column: str, told: tuple[str, Json]) -> float | None:
        """What a cell measured; None where it did not, which is noted where that is a mistake or a fault."""
        name, cell = told
        value = _number(cell)
        if value is None:
            self._wrong(row, f"{name} is {shown(cell)}", "it must be a number or empty")
        elif math.isnan(value):
            if self._nan_is_told or column == "train_loss":
                self._not_numbers.setdefault(column, set()).add(step)
        elif value == _NOT_MEASURED:
            return None
        elif column in ACCURACIES and not -_ROUNDING <= value <= 1 + _ROUNDING:
            self._wrong(row, f"{name} is {value:g}", "accuracies are shares, from 0 to 1")
        else:
            return value if abs(value) <= _HIGHEST_MEASURE else math.copysign(math.inf, value)
        return None

    def _take_extras(self, step: int, others: Mapping[str, Json]) -> None:
        known = self._extras.setdefault(step, {})
        for name, cell in others.items():
            if name not in self._others and len(self._others) >= MOST_COLUMNS:
                continue  # rows of JSON may each have names of their own
            self._others.add(name)
            value = _number(cell)
            if value is not None:
                known[unwrapped(name)] = value
            elif self._keeps_text:
                known[unwrapped(name)] = str(cell)

    def _wrong(self, row: MetricRow, what: str, remedy: str) -> None:
        mistake = Mistake(row.line, f"{row.place}{what}", remedy)
        if mistake not in self.mistakes[-1:]:  # a cell that is two measures is wrong once
            self.mistakes.append(mistake)

    def curve(self, *, closing_tokens: int = 0) -> TrainingCurve:
        """The steps so far, in order."""
        ordered = sorted(self.steps)
        steps = pd.DataFrame({"step": pd.Series(ordered, dtype="int64")})
        for name in COLUMNS:
            values = [self.steps[step].get(name, math.nan) for step in ordered]
            steps[name] = pd.Series(values, dtype="float64")
        extras = pd.DataFrame([{"step": step, **self._extras.get(step, {})} for step in ordered])
        if not ordered:
            extras = steps[["step"]].copy()
        return TrainingCurve(
            steps=steps,
            extras=extras,
            not_numbers={name: tuple(sorted(found)) for name, found in self._not_numbers.items() if found},
            closing_tokens=closing_tokens,
        )


def _number(cell: Json) -> float | None:
    """A cell's number, or None for what is none."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def _is_step(number: float) -> bool:
    return number.is_integer() and 0 <= number <= _LAST_STEP
