"""Is the answer the expected JSON object, field by field?"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, NoReturn

import regex

from harness.records import Case, Completion, Json, Score, record
from harness.serial import shown
from harness.texts.normalisation import normalise, same, storable

# Answers are small; a "JSON answer" longer than this is a model that does not stop.
MAX_JSON_CHARACTERS = 100_000
# How many opening braces to try when looking for an object inside prose: each try may read the whole text.
MAX_OBJECT_STARTS = 8

_FENCE = re.compile(r"\A\s*```[\w+-]*[^\S\n]*\n(.*?)\n?[^\S\n]*```\s*\Z", re.DOTALL)
_BRACE_OR_STRING = regex.compile(r'"(?:[^"\\]|\\.)*+"|[{}"]', regex.DOTALL)


class _InvalidJsonError(ValueError):
    """JSON that a strict reader refuses: NaN, a key given twice, something other than an object."""


@record
class JsonFields:
    """The answer is a JSON object whose fields have the expected values.

    The value is the share of expected fields that are right. A nested object's fields count one by one
    (`from.city`); a list is one field, in order. Texts compare as in `exact_match`, numbers as numbers;
    a number written as text is wrong, because the reader's schema would refuse it.
    """

    lenient: bool = False
    """Whether the object may stand inside prose; else only a single code fence around it is forgiven."""
    allow_extra: bool = True
    """Whether fields that nobody asked for count for nothing; else each counts as one wrong field."""

    measures: ClassVar[tuple[str, ...]] = ("json_valid", "all_fields")

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        if not isinstance(case.expected, Mapping) or not case.expected:
            return f"needs `expected`: an object with at least one field, got {shown(case.expected)}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """The share of fields that are right; an answer that is not a JSON object is 0."""
        if not isinstance(case.expected, Mapping) or not case.expected:
            return Score(value=None, reason=self.check_case(case) or "")
        text = _object_in(completion.text) if self.lenient else _without_fence(completion.text)
        try:
            answer = _parse(text)
        except (ValueError, RecursionError) as error:
            return Score(
                value=0.0,
                reason=f"not a JSON object: {_why(error)}, read {shown(completion.text)}",
                measures={"json_valid": 0.0, "all_fields": 0.0},
            )
        return self._compared(case.expected, answer, text)

    def _compared(self, expected: Mapping[str, Json], answer: Mapping[str, Json], text: str) -> Score:
        wrong = list(_wrong_fields(expected, answer))
        fields = len(_names(expected, ""))
        extra = [] if self.allow_extra else list(_extra_fields(expected, answer))
        right = fields - len(wrong)
        problems = [*wrong, *(f"{name}: not asked for" for name in extra)]
        reason = f"{right} of {fields} fields right"
        if problems:
            reason += "; " + "; ".join(problems[:5]) + ("; …" if len(problems) > 5 else "")
        return Score(
            value=right / (fields + len(extra)),
            reason=reason,
            answer=storable(text.strip()),
            measures={"json_valid": 1.0, "all_fields": float(not problems)},
        )


# --- reading ---------------------------------------------------------------------------------------


def _without_fence(text: str) -> str:
    found = _FENCE.match(text)
    return found.group(1) if found else text


def _object_in(text: str) -> str:
    """The first balanced `{...}` that is JSON, or the whole text when there is none."""
    text = _without_fence(text)[:MAX_JSON_CHARACTERS]
    start = text.find("{")
    for _ in range(MAX_OBJECT_STARTS):
        if start < 0:
            break
        end = _balanced_end(text, start)
        if end is not None and _parses(text[start:end]):
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


def _parses(text: str) -> bool:
    try:
        _parse(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parse(text: str) -> dict[str, Json]:
    """A JSON object, strictly: no NaN, no infinity, no key twice.

    Raises:
        ValueError: The text is not JSON, or not an object.
        RecursionError: It is nested beyond Python's patience.
    """
    if len(text) > MAX_JSON_CHARACTERS:
        raise _InvalidJsonError(f"longer than {MAX_JSON_CHARACTERS} characters")
    value = json.loads(
        text.strip(), object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
    )
    if not isinstance(value, dict):
        raise _InvalidJsonError(f"a {type(value).__name__} instead of an object")
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise _InvalidJsonError(f"the key {shown(key)} is given twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _InvalidJsonError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _InvalidJsonError(f"{shown(digits)} is too large")
    return value


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at character {error.pos + 1}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]


# --- comparing: recursion goes only as deep as the expected object, which a person wrote ----------------


def _names(expected: Json, name: str) -> list[str]:
    """The dotted names of all fields, the object's own when it is empty or no object."""
    if isinstance(expected, Mapping) and expected:
        return [leaf for key, value in expected.items() for leaf in _names(value, f"{name}.{key}")]
    return [name.removeprefix(".")]


def _wrong_fields(expected: Mapping[str, Json], answer: Mapping[str, Json], path: str = "") -> Iterator[str]:
    """A sentence for each field that is missing or has another value."""
    for key, wanted in expected.items():
        name = f"{path}{key}"
        if key not in answer:
            yield from (f"{leaf}: missing" for leaf in _names(wanted, name))
            continue
        found = answer[key]
        if isinstance(wanted, Mapping) and wanted:
            if isinstance(found, Mapping):
                yield from _wrong_fields(wanted, found, f"{name}.")
            else:
                nothing = f"missing, {name} is {_shown(found)}"
                yield from (f"{leaf}: {nothing}" for leaf in _names(wanted, name))
        elif not _equal(wanted, found):
            yield f"{name}: expected {_shown(wanted)}, read {_shown(found)}"


def _extra_fields(expected: Mapping[str, Json], answer: Mapping[str, Json], path: str = "") -> Iterator[str]:
    for key, found in answer.items():
        wanted = expected.get(key)
        if key not in expected:
            yield f"{path}{storable(key, 40)}"
        elif isinstance(wanted, Mapping) and wanted and isinstance(found, Mapping):
            yield from _extra_fields(wanted, found, f"{path}{key}.")


def _equal(wanted: Json, found: Json) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool) or wanted is None or found is None:
        return wanted is found
    if isinstance(wanted, (int, float)) and isinstance(found, (int, float)):
        return wanted == found
    if isinstance(wanted, str) and isinstance(found, str):
        return same(normalise(wanted), normalise(found))
    if isinstance(wanted, (list, tuple)) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_equal, wanted, found))
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return wanted.keys() == found.keys() and all(_equal(wanted[key], found[key]) for key in wanted)
    return False


def _shown(value: Json) -> str:
    """A value of the answer for a reason; what is nested is named, not spelled out."""
    if isinstance(value, Mapping):
        return "an object"
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else shown(value, 40)
