"""Why does a line, or a whole file, hold no rows, and what mends it? Read from the first bytes and from what JSON says."""

import json
from collections.abc import Iterator

from harness.dataset.shapes import Source, delimiter_of, source_of_item
from harness.records import Json, record

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_WIDE = 'save it as UTF-8, without "Unicode" or UTF-16 in the name of the encoding'
# What a file begins with that is no text at all, and the remedy; UTF-32 before UTF-16, whose mark it begins with.
_MARKS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"{\0\0\0", b"[\0\0\0", b"\0\0\0{", b"\0\0\0["), "is UTF-32", _WIDE),
    ((b"\xff\xfe", b"\xfe\xff", b"{\0", b"[\0", b"\0{", b"\0["), "is UTF-16", _WIDE),
    ((b"PK\x03\x04",), "is a zip archive, or a workbook", "unpack it, or save the sheet as CSV UTF-8"),
    ((b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"), "is packed, and not by gzip", "unpack it first"),
    ((b"PAR1",), "is Parquet", "write its rows as JSON lines"),
)
# Of a file that is an array: its items can be read all the same.
ARRAY = "the file is one JSON array"
# Characters of an array that are looked at for its first item.
_PEEK = 2**20


@record
class Fault:
    """Why a line, or the file as a whole, holds no row: what, and the remedy; `source` where a conversion is the remedy."""

    what: str
    remedy: str
    source: Source | None = None


def file_fault(beginning: bytes, rest: Iterator[bytes]) -> Fault | None:
    """What is wrong with a file as a whole, by its first line that is not blank.

    `rest` are the lines after it, of which as many are taken as it needs to see the first item of an array.
    """
    for marks, what, remedy in _MARKS:
        if beginning.startswith(marks):
            return Fault(what=f"the file {what}", remedy=remedy)
    # An array over several lines, and not a row that happens to be one.
    if beginning.startswith(b"[") and _goes_on(beginning):
        return Fault(
            what=ARRAY,
            remedy="write one JSON object a line, without the brackets",
            source=source_of_item(_first_item(_text(beginning, rest))),
        )
    if beginning == b"{":
        remedy = "write each object on a line of its own, as `jq -c .` does"
        return Fault(what="an object stands on several lines", remedy=remedy)
    if not beginning.startswith(b"{") and delimiter_of(beginning.decode("utf-8", "replace")):
        return Fault(what="the file is a table", remedy="write one JSON object a line", source="csv")
    return None


def line_fault(text: bytes, error: ValueError | RecursionError) -> Fault:
    """Why a line is not JSON: in the words of the mistake people made, where it is a known one."""
    if isinstance(error, UnicodeDecodeError):
        return Fault(what=f"not UTF-8 at byte {error.start + 1}", remedy="save the file as UTF-8")
    if text.startswith(BYTE_ORDER_MARK):
        what = "a byte order mark in the middle of the file"
        return Fault(what=what, remedy="remove it: it stays where files with one are put together")
    if not text.strip(b"\0"):
        return Fault(what="nothing but zero bytes", remedy="make the file again: writing it was cut short")
    if isinstance(error, json.JSONDecodeError):
        what = f"not valid JSON: {error.msg} at column {error.colno}"
        return Fault(what=what, remedy=_remedy(text, error))
    # Of numbers, Python reads up to 4,300 digits; nesting ends where its stack does.
    what = "nested too deeply" if isinstance(error, RecursionError) else "a number with too many digits"
    return Fault(what=f"not readable JSON: {what}", remedy="make the line a plain chat example")


def _remedy(text: bytes, error: json.JSONDecodeError) -> str:
    if error.msg == "Extra data":
        after = error.doc[error.pos :].strip()
        if b"\r" in text and after.startswith("{"):
            return "the lines end in CR alone: save the file with the line ends of Unix or Windows"
        if after == ",":
            return "remove the comma at the end of each line"
        if after.startswith("{"):
            return "begin a new line before each object"
    if error.msg.startswith("Expecting property name") and error.doc[error.pos : error.pos + 1] == "'":
        return "JSON has double quotes: write rows with json.dumps, not with str or print"
    return "each line must be one whole JSON object"


def _goes_on(text: bytes) -> bool:
    """Whether what begins here does not end in the same line."""
    try:
        json.loads(text)
    except RecursionError:
        return False
    except ValueError:
        return True
    return False


def _text(beginning: bytes, rest: Iterator[bytes]) -> str:
    """The first characters of a file, as far as its lines are whole."""
    lines, size = [beginning], len(beginning)
    for line in rest:
        if size >= _PEEK:
            break
        lines.append(line)
        size += len(line)
    return b"\n".join(lines).decode("utf-8", "replace")


def _first_item(text: str) -> Json:
    """The first item of an array whose end need not be there; None where it cannot be read."""
    try:
        item: Json = json.JSONDecoder().raw_decode(text[1:].lstrip())[0]
    except (ValueError, RecursionError):
        return None
    return item
