"""json_schema: what is valid, what is said of what is not, and schemas and answers that mean harm."""

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import judge

from harness.scorers import JsonSchema

STAY = JsonSchema(
    schema={
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 1},
            "nights": {"type": "integer", "minimum": 1},
            "from": {"type": "string", "format": "date"},
        },
        "required": ["city", "nights"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "北京", "nights": 2}',
        ' {"nights": 2.0, "city": "Rome", "from": "2026-05-01"}\n',
        '```json\n{"city": "Rome", "nights": 1}\n```',
    ],
)
def test_valid_answer_is_right(text: str) -> None:
    score = judge(STAY, text)
    assert (score.value, score.measures, score.reason) == (1, {"json_valid": 1.0}, "valid against the schema")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"city": "Rome"}', '$: "nights" is a required property'),
        ('{"city": "", "nights": 1}', '$.city: "" is shorter than 1 character'),
        ('{"city": "北京", "nights": "两"}', '$.nights: "两" is not of type "integer"'),
        ('{"city": "Rome", "nights": 1, "from": "soon"}', '$.from: "soon" is not a "date"'),
        ("[]", '$: [] is not of type "object"'),
    ],
)
def test_json_that_breaks_the_schema_says_where(text: str, reason: str) -> None:
    score = judge(STAY, text)
    assert (score.value, score.measures, score.reason) == (0, {"json_valid": 1.0}, reason)


@pytest.mark.parametrize("text", ["", "两晚", '{"city": ', '{"a": 1, "a": 2}', '{"a": NaN}', '{"a":' * 9999])
def test_what_is_not_json_is_zero_and_counted(text: str) -> None:
    score = judge(STAY, text)
    assert (score.value, score.measures) == (0, {"json_valid": 0.0})
    assert score.reason.startswith("not JSON: ")


def test_object_inside_prose_is_found_only_when_asked() -> None:
    text = 'Sure: {"city": "Rome", "nights": 1}. Enjoy!'
    assert judge(STAY, text).value == 0
    assert judge(JsonSchema(schema=STAY.schema, lenient=True), text).value == 1


def test_many_faults_are_cut_short() -> None:
    scorer = JsonSchema(schema={"items": {"type": "string"}})
    assert judge(scorer, json.dumps(list(range(100)))).reason.endswith("; …")


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({}, "accepts every JSON"),
        ({"type": "strin"}, r"not a JSON Schema: at \$.type: \"strin\""),
        ({"properties": {"a": {"minimum": "x"}}}, r"at \$.properties.a.minimum"),
        ({"pattern": "(("}, r"at \$.pattern"),
        ({"$ref": "#/$defs/missing"}, "does not exist"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schemas are read as"),
        ({"$ref": "http://127.0.0.1:9/x.json"}, "is never fetched; write it under `\\$defs`"),
        ({"$ref": "file:///etc/passwd"}, "is never fetched"),
        ({"$ref": "other.json"}, "not a JSON Schema"),
        ({"$dynamicRef": "#nowhere"}, "not a JSON Schema"),
    ],
)
def test_schema_that_is_none_is_refused_when_it_is_loaded(schema: dict[str, object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        JsonSchema(schema=schema)


def test_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(2000):
        schema = {"properties": {"a": schema}}
    with pytest.raises(ValueError, match="not a JSON Schema"):
        JsonSchema(schema=schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": r"^(a|aa)+\1$"},
        {"patternProperties": {r"^(a|aa)+\1$": {"type": "string"}}, "unevaluatedProperties": False},
        {"propertyNames": {"pattern": r"^(a|aa)+\1$"}},
    ],
)
def test_endless_pattern_never_stops_a_run(schema: dict[str, object]) -> None:
    scorer = JsonSchema(schema=schema)
    started = time.process_time()
    harm = "a" * 5000 + "b"
    for answer in (harm, {harm: 1}):
        judge(scorer, json.dumps(answer))
    assert time.process_time() - started < 2


def test_endless_pattern_is_unscored() -> None:
    score = judge(JsonSchema(schema={"pattern": r"^(a|aa)+\1$"}), json.dumps("a" * 60 + "b"))
    assert score.value is None
    assert score.reason == "the pattern at $.pattern backtracks for too long: make it simpler"


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}]}, {"items": {"$ref": "#"}}])
def test_schema_that_refers_to_itself_ends(schema: dict[str, object]) -> None:
    for text in ("[" * 900 + "]" * 900, "1", '{"a": []}'):
        assert judge(JsonSchema(schema=schema), text).value in {0.0, 1.0}


def test_half_a_character_is_a_fault_of_the_answer() -> None:
    score = judge(JsonSchema(schema={"type": "string"}), r'"\ud83d"')
    assert (score.value, score.measures) == (0, {"json_valid": 1.0})
    assert "half a character" in score.reason


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3).map(lambda x: round(x, 1)) | st.sampled_from(["", "a", "北京"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_SCHEMAS = st.recursive(
    st.sampled_from(
        [{"type": kind} for kind in ("null", "boolean", "integer", "number", "string", "array", "object")]
        + [{"minimum": 1}, {"maxLength": 1}, {"enum": [1, "a", None]}, {"const": []}, {"pattern": "^a"}]
        + [
            {"required": ["a"]},
            {"maxProperties": 1},
            {"minItems": 1},
            {"uniqueItems": True},
            {"multipleOf": 2},
        ]
    ),
    lambda inner: (
        st.builds(lambda one: {"items": one}, inner)
        | st.builds(lambda one, two: {"anyOf": [one, two]}, inner, inner)
        | st.builds(lambda one, two: {"allOf": [one, {"not": two}]}, inner, inner)
        | st.builds(lambda one, two: {"properties": {"a": one}, "additionalProperties": two}, inner, inner)
        | st.builds(lambda one, two: {"prefixItems": [one], "items": two}, inner, inner)
        | st.builds(lambda one: {"properties": {"b": one}, "unevaluatedProperties": False}, inner)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(_SCHEMAS, _VALUES)
def test_agrees_with_the_reference_validator(schema: dict[str, object], value: object) -> None:
    valid = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert judge(JsonSchema(schema=schema), json.dumps(value)).value == float(valid)
