import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from harness.errors import SuiteError
from harness.evals import load_suite
from harness.evals.schema import suite_schema
from harness.scorers import BUILT_IN
from harness.serial import read_json_lines, read_yaml, to_json

ROOT = Path(__file__).parent.parent.parent
SCHEMA: dict[str, Any] = suite_schema()
SUITES = sorted((ROOT / "suites").rglob("*.suite.yaml"))
GOOD = """\
name: capitals
role: guard
margin: 0.05
needs: [capable-model]
prompts: {base: long, candidate: ""}
sampling: {temperature: 0, max_tokens: 8, stop: ["."]}
scorers:
  - {type: exact_match, name: right, weight: 2}
  - {type: length, unit: words, at_most: 3}
  - {type: "mine.scorers:Tone", mood: dry}
cases:
  - {id: france, prompt: "Capital of France?", expected: Paris, tags: [easy], required: true}
  - {id: peru, messages: [{role: user, content: "Capital of Peru?"}], expected: Lima, metadata: {x: 1}}
gates:
  - {metric: right, at_least: 0.5}
"""


def faults(text: str) -> list[str]:
    """Where the schema objects, as `path: message`."""
    errors = Draft202012Validator(SCHEMA).iter_errors(read_yaml(text).data)
    return ["/".join(map(str, error.absolute_path)) + f": {error.message}" for error in errors]


def test_published_file_is_up_to_date() -> None:
    """Else run `python scripts/suite_schema.py`."""
    published = (ROOT / "docs" / "suite.schema.json").read_text(encoding="utf-8")
    assert published == to_json(suite_schema(), indent=1) + "\n"


def test_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.name)
def test_shipped_suite_keeps_to_the_schema(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted((ROOT / "suites").rglob("*.cases.jsonl")), ids=lambda path: path.name)
def test_shipped_cases_keep_to_the_schema(path: Path) -> None:
    validator = Draft202012Validator({"$ref": "#/$defs/CaseEntry", "$defs": SCHEMA["$defs"]})
    rows, mistakes = read_json_lines(path.read_text(encoding="utf-8"))
    assert mistakes == []
    assert rows
    assert [error.message for _, row in rows for error in validator.iter_errors(row)] == []


def test_good_suite_with_every_kind_of_scorer_keeps_to_the_schema() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("role: guard", "rol: guard"), ": Additional properties are not allowed ('rol' was unexpected)"),
        (("role: guard", "role: gaurd"), "role: 'gaurd' is not one of"),
        (("temperature: 0", "temprature: 0"), "sampling: Additional properties"),
        (("at_least: 0.5", "at_leest: 0.5"), "gates/0: "),
        (('prompt: "Capital of France?"', 'promt: "Capital of France?"'), "cases/0: "),
        (("unit: words", "unit: parsecs"), "scorers/1: "),
        (("at_most: 3", "at_mots: 3"), "scorers/1: "),
        (("type: exact_match", "type: exact_mach"), "scorers/0: "),
        (("type: exact_match, name: right", "name: right"), "scorers/0: "),
        (("weight: 2", "weight: -2"), "scorers/0: "),
        (("margin: 0.05", "margin: 5"), "margin: 5 is greater than or equal to the maximum of 1"),
        (("margin: 0.05", "trials: 0"), "trials: 0 is less than the minimum of 1"),
        (("margin: 0.05", "pass_mark: 2"), "pass_mark: 2 is greater than the maximum of 1"),
        (("capable-model", "capable-modl"), "needs: "),
        (("base: long", "bass: long"), "prompts: 'bass' is not one of"),
        (("id: france", 'id: "fran ce"'), "cases/0/id: 'fran ce' does not match"),
        (("name: capitals", "name: the capitals"), "name: 'the capitals' does not match"),
        (("max_tokens: 8", "max_tokens: many"), "sampling/max_tokens: "),
        (("required: true", "required: 3"), "cases/0/required: "),
    ],
)
def test_mistake_is_found_by_the_schema_and_by_the_loader(
    tmp_path: Path, change: tuple[str, str], place: str
) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    found = faults(text)
    assert found
    assert all(fault.startswith(place) for fault in found)
    path = tmp_path / "capitals.suite.yaml"
    path.write_text(re.sub(r"  - \{type: .mine.*\n", "", text), encoding="utf-8")
    with pytest.raises(SuiteError):
        load_suite(path)


@pytest.mark.parametrize("missing", ["name: capitals\n", "scorers:\n", "cases:\n"])
def test_suite_needs_a_name_scorers_and_cases(missing: str) -> None:
    start = GOOD.index(missing)
    end = re.compile(r"^\w|\Z", re.MULTILINE).search(GOOD, start + 1)
    assert end is not None
    assert len(faults(GOOD[:start] + GOOD[end.start() :])) == 1


def test_every_built_in_scorer_is_in_the_schema_with_its_settings() -> None:
    kinds = {}
    for option in SCHEMA["properties"]["scorers"]["items"]["oneOf"]:
        definition = SCHEMA["$defs"][option["$ref"].removeprefix("#/$defs/")]
        kinds[definition["properties"]["type"].get("const")] = definition
    assert set(kinds) == {*BUILT_IN, None}
    assert "labels" in kinds["label"]["properties"]
    assert kinds["label"]["required"] == ["type", "labels"]


@pytest.mark.parametrize("name", ["", "CaseEntry", "Gate", "Sampling"])
def test_every_key_is_described(name: str) -> None:
    record = SCHEMA["$defs"][name] if name else SCHEMA
    assert [key for key, part in record["properties"].items() if not part.get("description")] == []


def test_setting_of_a_scorer_is_described_by_the_words_below_it() -> None:
    definition = SCHEMA["$defs"]["scorer_label"]
    assert "Other wordings" in definition["properties"]["aliases"]["description"]
    assert definition["description"].startswith("The answer is one of a closed list of labels")


def test_schema_says_nothing_that_json_cannot() -> None:
    assert json.loads(to_json(SCHEMA)) == SCHEMA
