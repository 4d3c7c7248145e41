"""Graders in suite files, and against the types of the official client."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import pytest
from grader_samples import LABEL_MODEL, MULTI, SCORE_MODEL, STRING_CHECK, TEXT_SIMILARITY
from openai.types import eval_create_params
from openai.types import graders as official

from harness.errors import SuiteError
from harness.evals import judge_pins, load_suite, role_needed
from harness.records import Json
from harness.scorers import BUILT_IN, build
from harness.scorers.graders.messages import PARTS, GraderMessage
from harness.scorers.graders.models import SamplingParams

OFFICIAL: Mapping[str, type] = {
    "string_check": official.StringCheckGrader,
    "text_similarity": official.TextSimilarityGrader,
    "score_model": official.ScoreModelGrader,
    "label_model": official.LabelModelGrader,
    "multi": official.MultiGrader,
}
SAMPLES = {
    str(entry["type"]): entry for entry in (STRING_CHECK, TEXT_SIMILARITY, SCORE_MODEL, LABEL_MODEL, MULTI)
}
CASES = """
cases:
  - id: refund
    prompt: "I want my money back"
    expected: billing
    metadata: {reference_answer: "You will get it within five days."}
"""


def literals(kind: object) -> set[object]:
    """The values of a Literal, perhaps optional."""
    parts = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    return {value for part in parts if get_origin(part) is Literal for value in get_args(part)}


def mistakes_of(tmp_path: Path, scorers: str) -> str:
    path = tmp_path / "graders.suite.yaml"
    path.write_text(f"name: graders\nscorers:\n{scorers}{CASES}", encoding="utf-8")
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    return str(caught.value)


@pytest.mark.parametrize("kind", OFFICIAL)
def test_sample_is_a_grader_to_the_official_client_too(kind: str) -> None:
    entry = dict(SAMPLES[kind])
    entry.pop("pass_threshold", None)
    if kind == "multi":  # the guides give graders by name; the client's type knows a single one
        graders = entry["graders"]
        assert isinstance(graders, dict)
        entry["graders"] = graders["label"]
    made = OFFICIAL[kind].model_validate(entry)  # type: ignore[attr-defined]
    assert made.to_dict() == entry


@pytest.mark.parametrize("kind", OFFICIAL)
def test_every_key_of_the_official_type_is_known(kind: str) -> None:
    known = {item.name for item in fields(BUILT_IN[kind])} | {"type", "name"}  # type: ignore[arg-type]
    assert set(OFFICIAL[kind].model_fields) <= known  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "key"), [("string_check", "operation"), ("text_similarity", "evaluation_metric")]
)
def test_choices_are_those_of_the_official_type(kind: str, key: str) -> None:
    ours = literals(get_type_hints(BUILT_IN[kind])[key])
    assert ours == literals(OFFICIAL[kind].model_fields[key].annotation)  # type: ignore[attr-defined]


def test_keys_and_roles_of_messages_are_those_of_the_official_type() -> None:
    message = official.score_model_grader.Input
    assert {item.name for item in fields(GraderMessage)} == set(message.model_fields)
    ours = literals(get_type_hints(GraderMessage)["role"])
    assert ours == literals(message.model_fields["role"].annotation)


def test_sampling_knows_every_key_of_the_official_type() -> None:
    official_keys = set(official.score_model_grader.SamplingParams.model_fields)
    assert official_keys <= {item.name for item in fields(SamplingParams)}


def test_parts_of_messages_are_those_of_the_official_type() -> None:
    kinds = {
        literal
        for part in get_args(official.grader_inputs.GraderInputItem)
        if hasattr(part, "model_fields")
        for literal in literals(part.model_fields["type"].annotation)
    }
    assert kinds <= set(PARTS)


def test_thresholds_of_evals_are_known() -> None:
    for kind in ("text_similarity", "score_model"):
        name = "TestingCriterion" + "".join(word.title() for word in kind.split("_"))
        assert "pass_threshold" in get_type_hints(getattr(eval_create_params, name))
        assert "pass_threshold" in {item.name for item in fields(BUILT_IN[kind])}  # type: ignore[arg-type]


def test_json_of_every_grader_stands_in_a_suite_file_as_it_is(tmp_path: Path) -> None:
    listed = "".join(f"  - {json.dumps(entry)}\n" for entry in SAMPLES.values())
    cases = CASES.replace("expected: billing", "expected: billing\n    tags: [money]")
    path = tmp_path / "graders.suite.yaml"
    path.write_text(f"name: graders\nscorers:\n{listed}{cases}", encoding="utf-8")
    suite = load_suite(path)
    assert [spec.name for spec in suite.scorers] == ["Right label", "near", "helpful", "tone", "both"]
    assert [spec.type for spec in suite.scorers] == list(SAMPLES)


def test_indented_json_is_read_with_the_line_of_each_key(tmp_path: Path) -> None:
    entry: dict[str, Json] = {**STRING_CHECK, "operation": "equals", "reference": "{{ label }}"}
    text = json.dumps(entry, indent=4).replace("\n", "\n    ")
    told = mistakes_of(tmp_path, f"  - {text}\n")
    assert "graders.suite.yaml:8: scorers.0.operation: 'equals' is not one of" in told


def test_wrong_templates_are_told_with_their_lines(tmp_path: Path) -> None:
    told = mistakes_of(
        tmp_path,
        """  - type: string_check
    input: "{{ sample.output_txt }}"
    reference: "{{ expected }}"
    operation: eq
  - type: multi
    calculate_output: right + wrong
    graders:
      right:
        type: label_model
        input:
          - {role: user, content: fine}
          - {role: user, content: "{{ answer }}"}
        labels: [a, b]
        passing_labels: [c]
