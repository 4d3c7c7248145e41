import json
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import EndpointError, UsageError
from harness.localserver.generation.batch import Answer, Batch, Prompt
from harness.localserver.generation.constraints import Grammars
from harness.localserver.generation.sampling import Manner
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.tokenizer import ChatTokenizer
from tests.localserver.generation.noise import NoisyDecoder
from tests.localserver.tiny_model import write_tiny_model

POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
    "required": ["x", "y"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "any object": {"type": "object"},
    "closed object": POINT,
    "nested": {
        "type": "object",
        "properties": {"from": POINT, "to": {"type": "object", "properties": {"at": POINT}}},
        "required": ["from", "to"],
    },
    "enum": {"enum": ["billing", "bug", None, 3, {"a": [True]}]},
    "list": {"type": "array", "items": {"type": "string", "maxLength": 5}, "minItems": 2, "maxItems": 4},
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "boolean"}, {"type": "number"}],
        "items": False,
        "minItems": 2,
    },
    "whole numbers within": {"type": "integer", "minimum": -17, "maximum": 345},
    "numbers within": {"type": "number", "exclusiveMinimum": -0.5, "exclusiveMaximum": 12.25},
    "multiple": {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 1000},
    "reference": {
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}
                },
                "required": ["children"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/tree",
    },
    "unicode keys": {
        "type": "object",
        "properties": {"名前": {"type": "string", "maxLength": 3}, '😀\n"é': {"const": "ß\u0000"}},
        "required": ["名前", '😀\n"é'],
        "additionalProperties": False,
    },
    "one of several": {
        "anyOf": [POINT, {"type": "null"}, {"type": "string", "pattern": "^[A-F]{2}-[0-9]+$"}]
    },
    "free values": {
        "type": "object",
        "additionalProperties": {"type": ["boolean", "null"]},
        "maxProperties": 3,
    },
}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    return ChatTokenizer(GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")))


@pytest.fixture(scope="module")
def grammars(tokens: ChatTokenizer) -> Grammars:
    return Grammars(tokens)


MOST_TOKENS = 800


def answer_of(
    tokens: ChatTokenizer, grammars: Grammars, schema: object, *, seed: int = 0, temperature: float = 1.0
) -> Answer:
    """What a model that says anything answers under a schema; marks that end things are likely."""
    likely = [tokens.end_id, *tokens.encode_text('"}]')]
    batch = Batch(NoisyDecoder(tokens.size, seed=seed, likely=likely), tokens)
    prompt = Prompt(
        ids=(1,),
        max_tokens=MOST_TOKENS,
        manner=Manner(temperature=temperature, top_p=1.0, seed=seed),
        constraint=grammars.constraint(json.dumps(schema)),
    )
    batch.admit({0: prompt})
    while len(batch):
        ended = batch.step()
    answer = ended[0]
    assert isinstance(answer, Answer), answer
    return answer


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("temperature", [0.0, 1.0, 5.0])
def test_answer_that_ends_by_itself_fulfils_its_schema(
    tokens: ChatTokenizer, grammars: Grammars, schema: dict[str, Any], temperature: float
) -> None:
    finished = 0
    for seed in range(4):
        answer = answer_of(tokens, grammars, schema, seed=seed, temperature=temperature)
        if answer.complete:
            jsonschema.validate(json.loads(answer.text), schema)
            finished += 1
    assert finished


VALUES = st.recursive(
    st.fixed_dictionaries({"type": st.sampled_from(["integer", "number", "boolean", "null"])})
    | st.fixed_dictionaries({"enum": st.lists(st.text(max_size=4), min_size=1, max_size=3, unique=True)})
    | st.fixed_dictionaries({"type": st.just("string"), "maxLength": st.integers(0, 4)}),
    lambda inner: (
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            }
        )
        | inner.map(lambda items: {"type": "array", "items": items, "maxItems": 2})
    ),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(schema=VALUES, seed=st.integers(0, 2**32))
def test_any_schema_of_these_kinds_is_fulfilled(
    tokens: ChatTokenizer, grammars: Grammars, schema: dict[str, Any], seed: int
) -> None:
    answer = answer_of(tokens, grammars, schema, seed=seed)
    assert answer.complete or answer.tokens == MOST_TOKENS
    if answer.complete:
        jsonschema.validate(json.loads(answer.text), schema)


def test_answer_ends_when_nothing_can_follow(tokens: ChatTokenizer, grammars: Grammars) -> None:
    answer = answer_of(tokens, grammars, {"const": {"a": 1}})
    assert (json.loads(answer.text), answer.complete) == ({"a": 1}, True)


def allowed_after(grammars: Grammars, tokens: ChatTokenizer, schema: object, text: str) -> str:
    """The single characters that may follow a text."""
    constraint = grammars.constraint(json.dumps(schema))
    for token in tokens.encode_text(text):
        assert not constraint.forbidden()[token], f"{text} is not allowed at {tokens.decode([token])!r}"
        constraint.follow(token)
    found = [tokens.decode([token]) for token in (~constraint.forbidden()).nonzero()[:, 0].tolist()]
    return "".join(sorted(text for text in found if len(text) == 1))


def test_a_space_may_stand_between_parts_but_no_second(tokens: ChatTokenizer, grammars: Grammars) -> None:
    assert " " in allowed_after(grammars, tokens, POINT, "{")
    assert allowed_after(grammars, tokens, POINT, "{ ") == '"'
    assert allowed_after(grammars, tokens, POINT, '{"x": ') == "-0123456789"


def test_schema_cannot_ask_for_endless_spaces(tokens: ChatTokenizer, grammars: Grammars) -> None:
    loose = {**POINT, "x-guidance": {"whitespace_pattern": " *", "lenient": True}}
    assert allowed_after(grammars, tokens, loose, "{ ") == '"'


def test_answer_of_a_fulfilled_schema_can_only_end(tokens: ChatTokenizer, grammars: Grammars) -> None:
    constraint = grammars.constraint('{"type": "boolean"}')
    for token in tokens.encode_text("true"):
        constraint.follow(token)
    assert constraint.is_fulfilled
    assert (~constraint.forbidden()).nonzero()[:, 0].tolist() in ([], [tokens.end_id])


def test_answers_of_one_schema_do_not_share_their_progress(tokens: ChatTokenizer, grammars: Grammars) -> None:
    first, second = (grammars.constraint('{"enum": ["ab", "cd"]}') for _ in range(2))
    for token in tokens.encode_text('"a'):
        first.follow(token)
    assert not torch.equal(first.forbidden(), second.forbidden())


def test_token_that_is_not_allowed_is_a_failure(tokens: ChatTokenizer, grammars: Grammars) -> None:
    constraint = grammars.constraint('{"type": "integer"}')
    assert constraint.failure is None
    (token,) = tokens.encode_text("x")
    constraint.follow(token)
    assert isinstance(constraint.failure, EndpointError)
    assert not constraint.is_fulfilled


def test_refused_schema_is_no_burden_to_the_next(grammars: Grammars) -> None:
    with pytest.raises(UsageError):
        grammars.constraint('{"type": "objekt"}')
    grammars.constraint('{"type": "object"}')


def test_only_the_latest_schemas_are_kept(grammars: Grammars) -> None:
    for number in range(40):
        grammars.constraint(json.dumps({"const": number}))
    assert len(grammars._compiled) == 32
