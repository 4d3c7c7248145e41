import json
import math
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records import (
    Case,
    Completion,
    Failure,
    Gate,
    Manifest,
    ModelFacts,
    Result,
    Sampling,
    Score,
    ScorerSpec,
    Suite,
    ToolCall,
    TrainingJob,
    Usage,
)
from harness.serial import ParseError, from_json, json_schema, parse, to_json, to_plain, with_values

# Everything JSON can say, and texts it can say only after mending: lone surrogates.
texts = st.text(st.characters(exclude_categories=()), max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
completions = st.builds(
    Completion,
    text=texts,
    refusal=st.none() | texts,
    finish_reason=st.none() | st.sampled_from(["stop", "length"]),
    tool_calls=st.lists(st.builds(ToolCall, name=texts, arguments=texts), max_size=2).map(tuple),
    usage=st.builds(Usage, prompt_tokens=st.none() | st.integers(0, 10**6)),
    latency_s=finite,
)
failures = st.builds(Failure, kind=st.sampled_from(["auth", "timeout", "not_asked"]), message=texts)
scores = st.builds(
    Score,
    value=st.none() | st.floats(),
    reason=texts,
    answer=st.none() | texts,
    measures=st.dictionaries(st.text(max_size=5), st.floats(), max_size=3),
)
results = st.builds(
    Result,
    suite=texts,
    case=texts,
    role=st.sampled_from(["base", "candidate", "promoted", "judge"]),
    model=texts,
    trial=st.integers(0, 99),
    digest=texts,
    outcome=completions | failures,
    scores=st.dictionaries(st.text(max_size=5), scores, max_size=3),
)
cases = st.builds(
    Case,
    id=st.text(min_size=1),
    messages=st.lists(
        st.fixed_dictionaries({"role": st.just("user"), "content": json_values}), max_size=2
    ).map(tuple),
    expected=json_values,
    metadata=st.dictionaries(st.text(max_size=5), json_values, max_size=3),
)


def mended(value: Any) -> Any:
    """The value as JSON can hold it: no lone surrogate, no NaN, no infinity."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {
            mended(key): mended(item)
            for key, item in value.items()
            if not isinstance(item, float) or math.isfinite(item)
        }
    if isinstance(value, tuple):
        return tuple(mended(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: mended(getattr(value, item.name)) for item in fields(value)})
    return value


# --- there and back --------------------------------------------------------------------------------


@given(results)
@settings(deadline=None)
def test_every_row_comes_back_and_its_text_is_utf8_on_one_line(row: Result) -> None:
    text = to_json(row)
    assert "\n" not in text
    text.encode("utf-8")
    assert from_json(Result, text) == mended(row)


@given(cases)
@settings(deadline=None)
def test_every_case_comes_back(case: Case) -> None:
    assert from_json(Case, to_json(case)) == case


def test_manifest_comes_back_with_everything_in_it() -> None:
    suite = Suite(
        name="s",
        cases=(Case(id="a", messages=({"role": "user", "content": "?"},), expected={"x": [1, None]}),),
        scorers=(ScorerSpec(type="length", name="l", settings={"unit": "words", "at_most": 3}),),
        sampling=Sampling(stop=("a", "b"), seed=1, response_format={"type": "json_object"}),
        gates=(Gate(metric="score", at_least=0.5),),
        prompts={"base": "long", "candidate": ""},
    )
    manifest = Manifest(
        schema=1,
        id="x",
        status="interrupted",
        created="2026-01-01T00:00:00Z",
        suites=(suite,),
        models={"candidate": ModelFacts(model="m", endpoint="e", price={"input": 0.4})},
        selected={"s": ("a",)},
        plan="p",
        job=TrainingJob(
            id="j", status="succeeded", model="m", hyperparameters={"n_epochs": "auto", "x": None}
        ),
    )
    assert from_json(Manifest, to_json(manifest, indent=1)) == manifest


def test_two_surrogates_that_make_up_a_character_become_it() -> None:
    assert to_plain("\ud83d\ude00") == "😀"
    assert to_plain("a\ud83d!") == "a\ufffd!"


def test_number_json_has_no_word_for_is_missing_not_a_number() -> None:
    score = Score(value=math.nan, reason="r", measures={"good": 1.0, "bad": math.inf})
    again = from_json(Score, to_json(score))
    assert again.value is None
    assert again.measures == {"good": 1.0}


def test_none_in_a_mapping_stays() -> None:
    assert to_plain({"given": None, "lost": math.nan}) == {"given": None}


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    values = {"a": np.float32(0.5), "b": np.int64(3), "c": np.float64(0.25), "d": np.float32("nan")}
    assert to_plain(values) == {"a": 0.5, "b": 3, "c": 0.25}


def test_paths_and_keys_become_texts() -> None:
    assert to_plain({1: Path("a/b"), None: ("x", ["y"])}) == {"1": "a/b", "None": ["x", ["y"]]}


def test_plain_data_of_a_record_is_what_its_json_says() -> None:
    case = Case(id="a", messages=({"role": "user", "content": "?"},), tags=("x",))
    assert json.loads(to_json(case)) == to_plain(case)


def test_what_json_cannot_say_at_all_is_an_error_not_a_text() -> None:
    with pytest.raises(TypeError):
        to_json({"a": {1, 2}})


# --- what is wrong ---------------------------------------------------------------------------------


def told(cls: type, data: object) -> list[str]:
    with pytest.raises(ParseError) as caught:
        parse(cls, data)
    return [str(problem) for problem in caught.value.problems]


def told_of_json(cls: type, text: str | bytes) -> list[str]:
    with pytest.raises(ParseError) as caught:
        from_json(cls, text)
    return [str(problem) for problem in caught.value.problems]


def test_unknown_keys_are_told_at_every_depth_with_the_nearest_name() -> None:
    data = {
        "name": "s",
        "scorers": [],
        "cases": [{"id": "a", "messages": [], "requird": True}],
        "sampling": {"temprature": 0},
        "gates": [{"metric": "score", "at_leest": 1}],
        "marginn": 0.1,
    }
    assert sorted(told(Suite, data)) == [
        "cases.0.requird: unknown key, did you mean 'required'?",
        "gates.0.at_leest: unknown key, did you mean 'at_least'?",
        "marginn: unknown key, did you mean 'margin'?",
        "sampling.temprature: unknown key, did you mean 'temperature'?",
    ]


def test_key_that_is_near_no_name_is_told_with_the_names_there_are() -> None:
    assert told(Failure, {"kind": "auth", "message": "", "zzz": 1}) == [
        "zzz: unknown key, known: fatal, kind, message, status"
    ]


@pytest.mark.parametrize(
    ("cls", "data", "sentence"),
    [
        (Sampling, {"temperature": "hot"}, "temperature: 'hot' is not a number"),
        (Sampling, {"max_tokens": 1.5}, "max_tokens: 1.5 is not a whole number"),
        (Sampling, {"stop": "END"}, "stop: 'END' is not a list"),
        (Sampling, {"stop": ["a", 3]}, "stop.1: 3 is not a text, put it in quotes"),
        (Sampling, {"response_format": [1]}, "response_format: [1] is not a mapping"),
        (
            Case,
            {"id": "a", "messages": [], "required": "perhaps"},
            "required: 'perhaps' is not true or false",
        ),
        (Case, {"messages": []}, "id: missing, add it"),
        (Sampling, [1], "[1] is not a mapping"),
        (Sampling, None, "None is not a mapping"),
        (
            Gate,
            {"metric": None},
            "metric: None is not a text",
        ),
    ],
)
def test_wrong_value_is_told_in_plain_words(cls: type, data: object, sentence: str) -> None:
    assert told(cls, data) == [sentence]


def test_literal_is_told_with_its_choices_and_the_nearest() -> None:
    (sentence,) = told(Suite, {"name": "s", "cases": [], "scorers": [], "role": "targt"})
    assert sentence == (
        "role: 'targt' is not one of 'target', 'guard', 'critical' or 'info', did you mean 'target'?"
    )


def test_wrong_key_of_a_mapping_is_told_at_the_key() -> None:
    @dataclass(frozen=True)
    class Prompts:
        prompts: dict[Literal["base", "candidate"], str]

    assert told(Prompts, {"prompts": {"bse": "x"}})[0].startswith("prompts.bse: 'bse' is not one of 'base'")


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (
            {"kind": "auth", "message": "m", "statuss": 1},
            "outcome.statuss: unknown key, did you mean 'status'?",
        ),
        ({"text": 1}, "outcome.text: 1 is not a text, put it in quotes"),
        (
            {"text": "", "usage": {"promt_tokens": 1}},
            "outcome.usage.promt_tokens: unknown key, did you mean 'prompt_tokens'?",
        ),
    ],
)
def test_of_a_union_the_branch_that_was_meant_speaks(outcome: object, sentence: str) -> None:
    data = {"suite": "s", "case": "c", "role": "base", "model": "m", "trial": 0, "digest": ""}
    assert told(Result, {**data, "outcome": outcome}) == [sentence]


def test_equally_near_branches_of_a_union_are_told_together() -> None:
    @dataclass(frozen=True)
    class Needs:
        needs: str | tuple[str, ...]

    assert told(Needs, {"needs": {}}) == ["needs: {} is not a text or a list"]
    assert told(Needs, {"needs": [{}]}) == ["needs.0: {} is not a text"]


@pytest.mark.parametrize("text", ["", "{", "nonsense", b"\xff\xfe", "[" * 300, "{} {}"])
def test_text_that_is_not_json_is_one_clear_problem(text: str | bytes) -> None:
    (sentence,) = told_of_json(Sampling, text)
    assert sentence.startswith("not valid JSON: ")


def test_json_is_held_to_the_same_shape() -> None:
    assert told_of_json(Sampling, '{"temprature": 1}') == [
        "temprature: unknown key, did you mean 'temperature'?"
    ]


def test_changed_fields_are_checked_like_a_file() -> None:
    assert with_values(Sampling(), {"max_tokens": 3}) == Sampling(max_tokens=3)
    with pytest.raises(ParseError, match="max_tokens: 'x' is not a whole number"):
        with_values(Sampling(), {"max_tokens": "x"})
    with pytest.raises(ParseError, match=r"tempratur: unknown key, did you mean 'temperature'\?"):
        with_values(Sampling(), {"tempratur": 1})


def test_schema_names_the_fields_and_refuses_others() -> None:
    schema = json_schema(Gate)
    assert set(schema["properties"]) == {
        "metric",
        "at_least",
        "at_most",
        "at_least_ratio",
        "at_most_ratio",
    }
    assert schema["required"] == ["metric"]
    assert schema["additionalProperties"] is False
