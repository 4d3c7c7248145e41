"""Is the answer JSON that obeys a schema?"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, NoReturn

import jsonschema_rs

from harness.records import Case, Completion, Json, Score, record
from harness.serial import shown
from harness.texts.normalisation import storable
from harness.texts.strict_json import InvalidJsonError, object_in, read_value, without_fence

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# How many steps a `pattern` may take on one text: a sane one needs a few per character.
MAX_BACKTRACKING = 1_000_000
# How many faults a reason names.
MAX_FAULTS = 3


@record
class JsonSchema:
    """The answer is JSON that is valid against a JSON Schema (Draft 2020-12), formats included.

    `expected` is not looked at. A schema elsewhere (`$ref` to a file or an address) is never fetched.
    """

    schema: Mapping[str, Json]
    lenient: bool = False
    """Whether an object may stand inside prose; else only a single code fence around the JSON is forgiven."""

    measures: ClassVar[tuple[str, ...]] = ("json_valid",)

    def __post_init__(self) -> None:
        """Refuse what is no schema, before any model is asked."""
        if not self.schema:
            raise ValueError("an empty `schema` accepts every JSON; write what the answer must be")
        if (draft := str(self.schema.get("$schema", DRAFT)).rstrip("#")) != DRAFT:
            raise ValueError(f"`$schema` is {shown(draft)}; schemas are read as {DRAFT}")
        _validator(_spelled(self.schema))

    def score(self, case: Case, completion: Completion) -> Score:  # noqa: ARG002 - the schema says it all
        """1 when the answer is valid; unscored when a `pattern` of the schema backtracks for too long."""
        text = object_in(completion.text) if self.lenient else without_fence(completion.text)
        try:
            value = read_value(text)
        except InvalidJsonError as error:
            reason = f"not JSON: {error}, read {shown(completion.text)}"
            return Score(value=0.0, reason=reason, measures={"json_valid": 0.0})
        answer, measures = storable(text.strip()), {"json_valid": 1.0}
        try:
            faults = _faults(_validator(_spelled(self.schema)), value)
        except _EndlessPatternError as error:
            return Score(value=None, reason=str(error), answer=answer, measures=measures)
        reason = "; ".join(faults) or "valid against the schema"
        return Score(value=float(not faults), reason=reason, answer=answer, measures=measures)


class _EndlessPatternError(Exception):
    """A pattern of the schema that takes too long on this answer."""


def _faults(validator: jsonschema_rs.Draft202012Validator, value: Json) -> list[str]:
    """What is wrong with a value, each as `place: what`; nothing when it is valid."""
    faults: list[str] = []
    try:
        for error in validator.iter_errors(value):
            if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded):
                raise _EndlessPatternError(
                    f"the pattern at {_place(error.schema_path)} backtracks for too long: make it simpler"
                )
            if len(faults) == MAX_FAULTS:
                return [*faults, "…"]
            faults.append(f"{storable(_place(error.instance_path), 80)}: {storable(error.message, 120)}")
    except UnicodeEncodeError:
        return ["a text holds half a character (a lone surrogate)"]
    except ValueError as error:
        return [f"cannot be checked: {storable(str(error), 120)}"]
    return faults


def _place(path: list[str | int]) -> str:
    """`$.from.city`, `$.stops[2]`."""
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def _spelled(schema: Mapping[str, Json]) -> str:
    try:
        return json.dumps(schema, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON Schema: {type(error).__name__}: {error}") from None


@lru_cache(maxsize=64)
def _validator(spelled: str) -> jsonschema_rs.Draft202012Validator:
    """The validator of a schema.

    Raises:
        ValueError: It is no valid schema, or refers to one elsewhere.
    """
    try:
        return jsonschema_rs.Draft202012Validator(
            json.loads(spelled),
            validate_formats=True,
            retriever=_refuse,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKING),
        )
    except jsonschema_rs.ValidationError as error:
        place = _place(error.instance_path)
        raise ValueError(f"not a JSON Schema: at {place}: {storable(error.message, 300)}") from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(f"not a JSON Schema: {storable(str(error), 300)}") from None


def _refuse(address: str) -> NoReturn:
    raise ValueError(f"{address} is never fetched; write it under `$defs`")
