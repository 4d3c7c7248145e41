import json
from fnmatch import fnmatch
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.evals import case_digest, load_suite, messages_for

GOOD = """\
name: capitals
role: target
system: Answer with one word.
sampling: {temperature: 0, max_tokens: 8}
scorers:
  - {type: exact_match}
cases:
  - {id: france, prompt: "Capital of France?", expected: Paris, tags: [easy], required: true}
  - {id: peru, prompt: "Capital of Peru?", expected: Lima, metadata: {continent: america}}
gates:
  - {metric: exact_match, at_least: 0.5}
"""


def write(folder: Path, text: str, name: str = "capitals.suite.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def complaints(folder: Path, text: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        load_suite(write(folder, text))
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_good_file_becomes_a_suite(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD))
    assert [case.id for case in suite.cases] == ["france", "peru"]
    assert suite.cases[0].required
    assert suite.cases[0].line == 8
    assert suite.cases[1].metadata == {"continent": "america"}
    assert suite.scorers[0].name == "exact_match"
    assert suite.sampling.max_tokens == 8
    assert suite.gates[0].at_least == 0.5


def test_all_mistakes_are_told_at_once_with_line_and_nearest_name(tmp_path: Path) -> None:
    lines = complaints(
        tmp_path,
        """\
name: capitals
rol: target
scorers:
  - {type: exact_mach}
  - {type: length, unit: parsecs}
sampling: {temprature: 0}
cases:
  - {id: france, promt: "Capital of France?"}
  - {id: france, prompt: 3}
gates:
  - {metric: exact_match, at_leat: 0.5}
""",
    )
    text = "\n".join(lines)
    assert "capitals.suite.yaml:2: rol: unknown key, did you mean 'role'?" in lines
    assert "capitals.suite.yaml:4: scorers.0.type: " in text
    assert "did you mean 'exact_match'?" in text
    assert "capitals.suite.yaml:5: scorers.1.unit: " in text
    assert "capitals.suite.yaml:6: sampling.temprature: unknown key, did you mean 'temperature'?" in lines
    assert "capitals.suite.yaml:8: cases.0.promt: unknown key, did you mean 'prompt'?" in lines
    assert "capitals.suite.yaml:9: cases.1.prompt: " in text
    assert "capitals.suite.yaml:9: cases.1.id: the id 'france' is given twice, rename one" in lines
    assert "capitals.suite.yaml:11: gates.0.at_leat: unknown key, did you mean 'at_least'?" in lines


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("name: capitals", "name: the capitals"), "1: name: 'the capitals' is not a slug"),
        (("role: target", "role: targt"), "did you mean 'target'?"),
        (("role: target", "needs: big-model"), "2: needs: unknown need 'big-model', "),
        (("role: target", "trials: 0"), "2: trials: 0 trials, at least 1"),
        (("role: target", "margin: 5"), "2: margin: 5.0 is outside 0..1"),
        (("role: target", "family: city"), "8: case france: no 'city' in its metadata"),
        (("id: peru", "id: france"), "9: the id 'france' is given twice, rename one"),
        (("id: peru", "id: 'pe ru'"), "9: case pe ru: the id 'pe ru' is not a slug"),
        (("metric: exact_match", "metric: exact_mtch"), "did you mean 'exact_match'?"),
        ((", at_least: 0.5", ""), "11: gates.0: no condition"),
        (('prompt: "Capital of Peru?", ', ""), "9: case peru: nothing is asked"),
        ((", expected: Lima", ""), "9: case peru: exact_match: "),
        (("  - {type: exact_match}", "  - {name: x}"), "6: scorers.0: a scorer needs a type"),
        (("cases:", "cases_file: no.jsonl\ncases:"), "cases_file: no.jsonl: No such file"),
    ],
)
def test_mistake_is_told_at_its_line(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    assert any(complaint in line for line in complaints(tmp_path, GOOD.replace(*change)))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "name: [", "name: x\nname: y\n", "a: &a [*a]\n", "\x00"])
def test_hopeless_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    assert complaints(tmp_path, text)[0].startswith("capitals.suite.yaml:")


def test_file_that_is_not_utf8_says_so(tmp_path: Path) -> None:
    path = tmp_path / "capitals.suite.yaml"
    path.write_bytes("name: é".encode("latin-1"))
    with pytest.raises(SuiteError, match="not UTF-8"):
        load_suite(path)


def test_yaml_no_and_dates_stay_text(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD.replace("expected: Lima", "expected: no")))
    assert suite.cases[1].expected == "no"


