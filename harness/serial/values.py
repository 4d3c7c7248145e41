"""Records from plain data and JSON, and back."""

import json
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from harness.serial.problems import Kind, ParseError, Problem, problems_of

_T = TypeVar("_T")
Plain: TypeAlias = Any
"""JSON-ready data: dicts, lists, texts, numbers, True, False and None."""

_adapter: Callable[[Kind], TypeAdapter[Any]] = lru_cache(maxsize=256)(TypeAdapter)
"""Building an adapter costs milliseconds, using one microseconds."""


def parse(cls: type[_T], data: object) -> _T:
    """Build the record `cls` from plain data.

    Raises:
        ParseError: Every unknown key, missing key and wrong type, with the nearest known name.
    """
    try:
        value: _T = _adapter(cls).validate_python(data)
    except ValidationError as error:
        raise ParseError(problems_of(cls, error)) from None
    except UnicodeEncodeError:  # how the validator stumbles over a message that quotes such a text
        what = "a text has half a surrogate pair in it"
        raise ParseError([Problem((), what, "write the character itself")]) from None
    return value


def with_values(value: _T, changes: Mapping[str, object]) -> _T:
    """The record with some fields changed, checked as if read from a file.

    Raises:
        ParseError: An unknown field or a value of the wrong type.
    """
    kept = {item.name: getattr(value, item.name) for item in fields(cast("Any", value))}
    return parse(type(value), {**kept, **changes})


def from_json(cls: type[_T], text: str | bytes) -> _T:
    """The record in a JSON text; unknown keys are an error.

    Raises:
        ParseError: The text is not JSON or not the record.
    """
    try:
        value: _T = _adapter(cls).validate_json(text)
    except ValidationError as error:
        raise ParseError(problems_of(cls, error)) from None
    return value


def json_schema(cls: type) -> dict[str, Plain]:
    """The JSON Schema (draft 2020-12) of what `parse` takes for a record."""
    return _adapter(cls).json_schema()


def to_json(value: object, *, indent: int | None = None) -> str:
    """A record as JSON text, on one line unless `indent` is given; see `to_plain`."""
    plain = to_plain(value)
    if indent is not None:  # which the standard library does in Python, and a run's cases are many
        return _adapter(object).dump_json(plain, indent=indent).decode("utf-8")
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def to_plain(value: object) -> Plain:
    """A record as plain JSON-ready data.

    What JSON cannot say is not said: NaN and the infinities become None, and leave a mapping together
    with their key; a lone surrogate, which no UTF-8 file can hold, becomes U+FFFD.
    """
    if isinstance(value, str):
        return _encodable(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    kind: type = type(value)
    if (names := _field_names(kind)) is not None:
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return _plain_entries(value)
    if isinstance(value, numbers.Real):  # numpy's own kinds
        return int(value) if isinstance(value, numbers.Integral) else to_plain(float(value))
    return _encodable(str(value)) if isinstance(value, Path) else value


@lru_cache(maxsize=1024)
def _field_names(cls: type) -> tuple[str, ...] | None:
    """The fields of a record, None of what is none: a run asks for each of its rows."""
    return tuple(item.name for item in fields(cls)) if is_dataclass(cls) else None


def _plain_entries(value: Mapping[object, object]) -> dict[str, Plain]:
    made = {}
    for key, item in value.items():
        plain = to_plain(item)
        if plain is not None or item is None:
            made[_encodable(str(key))] = plain
    return made


def _encodable(text: str) -> str:
    """The text as UTF-8 can hold it; two surrogates that make up a character become that character."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
