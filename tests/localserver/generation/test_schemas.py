import json
import time
from typing import Any

import pytest
from llguidance import LLTokenizer, TokenizerWrapper

from harness.errors import UsageError
from harness.localserver.generation.schemas import _Bytes, compile_schema, reason


@pytest.fixture(scope="module")
def tokenizer() -> LLTokenizer:
    return LLTokenizer(TokenizerWrapper(_Bytes()))


def deep(levels: int) -> dict[str, Any]:
    return {"type": "array", "items": deep(levels - 1)} if levels else {"type": "null"}


REFUSED = {
    "not JSON": ("{", "not JSON"),
    "not an object": ("[1, 2]", "not a JSON object"),
    "unknown type": ('{"type": "objekt"}', "objekt"),
    "unknown rule": ('{"uniqueItems": true}', "uniqueItems"),
    "one of": ('{"oneOf": [{"type": "string"}, {"maxLength": 3}]}', "oneOf"),
    "look ahead": ('{"type": "string", "pattern": "(?=a)b"}', "look-around"),
    "from elsewhere": ('{"$ref": "http://127.0.0.1:9/schema"}', "127.0.0.1"),
    "impossible": ('{"type": "integer", "minimum": 5, "maximum": 3}', "Unsatisfiable"),
    "itself": ('{"$ref": "#"}', "nothing fulfils it"),
    "deep": (json.dumps(deep(200)), "recursion"),
    "very deep": ('{"a":' * 5000 + "1" + "}" * 5000, "recursion"),
    "half a character": ('{"const": "\\ud800"}', "hex escape"),
    "long": (json.dumps({"enum": [f"value {number}" for number in range(20_000)]}), "characters"),
    "long value": (json.dumps({"const": "x" * 10_001}), "10001 characters"),
    "endless number": ('{"minimum": ' + "9" * 5000 + "}", "number"),
}


@pytest.mark.parametrize(("schema", "why"), REFUSED.values(), ids=REFUSED)
def test_schema_that_cannot_be_followed_is_refused_with_the_reason(
    tokenizer: LLTokenizer, schema: str, why: str
) -> None:
    with pytest.raises(UsageError, match="the schema cannot be followed: ") as refusal:
        compile_schema(schema, tokenizer)
    assert why in refusal.value.problem
    assert len(refusal.value.problem) < 700


def test_schema_that_takes_too_long_is_given_up(tokenizer: LLTokenizer) -> None:
    """Left to itself, this one takes longer than anybody has waited for it."""
    patterns = [{"pattern": f"^(.*a.{{{number}}})*b$"} for number in range(10, 40)]
    begun = time.monotonic()
    with pytest.raises(UsageError, match="takes too long"):
        compile_schema(json.dumps({"type": "string", "allOf": patterns}), tokenizer)
    assert time.monotonic() - begun < 20


def test_schema_that_was_tried_is_compiled(tokenizer: LLTokenizer) -> None:
    matcher = compile_schema('{"type": "string", "pattern": "^a+$"}', tokenizer)
    assert reason(matcher) == ""
    assert matcher.try_consume_tokens(list(b'"aa"')) == 4


def test_reason_found_by_a_trial_is_told(tokenizer: LLTokenizer) -> None:
    with pytest.raises(UsageError, match="followed: regex parse error"):
        compile_schema('{"type": "string", "pattern": "("}', tokenizer)
