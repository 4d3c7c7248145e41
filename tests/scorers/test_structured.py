import pytest
from judging import case, judge

from harness.records import Json
from harness.scorers import JsonFields

TRIP = {"from": {"city": "Berlin", "country": "DE"}, "date": "2026-05-01", "seats": 2, "refundable": False}
GOOD = '{"from": {"city": "Berlin", "country": "DE"}, "date": "2026-05-01", "seats": 2, "refundable": false}'


@pytest.mark.parametrize(
    "text", [GOOD, f"```json\n{GOOD}\n```", f"\n```\n{GOOD}\n```\n", GOOD.replace("2,", "2.0,")]
)
def test_all_fields_right(text: str) -> None:
    score = judge(JsonFields(), text, TRIP)
    assert (score.value, score.measures) == (1, {"json_valid": 1.0, "all_fields": 1.0, "field_f1": 1.0})
    assert score.reason == "5 of 5 fields right"


def test_value_is_the_share_of_right_fields() -> None:
    score = judge(JsonFields(), '{"from": {"city": "berlin."}, "seats": "2", "refundable": 0}', TRIP)
    assert score.value == pytest.approx(1 / 5)
    assert score.measures == {"json_valid": 1.0, "all_fields": 0.0, "field_f1": pytest.approx(2 / 8)}
    assert score.reason == (
        "1 of 5 fields right; from.country: missing; date: missing; seats: expected 2, read '2'; "
        "refundable: expected False, read 0"
    )


def test_object_where_a_text_stands_loses_all_its_fields() -> None:
    assert judge(JsonFields(), '{"from": "Berlin"}', {"from": {"a": 1, "b": 2}, "c": 3}).value == 0


def test_lists_are_compared_in_order() -> None:
    expected = {"stops": ["Köln", {"city": "Bonn"}]}
    assert judge(JsonFields(), '{"stops": ["köln", {"city": "BONN"}]}', expected).value == 1
    assert judge(JsonFields(), '{"stops": [{"city": "Bonn"}, "Köln"]}', expected).value == 0
    assert judge(JsonFields(), '{"stops": ["Köln"]}', expected).value == 0


def test_null_equals_only_null() -> None:
    assert judge(JsonFields(), '{"a": null}', {"a": None}).value == 1
    assert judge(JsonFields(), '{"a": ""}', {"a": None}).value == 0
    assert judge(JsonFields(), "{}", {"a": None}).value == 0


def test_codes_are_not_numbers() -> None:
    assert judge(JsonFields(), '{"zip": "2134"}', {"zip": "02134"}).value == 0


def test_extra_fields_count_only_when_forbidden() -> None:
    text = '{"a": 1, "b": 2, "c": {"d": 3, "e": 4}}'
    expected = {"a": 1, "c": {"d": 3}}
    assert judge(JsonFields(), text, expected).value == 1
    score = judge(JsonFields(allow_extra=False), text, expected)
    assert (score.value, score.measures["all_fields"]) == (0.5, 0.0)
    assert score.reason == "2 of 2 fields right; b: not asked for; c.e: not asked for"


@pytest.mark.parametrize(
    ("text", "f1"),
    [
        ('{"a": 1, "b": {"c": 2}}', 1),
        ('{"a": 1}', 2 / 3),
        ('{"a": 1, "b": {"c": 2}, "d": 3, "e": {}}', 4 / 6),
        ('{"a": 2, "b": "c"}', 0),
        ("{}", 0),
    ],
)
def test_pairs_of_field_and_value_have_an_f1(text: str, f1: float) -> None:
    assert judge(JsonFields(), text, {"a": 1, "b": {"c": 2}}).measures["field_f1"] == pytest.approx(f1)


def test_an_answer_nested_deeper_than_python_recurs_is_counted() -> None:
    text = '{"a": 1, "b": ' + '{"b": ' * 900 + "2" + "}" * 901
    assert judge(JsonFields(), text, {"a": 1}).measures["field_f1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expecting value"),
        ("Here you are: {}", "expecting value"),
        ("[1]", "a list instead of an object"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1e999}', "too large"),
        ('{"a": 1, "a": 1}', "'a' is given twice"),
        ('{"a":' * 100_00, "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "limit"),
        ("{" + " " * 200_000 + "}", "longer than"),
        ('{"a": 1} {"a": 2}', "extra data"),
    ],
)
def test_what_is_not_a_json_object_is_zero_and_says_why(text: str, why: str) -> None:
    score = judge(JsonFields(), text, {"a": 1})
    assert (score.value, score.measures) == (0, {"json_valid": 0.0, "all_fields": 0.0, "field_f1": 0.0})
    assert why in score.reason


@pytest.mark.parametrize(
    "text",
    [
        'Sure! {"a": 1} Anything else?',
        'In {x}: {"a": 1}',
        'An open { and {"a": 1}',
        '{"a": 1, "b": "}"} and so on',
        '{"a": 1} {"a": 2}',
        'Here:\n```json\n{"a": 1}\n```\nDone.',
    ],
)
def test_lenient_finds_the_first_object_in_prose(text: str) -> None:
    assert judge(JsonFields(lenient=True), text, {"a": 1}).value == 1
    assert judge(JsonFields(), text, {"a": 1}).value == 0


@pytest.mark.parametrize("expected", [None, "text", {}, [1]])
def test_expected_must_be_an_object(expected: Json) -> None:
    assert "an object with at least one field" in (JsonFields().check_case(case(expected)) or "")
    assert judge(JsonFields(), "{}", expected).value is None
