"""The rows of a file of metrics, told apart by content: CSV, JSON, JSON lines, or base64 of one of them."""

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterator, Mapping

from harness.errors import FileError, Mistake
from harness.records import Json, record
from harness.serial import read_json, shown
from harness.training.measures import columns_of, run_of, step_name

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DELIMITERS = ",;\t"
# An export of every chart of a run has some hundred; a table of a hundred thousand takes minutes to make.
MOST_COLUMNS = 1000
# Where JSON documents keep rows: lists of the API, Hugging Face's trainer state, Together, Mistral.
_LISTS = ("data", "log_history", "metrics", "checkpoints", "events", "history")
# Of providers' objects; deeper ones hold no measures.
_DEEPEST = 4
_OPENAI = "fine_tuning.job"


@record
class MetricRow:
    """One row as it is written: its line, its cells by name, and where in a line it stands if several do.

    `is_openai` says that OpenAI's API handed the row over, by its own word.
    """

    line: int
    cells: Mapping[str, Json]
    place: str = ""
    is_openai: bool = False


@record
class MetricTable:
    """The rows of a file; `header` are the names of a CSV's columns, in order, and empty for JSON."""

    rows: tuple[MetricRow, ...]
    header: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


def read_rows(data: bytes, file: str) -> MetricTable:
    """The rows of a file.

    Raises:
        FileError: It is none of the formats.
    """
    text = _text(data, file)
    return _json_table(text, file) if text.lstrip()[:1] in {"{", "["} else _csv_table(text, file)


def _text(data: bytes, file: str) -> str:
    """The file's text: OpenAI serves result files base64-encoded, the others as they are."""
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if not _is_readable(data.lstrip()):
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            what = "neither a table of metrics (CSV, JSON) nor base64 of one"
            raise FileError(file, [Mistake(1, what, "its first line must name `step`")]) from None
        data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FileError(file, [Mistake(line, "not UTF-8", "save the file as UTF-8")]) from None


def _is_readable(data: bytes) -> bool:
    """Whether the bytes are JSON or a table already: base64 has none of the signs of either in its first line."""
    first = data.split(b"\n", 1)[0]
    signs = (b"{", b"[", b"<", *(sign.encode() for sign in _DELIMITERS))
    return first.strip().lower() == b"step" or any(sign in first for sign in signs)


# --- CSV -----------------------------------------------------------------------------------------------


def _csv_table(text: str, file: str) -> MetricTable:
    delimiter = _delimiter(text.lstrip().partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[MetricRow] = []
    mistakes: list[Mistake] = []
    header: list[str] = []
    try:
        header = [name.strip() for name in next(row for row in reader if any(row))]
        _check_header(header, file, line=reader.line_num)
        for cells in reader:
            if len(cells) > len(header):
                what = f"{len(cells)} cells under {len(header)} column names"
                mistakes.append(Mistake(reader.line_num, what, "is the line whole?"))
                continue
            named = {name: _cell(cell, delimiter) for name, cell in zip(header, cells, strict=False)}
            rows.append(MetricRow(line=reader.line_num, cells=named))
    except StopIteration:
        mistakes.append(Mistake(1, "the file is empty", "fetch it again"))
    except csv.Error as error:
        mistakes.append(Mistake(max(1, reader.line_num), f"not CSV: {error}", "is the file whole?"))
    return MetricTable(rows=tuple(rows), header=tuple(header), mistakes=tuple(mistakes))


def _check_header(header: list[str], file: str, *, line: int) -> None:
    if len(header) > MOST_COLUMNS:
        what = f"{len(header):,} columns, and at most {MOST_COLUMNS:,} are read"
        raise FileError(file, [Mistake(line, what, "keep step and the measures")])
    known = [name for name in header if columns_of(name)]
    if step_name(header) is None or not known:
        what = f"the columns are {shown(','.join(header), limit=120)}"
        raise FileError(
            file, [Mistake(line, what, "step and at least one measure such as train_loss are needed")]
        )
    runs = {run_of(name) for name in known}
    if len(runs) > 1:
        what = f"the columns are of {len(runs)} runs: {shown(', '.join(sorted(runs)), limit=120)}"
        raise FileError(file, [Mistake(line, what, "keep the columns of one")])


def _delimiter(header: str) -> str:
    """What parts the cells of the first line: a spreadsheet of some countries saves semicolons."""
    return max(_DELIMITERS, key=header.count)


def _cell(cell: str, delimiter: str) -> str:
    """A cell; where commas do not part cells, they are the decimal points of some countries."""
    return cell.strip() if delimiter == "," else cell.strip().replace(",", ".")


# --- JSON ----------------------------------------------------------------------------------------------


def _json_table(text: str, file: str) -> MetricTable:
    try:
        return _table(((1, value) for value in [read_json(text)]), [])
    except json.JSONDecodeError as error:
        whole = error
    except (ValueError, RecursionError) as error:
        raise FileError(file, [Mistake(1, f"not JSON: {_why(error)}", "is the file whole?")]) from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    mistakes: list[Mistake] = []
    values: list[tuple[int, Json]] = []
    for number, line in lines:
        try:
            values.append((number, read_json(line)))
        except (ValueError, RecursionError) as error:
            mistakes.append(Mistake(number, f"not JSON: {_why(error)}", "is the file whole?"))
    if not values:
        what = f"not JSON: {whole.msg}"
        raise FileError(file, [Mistake(whole.lineno, what, "is the file whole?")])
    return _table(iter(values), mistakes)


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return error.msg if isinstance(error, json.JSONDecodeError) else "a number with too many digits"


def _table(values: Iterator[tuple[int, Json]], mistakes: list[Mistake]) -> MetricTable:
    rows: list[MetricRow] = []
    for line, value in values:
        found = list(_objects(value))
        for number, item in enumerate(found, start=1):
            place = f"entry {number}: " if len(found) > 1 else ""
            rows.append(_json_row(line, item, place=place))
    return MetricTable(rows=tuple(rows), mistakes=tuple(mistakes))


def _objects(value: Json, *, depth: int = 0) -> Iterator[Mapping[str, Json]]:
    """The objects that may be rows: those of a list, or of the lists within an object, else the object itself."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _objects(item, depth=depth + 1)
    elif isinstance(value, dict):
        lists = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
        if not lists:
            yield value
        for items in lists:
            yield from _objects(items, depth=depth + 1)


def _json_row(line: int, item: Mapping[str, Json], *, place: str) -> MetricRow:
    kind = item.get("object")
    return MetricRow(
        line=line,
        cells=dict(_flattened(item)),
        place=place,
        is_openai=isinstance(kind, str) and kind.startswith(_OPENAI),
    )


def _flattened(item: Mapping[str, Json], *, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Json]]:
    """Names and plain values: `{"train": {"loss": 1}}` is `train/loss`. Lists hold no measures of a step."""
    for name, value in item.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from _flattened(value, prefix=f"{prefix}{name}/", depth=depth + 1)
        elif not isinstance(value, list | dict):
            yield f"{prefix}{name}", value
