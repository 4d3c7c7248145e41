import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Mistake
from harness.serial import LineError, Problem, read_json_lines, read_yaml


def sentences(text: str) -> list[str]:
    """All that is wrong with a YAML text, as `line: what, remedy`."""
    try:
        found = read_yaml(text).mistakes
    except LineError as error:
        found = (error.mistake,)
    return [mistake.sentence("")[1:] for mistake in found]


# --- YAML: values ----------------------------------------------------------------------------------


TEXTS = "no on yes off y n 12:30 1:30:00 2026-01-01 017 0x1F 0o7 1_000 +49 1. .5 1e 0.1.2 .inf .nan NaN Infinity = <<"


@pytest.mark.parametrize("text", TEXTS.split())
def test_what_is_not_plainly_a_number_stays_text(text: str) -> None:
    assert read_yaml(f"expected: {text}").data == {"expected": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-12", -12),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("12345678901234567890123", 12345678901234567890123),
    ],
)
def test_plain_scalar_is_what_json_says_it_is(text: str, value: object) -> None:
    found = read_yaml(f"expected: {text}").data
    assert found == {"expected": value}
    assert isinstance(found, dict)
    assert type(found["expected"]) is type(value)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30))
def test_quoted_text_is_read_as_it_stands(text: str) -> None:
    quoted = text.replace("'", "''")
    assert read_yaml(f"- '{quoted}'").data == [text]


def test_keys_are_texts_as_they_are_written() -> None:
    assert read_yaml("1: a\ntrue: b\nnull: c\n1.50: d\nno: e\n").data == {
        "1": "a",
        "true": "b",
        "null": "c",
        "1.50": "d",
        "no": "e",
    }


def test_anchors_and_merges_repeat_and_own_keys_win() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {x: 3, z: 4}\nc: {<<: *a, y: 5}\nd:\n  z: 9\n  <<: [*a, *b]\ne: *a\n"
    document = read_yaml(text)
    assert document.mistakes == ()
    assert document.data == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 3, "z": 4},
        "c": {"x": 1, "y": 5},
        "d": {"x": 1, "y": 2, "z": 9},
        "e": {"x": 1, "y": 2},
    }
    assert document.line(("d",)) == 4
    assert document.line(("d", "z")) == 5
    assert document.line(("d", "x")) == 1, "a mistake in what is merged is mended where it stands"


def test_empty_text_is_nothing() -> None:
    for text in ("", "# only a comment\n", "---\n"):
        assert read_yaml(text).data is None


# --- YAML: lines -----------------------------------------------------------------------------------


def test_every_path_has_its_line_and_an_unknown_one_its_parents() -> None:
    document = read_yaml("a: 1\nb:\n  - x: 1\n    y: 2\n  - [p,\n     q]\n")
    assert document.line(("b", 0, "y")) == 4
    assert document.line(("b", 1, 1)) == 6
    assert document.line(("b", 1, 7)) == 5
    assert document.line(("nowhere",)) == 1
    assert document.mistake(Problem(("b", 0, "y"), "bad", "mend it")) == Mistake(4, "b.0.y: bad", "mend it")


# --- YAML: mistakes --------------------------------------------------------------------------------


def test_all_twins_are_told_and_the_first_is_kept() -> None:
    text = "a: 1\nb: {c: 1, c: 2}\na: 3\n"
    assert sentences(text) == [
        "2: b.c: the key is given twice, keep one",
        "3: a: the key is given twice, keep one",
    ]
    assert read_yaml(text).data == {"a": 1, "b": {"c": 1}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a:\n\tb: 1\n",
            "2: not valid YAML: found character '\\t' that cannot start any token, indent with spaces",
        ),
        (
            "a: 1\nb: @home\n",
            "2: not valid YAML: found character '@' that cannot start any token, put the text in",
        ),
        (
            "a: 1\nb: what: this\n",
            "2: not valid YAML: mapping values are not allowed here, put a text with a colon",
        ),
        (
            "a: *emphasis*\n",
            "1: not valid YAML: expected alphabetic or numeric character, but found '*', put a text",
        ),
        ("a: *later\n", "1: not valid YAML: found undefined alias"),
        ("a: 'open\nb: 1\n", "3: not valid YAML: found unexpected end of stream, close the quotes"),
        ("a: 1\n---\nb: 2\n", "2: not valid YAML: but found another document, one document a file"),
        (
            'a: "x" y\n',
            "1: not valid YAML: expected <block end>, but found '<scalar>', put the whole text in one",
        ),
        ("a: 1\nb\x00: 2\n", "2: not valid YAML: the character U+0000 is not allowed, remove it"),
        ("a: \x1b[31m\n", "1: not valid YAML: the character U+001B is not allowed, remove it"),
        (
            "a: 1\nb: !important x\n",
            "2: b: the tag !important means nothing here, remove it, or put a text that",
        ),
        (
            "a: !!python/object/apply:os.system [echo]\n",
            "1: a: the tag !!python/object/apply:os.system means nothing",
        ),
        ("a: !!binary aGk=\n", "1: a: the tag !!binary means nothing here"),
        ("a: !!timestamp never\n", "1: a: the tag !!timestamp means nothing here"),
        ("a: !!int x\n", "1: a: 'x' cannot be read as int"),
        ("a: !!bool maybe\n", "1: a: 'maybe' cannot be read as bool"),
        ("a: !!int {b: 1}\n", "1: a: the tag !!int means nothing here"),
        ("a: 1e999\n", "1: a: '1e999' cannot be read as float"),
        ("? [1, 2]\n: x\n", "1: a key must be a text"),
        ("a:\n  <<: 3\n", "2: a: `<<` merges mappings only"),
        ("a:\n  <<: [1]\n", "2: a: `<<` merges mappings only"),
    ],
)
def test_mistake_is_told_with_its_line_and_what_to_do(text: str, sentence: str) -> None:
    found = sentences(text)
    assert len(found) == 1
    assert found[0].startswith(sentence)


