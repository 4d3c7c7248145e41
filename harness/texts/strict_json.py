"""JSON as a strict reader takes it from an answer: no NaN, no key given twice, one code fence forgiven."""

import json
import math
import re
from typing import NoReturn

import regex

from harness.records import Json
from harness.serial import shown

# Answers are small; a "JSON answer" longer than this is a model that does not stop.
MAX_JSON_CHARACTERS = 100_000
# How many opening braces to try when looking for an object inside prose: each try may read the whole text.
MAX_OBJECT_STARTS = 8

_FENCE = re.compile(r"\A\s*```[\w+-]*[^\S\n]*\n(.*?)\n?[^\S\n]*```\s*\Z", re.DOTALL)
_BRACE_OR_STRING = regex.compile(r'"(?:[^"\\]|\\.)*+"|[{}"]', regex.DOTALL)


class InvalidJsonError(ValueError):
    """A text that a strict reader refuses as JSON; the message says why."""


def read_value(text: str) -> Json:
    """The JSON value that a text is.

    Raises:
        InvalidJsonError: It is none, or one with NaN, infinity or a key given twice.
    """
    if len(text) > MAX_JSON_CHARACTERS:
        raise InvalidJsonError(f"longer than {MAX_JSON_CHARACTERS} characters")
    try:
        value: Json = json.loads(
            text.strip(), object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"{error.msg.lower()} at character {error.pos + 1}") from None
    except RecursionError:
        raise InvalidJsonError("nested too deeply") from None
    except InvalidJsonError:
        raise
    except ValueError as error:  # Python's own limit on the digits of a number
        raise InvalidJsonError(str(error).split(";")[0]) from None
    return value


def read_object(text: str) -> dict[str, Json]:
    """The JSON object that a text is.

    Raises:
        InvalidJsonError: It is none; see `read_value`.
    """
    value = read_value(text)
    if not isinstance(value, dict):
        raise InvalidJsonError(f"a {type(value).__name__} instead of an object")
    return value


def without_fence(text: str) -> str:
    """The inside of a single code fence that is the whole text, or the text."""
    found = _FENCE.match(text)
    return found.group(1) if found else text


def object_in(text: str) -> str:
    """The first balanced `{...}` that is JSON, or the whole text when there is none."""
    text = without_fence(text)[:MAX_JSON_CHARACTERS]
    start = text.find("{")
    for _ in range(MAX_OBJECT_STARTS):
        if start < 0:
            break
        end = _balanced_end(text, start)
        if end is not None and _is_object(text[start:end]):
            return text[start:end]
        start = text.find("{", end or start + 1)
    return text


def _balanced_end(text: str, start: int) -> int | None:
    """Where the object that opens at `start` closes, braces inside strings aside."""
    depth = 0
    for found in _BRACE_OR_STRING.finditer(text, start):
        mark = found.group()
        if mark == '"':
            return None  # the string never ends
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if depth == 0:
            return int(found.end())
    return None


def _is_object(text: str) -> bool:
    try:
        read_object(text)
    except InvalidJsonError:
        return False
    return True


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidJsonError(f"the key {shown(key)} is given twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJsonError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidJsonError(f"{shown(digits)} is too large")
    return value