""",
    )
    assert ":4: scorers.0.input: `sample` has no 'output_txt'; did you mean 'output_text'?" in told
    assert ":5: scorers.0.reference: '{{ expected }}' is no variable" in told
    assert ":8: scorers.1.calculate_output: no grader is called 'wrong'" in told
    assert ":14: scorers.1.graders.right.input.1.content: '{{ answer }}' is no variable" in told
    assert ":16: scorers.1.graders.right.passing_labels.0: 'c' is no label" in told


def test_case_without_what_a_template_names_is_told_with_its_line(tmp_path: Path) -> None:
    told = mistakes_of(
        tmp_path,
        '  - {type: string_check, input: "{{ item.reference }}", reference: x, operation: eq}\n',
    )
    assert ":6: case refund: string_check: `item.reference`: the case has no 'reference'" in told
    assert "did you mean 'reference_answer'?" in told


@pytest.mark.parametrize(
    "needs", ["{{ sample.output_text }}", "{{ sample.output_json.x }}", "{{ item.reference_answer }}"]
)
def test_run_pins_what_a_grader_asks(tmp_path: Path, needs: str) -> None:
    def pinned(word: str) -> str:
        entry = {**LABEL_MODEL, "input": [{"role": "user", "content": f"{word} {needs}"}]}
        path = tmp_path / "graders.suite.yaml"
        path.write_text(f"name: graders\nscorers:\n  - {json.dumps(entry)}\n{CASES}", encoding="utf-8")
        return judge_pins([load_suite(path)])["graders: tone"]

    assert pinned("Warm?") == pinned("Warm?")
    assert pinned("Warm?") != pinned("Cold?")


def test_graders_that_compare_texts_need_neither_judge_nor_embeddings(tmp_path: Path) -> None:
    combined = {
        "type": "multi",
        "graders": {"near": {**TEXT_SIMILARITY, "name": "near"}},
        "calculate_output": "near",
    }
    listed = "".join(
        f"  - {json.dumps(entry)}\n" for entry in (STRING_CHECK, TEXT_SIMILARITY, combined, MULTI)
    )
    path = tmp_path / "graders.suite.yaml"
    path.write_text(f"name: graders\nscorers:\n{listed}{CASES}", encoding="utf-8")
    specs = load_suite(path).scorers
    assert [role_needed(build(spec)) for spec in specs] == [None, None, None, "judge"]


def test_python_grader_is_refused_with_a_remedy(tmp_path: Path) -> None:
    told = mistakes_of(
        tmp_path,
        '  - {type: python, name: own, source: "def grade(sample, item): return 1.0"}\n',
    )
    assert (
        ":3: scorers.0.type: a `python` grader is code, and no code out of a suite file is ever run" in told
    )
    assert "type: module:Class" in told
