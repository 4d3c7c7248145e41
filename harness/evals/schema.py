"""The JSON Schema of suite files, for editors: what `load_suite` takes, with a word on every key."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping

from harness.evals.suites import NEEDS, SCORER_KEYS, SLUG, SuiteEntry
from harness.records import Json
from harness.scorers import BUILT_IN
from harness.serial import json_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OWN = "own_scorer"

_SUITE = {
    "name": "The suite's name, in reports and on the command line.",
    "scorers": "What judges an answer. Without weights, all count alike.",
    "description": "A sentence for the page.",
    "role": "target: must improve. guard: must not suffer. critical: must be proved not to suffer. info: is only shown.",
    "task": "Whether one answer is right or several are; the advice on epochs depends on it.",
    "margin": "guard and critical, in a migration target too: the largest loss that is acceptable, as a share: 0.05 is five points.",
    "weight": "How much the suite counts among others of its role.",
    "needs": "What the models must be capable of; the suite is skipped where they are not.",
    "system": "The system prompt of every case.",
    "prompts": "A system prompt for each role, in place of `system`; an empty one sends none.",
    "sampling": "How answers are drawn.",
    "trials": "How often every case is asked.",
    "family": "A key of the cases' metadata: cases that share its value are not independent of each other.",
    "pass_mark": "The score from which an answer counts as good.",
    "gates": "Conditions on the result; every one must be met.",
    "cases": "The prompts.",
    "cases_file": "Further cases: a .jsonl or .csv file, relative to this one.",
}
_CASE = {
    "id": "What the case is called; unique in the suite.",
    "prompt": "The user's message; it comes after `messages`.",
    "messages": "The conversation so far, as the provider's API has it.",
    "expected": "What a right answer is; the scorers say what they need.",
    "tags": "Words to select cases by, with -k.",
    "required": "Whether the run fails when the candidate is not good at this case.",
    "metadata": "Whatever else belongs to the case.",
}
_GATE = {
    "metric": "A scorer's name, a measure it reports, or score, tokens, prompt_tokens, completion_tokens, latency_s.",
    "at_least": "The least the candidate's mean may be.",
    "at_most": "The most the candidate's mean may be.",
    "at_least_ratio": "The least share of the reference's mean.",
    "at_most_ratio": "The most share of the reference's mean.",
}
_SAMPLING = {
    "temperature": "0 draws the likeliest answer; null leaves it to the endpoint.",
    "max_tokens": "The longest answer, in tokens; null leaves it to the endpoint.",
    "top_p": "The share of probability that is drawn from.",
    "seed": "For endpoints that draw the same answer again; trial n is sent seed + n.",
    "stop": "Texts that end an answer.",
    "response_format": "The provider's setting for structured answers.",
    "tools": "Functions the model may call.",
    "top_logprobs": "How many of the likeliest tokens to report for each token of the answer; at most 20 at OpenAI.",
}
_HEAD = {
    "type": "Which scorer.",
    "name": "What its metric is called; by default the type.",
    "weight": "How much it counts in the score of a case.",
}
_LIMITS: Mapping[str, Mapping[str, Json]] = {
    "name": {"pattern": f"^{SLUG.pattern}$"},
    "scorers": {"minItems": 1},
    "margin": {"minimum": 0, "exclusiveMaximum": 1},
    "weight": {"minimum": 0},
    "trials": {"minimum": 1},
    "pass_mark": {"minimum": 0, "maximum": 1},
    "needs": {
        "anyOf": [{"enum": list(NEEDS)}, {"type": "array", "items": {"enum": list(NEEDS)}}],
    },
}


def suite_schema() -> dict[str, Json]:
    """The schema as plain data, the scorers told apart by their `type`."""
    schema = json_schema(SuiteEntry)
    definitions = schema.pop("$defs")
    _describe(schema, _SUITE, _LIMITS)
    _describe(definitions["CaseEntry"], _CASE, {"id": _LIMITS["name"]})
    _describe(definitions["Gate"], _GATE, {})
    _describe(definitions["Sampling"], _SAMPLING, {})
    definitions["CaseEntry"]["anyOf"] = _one_of_keys("prompt", "messages")
    definitions["Gate"]["anyOf"] = _one_of_keys(*(key for key in _GATE if key != "metric"))
    scorers = {f"scorer_{kind}": _scorer(kind, cls) for kind, cls in BUILT_IN.items()}
    scorers[OWN] = _own_scorer()
    parts = {name: part for cls in BUILT_IN.values() for name, part in _parts(cls).items()}
    schema["properties"]["scorers"]["items"] = {
        "type": "object",
        "required": ["type"],
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in scorers],
    }
    schema["anyOf"] = _one_of_keys("cases", "cases_file")
    schema["description"] = "A *.suite.yaml file."
    return {
        "$schema": DIALECT,
        "title": "Suite of cases",
        **schema,
        "$defs": {**definitions, **parts, **scorers},
    }


def _describe(
    schema: dict[str, Json], words: Mapping[str, str], limits: Mapping[str, Mapping[str, Json]]
) -> None:
    """Put a description and limits on every property, in place of the titles that repeat its name."""
    schema.pop("title", None)
    properties = schema["properties"]
    assert isinstance(properties, dict), "a record's schema"
    for name, part in properties.items():
        part.pop("title", None)
        part |= {**limits.get(name, {}), **({"description": words[name]} if name in words else {})}


def _one_of_keys(*names: str) -> list[Json]:
    return [{"required": [name]} for name in names]


def _head(kind: Mapping[str, Json]) -> dict[str, Json]:
    """The keys every scorer has."""
    types: dict[str, Mapping[str, Json]] = {
        "type": kind,
        "name": {"type": "string"},
        "weight": {"type": "number", "minimum": 0},
    }
    return {name: {**types[name], "description": _HEAD[name]} for name in SCORER_KEYS}


def _scorer(kind: str, cls: type) -> dict[str, Json]:
    schema = json_schema(cls)
    schema.pop("$defs", None)  # they stand beside the scorers: see `_parts`
    _describe(schema, _field_words(cls), {})
    schema["properties"] = {**_head({"const": kind}), **schema["properties"]}
    schema["required"] = ["type", *schema.get("required", [])]
    return schema


def _parts(cls: type) -> dict[str, Json]:
    """The records that a scorer's settings are made of; they stand in the scorer's own module."""
    parts: dict[str, Json] = json_schema(cls).get("$defs", {})
    for name, part in parts.items():
        assert isinstance(part, dict), "a record's schema"
        _describe(part, _field_words(getattr(sys.modules[cls.__module__], name)), {})
    return parts


def _own_scorer() -> dict[str, Json]:
    return {
        "type": "object",
        "description": "A scorer of your own: a record with a `score` method, named by its module and class.",
        "properties": _head({"type": "string", "pattern": r"^[\w.]+:\w+$"}),
        "required": ["type"],
    }


def _field_words(cls: type) -> dict[str, str]:
    """The string that stands below a field in the source, by field."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef), "the source of a class"
    words = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                words[field.target.id] = inspect.cleandoc(text.value)
    return words