def test_cases_come_from_jsonl_with_their_own_lines(tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text(
        '{"id": "a", "prompt": "A?", "expected": "a"}\n\n{"id": "b", "promt": "B?"}\nnot json\n',
        encoding="utf-8",
    )
    with pytest.raises(SuiteError) as caught:
        load_suite(write(tmp_path, GOOD.replace("cases:", "cases_file: more.jsonl\ncases:")))
    text = str(caught.value)
    assert "more.jsonl:3: promt: unknown key, did you mean 'prompt'?" in text
    assert "more.jsonl:4: not valid JSON" in text


def test_cases_come_from_csv_and_other_columns_are_metadata(tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text(
        'id,prompt,expected,tags,city\nx,"One, two?",2,math easy,Oslo\n', encoding="utf-8-sig"
    )
    suite = load_suite(write(tmp_path, GOOD.replace("cases:", "cases_file: more.csv\ncases:")))
    case = suite.cases[-1]
    assert case.messages == ({"role": "user", "content": "One, two?"},)
    assert case.tags == ("math", "easy")
    assert case.metadata == {"city": "Oslo"}


def test_role_prompt_replaces_the_system_prompt(tmp_path: Path) -> None:
    text = GOOD.replace(
        "system: Answer with one word.", 'prompts: {base: "Long instruction.", candidate: ""}'
    )
    suite = load_suite(write(tmp_path, text))
    case = suite.cases[0]
    assert messages_for(suite, case, "base")[0] == {"role": "system", "content": "Long instruction."}
    assert messages_for(suite, case, "candidate") == case.messages
    assert messages_for(suite, case, "promoted") == case.messages


def test_edited_prompt_is_another_case(tmp_path: Path) -> None:
    first = load_suite(write(tmp_path, GOOD))
    second = load_suite(write(tmp_path, GOOD.replace("Capital of Peru?", "Peru's capital?")))
    assert case_digest(first, first.cases[0]) == case_digest(second, second.cases[0])
    assert case_digest(first, first.cases[1]) != case_digest(second, second.cases[1])
    assert first.digest != second.digest


def test_digest_does_not_depend_on_place_or_layout(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    moved = write(other, "# a comment\n" + GOOD)
    assert load_suite(write(tmp_path, GOOD)).digest == load_suite(moved).digest


TWO_LENGTHS = """\
name: haiku
scorers:
  - {{type: length, unit: characters, at_most: 80{first}}}
  - {{type: length, unit: words, at_most: 17{second}}}
cases:
  - {{id: one, prompt: "A haiku."}}
gates:
  - {{metric: {metric}, at_most: 17}}
"""


@pytest.mark.parametrize(
    ("first", "second", "metric", "told"),
    [
        ("", "", "length", "haiku.suite.yaml:4: *two scorers are called 'length', give this one a `name:`*"),
        (", name: chars", ", name: words", "length", "haiku.suite.yaml:8: *2 scorers report 'length', say chars.length or words.length"),
        (", name: chars", ", name: words", "word.length", "haiku.suite.yaml:8: *did you mean 'words.length'?"),
        (", name: chars", ", name: words", "words.length", None),
        ("", ", name: words", "length", None),
    ],
)  # fmt: skip
def test_scorers_of_one_type_and_their_measures_are_told_apart(
    tmp_path: Path, first: str, second: str, metric: str, told: str | None
) -> None:
    path = tmp_path / "haiku.suite.yaml"
    path.write_text(TWO_LENGTHS.format(first=first, second=second, metric=metric), encoding="utf-8")
    if told is None:
        assert load_suite(path).gates[0].metric == metric
        return
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert any(fnmatch(line, f"*{told}") for line in str(caught.value).splitlines()), str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("at_least: 0.5", "at_least: nan", "capitals.suite.yaml:11: gates.0: nan is no bound, give a number"),
        ("at_least: 0.5", "at_most: inf", "capitals.suite.yaml:11: gates.0: inf is no bound, give a number"),
        ("temperature: 0,", "temperature: inf,", "*:4: sampling.temperature: inf is no number JSON has, give another"),
        ("role: target", "role: target\nweight: inf", "*:3: weight: inf, weigh suites from 0 up"),
    ],
)  # fmt: skip
def test_a_number_that_json_cannot_hold_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "capitals.suite.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert fnmatch(str(caught.value), f"*{told}")


def test_cells_of_a_table_of_cases_may_be_as_long_as_any_prompt(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"id,prompt,expected\na,{'x' * 200_000},y\n", encoding="utf-8")
    suite = tmp_path / "a.suite.yaml"
    suite.write_text("name: a\nscorers: [{type: exact_match}]\ncases_file: c.csv\n", encoding="utf-8")
    assert len(str(load_suite(suite).cases[0].messages[0]["content"])) == 200_000


def test_cases_that_are_not_utf8_are_told_how_to_be_saved(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes("id,prompt\na,é\n".encode("utf-16"))
    suite = tmp_path / "a.suite.yaml"
    suite.write_text("name: a\nscorers: [{type: exact_match}]\ncases_file: c.csv\n", encoding="utf-8")
    with pytest.raises(
        SuiteError, match=r"c\.csv: not UTF-8, save it as UTF-8; in a spreadsheet, as CSV UTF-8"
    ):
        load_suite(suite)


def test_a_suite_written_as_json_has_the_characters_that_json_escapes_in_two_halves(tmp_path: Path) -> None:
    suite = tmp_path / "a.suite.yaml"
    cases = [{"id": "a", "prompt": "\U0001f469", "expected": "y"}]
    suite.write_text(
        json.dumps({"name": "a", "scorers": [{"type": "exact_match"}], "cases": cases}), encoding="utf-8"
    )
    assert load_suite(suite).cases[0].messages[0]["content"] == "\U0001f469"
