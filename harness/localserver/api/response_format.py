"""`response_format`: the JSON Schema an answer must satisfy, or OpenAI's error for it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from harness.localserver.api.parameters import Parameters, wrong_type
from harness.localserver.api.sampling import read_flag
from harness.localserver.api.wire import ApiError
from harness.localserver.generation.requests import Conversation

ANY_OBJECT = '{"type":"object"}'

_TYPES = ("json_object", "json_schema", "text")
MAX_NAME_CHARACTERS = 64
# OpenAI's limits for all names, enum and const values of a schema together, and for nesting.
MAX_SCHEMA_CHARACTERS = 120_000
MAX_SCHEMA_DEPTH = 10

_Context: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A schema inside a schema: the keys that lead to it, and how many objects and arrays it lies in."""

    schema: Mapping[str, object]
    context: _Context
    depth: int


def read_response_format(body: Parameters, messages: Conversation) -> str | None:
    """The schema as JSON text, None for free text.

    Raises:
        ApiError: Another type, a schema without a name, a strict schema that leaves something open, or `json_object` where no
            message speaks of JSON.
    """
    given = body.object("response_format")
    if given is None:
        return None
    kind = given.required_text("type")
    if kind not in _TYPES:
        raise ApiError(
            f"Invalid value: '{kind[:40]}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            param="response_format.type",
            code="invalid_value",
        )
    given.refuse_unknown(("type", "json_schema") if kind == "json_schema" else ("type",))
    if kind == "json_object":
        _check_json_is_asked_for(messages)
        return ANY_OBJECT
    return _schema(given) if kind == "json_schema" else None


def _check_json_is_asked_for(messages: Conversation) -> None:
    """OpenAI's guard: a model nobody told about JSON may write blanks until its tokens are spent."""
    if not any("json" in message["content"].lower() for message in messages):
        raise ApiError(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )


def _schema(given: Parameters) -> str:
    given.required("json_schema")
    format_ = given.object("json_schema")
    assert format_ is not None  # or it would not have been there
    format_.refuse_unknown(("name", "description", "schema", "strict"))
    name = _name(format_)
    format_.text("description")
    schema = format_.required("schema")
    if not isinstance(schema, Mapping):
        raise wrong_type(format_.name("schema"), schema, expected="an object")
    text = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise _invalid(
            name, f"it has {len(text)} characters, more than the {MAX_SCHEMA_CHARACTERS} that are taken."
        )
    if read_flag(format_, "strict"):
        for fault in _faults(schema):
            raise _invalid(name, fault)
    return text


def _name(format_: Parameters) -> str:
    name = format_.required_text("name")
    place = format_.name("name")
    if len(name) > MAX_NAME_CHARACTERS:
        format_.text("name", longest=MAX_NAME_CHARACTERS)
    if not name or not all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in name):
        raise ApiError(
            f"Invalid '{place}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            param=place,
            code="invalid_value",
        )
    return name


def _invalid(name: str, fault: str) -> ApiError:
    return ApiError(f"Invalid schema for response_format '{name}': {fault}", param="response_format")


def _faults(schema: Mapping[str, object]) -> Iterator[str]:
    """What keeps a schema from being a strict one, outer faults first."""
    if schema.get("type") != "object":
        found = schema.get("type")
        shown = found if isinstance(found, str) else None
        yield f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{shown}\"'."
    for part in _parts(schema):
        if part.depth > MAX_SCHEMA_DEPTH:
            yield f"In context={part.context}, it is nested more than {MAX_SCHEMA_DEPTH} levels deep."
        yield from _open_ends(part)


def _open_ends(part: _Part) -> Iterator[str]:
    """What a strict schema must say of every object: all keys required, no others."""
    properties = part.schema.get("properties")
    if part.schema.get("type") != "object" and properties is None:
        return
    place = f"In context={part.context}"
    if part.schema.get("additionalProperties") is not False:
        yield f"{place}, 'additionalProperties' is required to be supplied and to be false."
    keys = list(properties) if isinstance(properties, Mapping) else []
    required = part.schema.get("required", [] if not keys else None)
    rule = f"{place}, 'required' is required to be supplied and to be an array including every key in properties."
    if not isinstance(required, list):
        yield rule
        return
    for key in keys:
        if key not in required:
            yield f"{rule} Missing '{key}'."
    for key in required:
        if key not in keys:
            yield f"{rule} Extra required key '{key}' supplied."


def _parts(schema: Mapping[str, object]) -> Iterator[_Part]:
    """The schema and all schemas in it, outer before inner; no recursion, since a caller decides how deep it goes."""
    waiting = [_Part(schema=schema, context=(), depth=0)]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [
            _Part(schema=inner, context=(*part.context, *keys), depth=part.depth + deeper)
            for keys, inner, deeper in _inner(part.schema)
            if isinstance(inner, Mapping)
        ]


def _inner(schema: Mapping[str, object]) -> Iterator[tuple[_Context, object, int]]:
    """The keys that lead to an inner schema, the schema, and whether it lies a level deeper."""
    for keyword, deeper in (("properties", 1), ("$defs", 0), ("definitions", 0)):
        named = schema.get(keyword)
        if isinstance(named, Mapping):
            yield from (((keyword, str(key)), inner, deeper) for key, inner in named.items())
    for keyword in ("anyOf", "allOf", "oneOf"):
        several = schema.get(keyword)
        if isinstance(several, Sequence) and not isinstance(several, str):
            yield from (((keyword, str(at)), inner, 0) for at, inner in enumerate(several))
    yield ("items",), schema.get("items"), 1