def test_integer_of_many_digits_is_a_mistake_not_a_crash() -> None:
    assert sentences(f"a: {'9' * 5000}\n")[0].startswith("1: a: '9999")


def letters(count: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[:count]


def alias_bomb() -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip(letters(9), letters(10)[1:], strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(lines)


def merge_bomb() -> str:
    lines = ["a: &a {x: 1}"]
    for before, name in zip(letters(9), letters(10)[1:], strict=True):
        lines.append(f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        alias_bomb(),
        merge_bomb(),
        "a: &a [*a]\n",
        "a: &a {<<: *a}\n",
        "[" * 60 + "]" * 60,
        "{a: " * 500 + "}" * 500,
        "- " * 2000 + "a\n",
    ],
    ids=["aliases", "merges", "list in itself", "merge of itself", "brackets", "braces", "dashes"],
)
def test_attack_ends_quickly_with_one_sentence(text: str) -> None:
    started = time.process_time()
    (sentence,) = sentences(text)
    assert "nested too deeply" in sentence
    assert time.process_time() - started < 5, "seconds of processor time"


def test_long_honest_file_is_read() -> None:
    text = "".join(f"- {{id: c{number}, prompt: 'Question {number}?'}}\n" for number in range(2000))
    data = read_yaml(text).data
    assert isinstance(data, list)
    assert len(data) == 2000


# --- JSON lines ------------------------------------------------------------------------------------


def test_byte_order_mark_line_ends_of_windows_and_blank_lines_do_no_harm() -> None:
    rows, mistakes = read_json_lines('\ufeff{"a": 1}\r\n\r\n  \n{"a": 2}')
    assert rows == [(1, {"a": 1}), (4, {"a": 2})]
    assert mistakes == []


def test_separators_of_unicode_inside_a_text_do_not_end_the_line() -> None:
    text = '{"a": "x\u2028y\u2029z\x85w\u000bv"}'.replace("\u000b", "\\u000b")
    rows, mistakes = read_json_lines(text + "\n")
    assert rows == [(1, {"a": "x\u2028y\u2029z\x85w\u000bv"})]
    assert mistakes == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"a": 1,}', "not valid JSON: "),  # the words differ between versions of Python
        ("{'a': 1}", "not valid JSON: Expecting property name enclosed in double quotes at column 2"),
        ('{"a": 1} {"b": 2}', "not valid JSON: Extra data at column 10"),
        ('{"a": 1, "b": 2, "a": 3}', "not valid JSON: the key 'a' is given twice"),
        ('{"a": NaN}', "not valid JSON: NaN is no JSON number"),
        ('{"a": -Infinity}', "not valid JSON: -Infinity is no JSON number"),
        ('{"a": 1e999}', "not valid JSON: the number '1e999' is too large"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON: the number '9999"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' * 60 + "1" + "}" * 60, "nested too deeply"),
    ],
)
def test_broken_line_is_told_and_the_others_are_read(line: str, sentence: str) -> None:
    rows, mistakes = read_json_lines(f'{{"ok": 1}}\n{line}\n{{"ok": 2}}\n')
    assert rows == [(1, {"ok": 1}), (3, {"ok": 2})]
    assert [mistake.line for mistake in mistakes] == [2]
    assert mistakes[0].what.startswith(sentence)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    line = '{"a": [' + ", ".join(["[]"] * 200) + "]}"
    rows, mistakes = read_json_lines(line)
    assert len(rows) == 1
    assert mistakes == []


def test_row_need_not_be_an_object_here() -> None:
    assert read_json_lines('3\n"x"\nnull\n')[0] == [(1, 3), (2, "x"), (3, None)]
