import time

import pytest
from judging import case

from harness.records import Completion, Json, Score, ToolCall
from harness.scorers import ToolCalls

WEATHER: Json = {"name": "weather", "arguments": {"city": "北京", "days": 2}}
BOOK: Json = {"name": "book", "arguments": {"seats": 2}}


def judge(scorer: ToolCalls, expected: Json, *calls: tuple[str, str]) -> Score:
    made = tuple(ToolCall(name=name, arguments=arguments) for name, arguments in calls)
    return scorer.score(case(expected), Completion(text="", tool_calls=made, finish_reason="tool_calls"))


@pytest.mark.parametrize(
    "arguments",
    [
        '{"city": "北京", "days": 2}',
        '{"days": 2.0, "city": "北京。"}',
        ' {"city": "\\u5317\\u4eac", "days": 2}\n',
    ],
)
def test_same_arguments_in_another_spelling_are_right(arguments: str) -> None:
    score = judge(ToolCalls(), WEATHER, ("weather", arguments))
    assert (score.value, score.reason) == (1, "1 of 1 calls right")
    assert score.measures == {"called": 1.0, "right_names": 1.0, "valid_arguments": 1.0}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('{"city": "上海", "days": 2}', "weather: city: expected '北京', read '上海'"),
        ('{"city": "北京", "days": "2"}', "weather: days: expected 2, read '2'"),
        ('{"city": "北京"}', "weather: days is missing"),
        ('{"city": "北京", "days": 2, "unit": "C"}', "weather: 'unit' was not asked for"),
        ('{"city": "北京", "days": true}', "weather: days: expected 2, read True"),
        ('{"city": ', "weather: its arguments are no JSON object: expecting value"),
        ("[1]", "weather: its arguments are no JSON object: a list instead of an object"),
        ('{"city": "北京", "days": 2, "days": 2}', "is given twice"),
        ("", "weather: city is missing"),
    ],
)
def test_wrong_arguments_are_named(arguments: str, reason: str) -> None:
    score = judge(ToolCalls(), WEATHER, ("weather", arguments))
    assert score.value == 0
    assert reason in score.reason


def test_name_is_compared_letter_by_letter() -> None:
    score = judge(ToolCalls(), WEATHER, ("Weather", '{"city": "北京", "days": 2}'))
    assert (score.value, score.measures["right_names"]) == (0, 0.0)
    assert judge(ToolCalls(ordered=True), WEATHER, ("get_weather", "{}")).reason == (
        "0 of 1 calls right; weather: 'get_weather' is called instead"
    )


def test_stated_coercions_are_made_only_when_asked() -> None:
    expected: Json = {
        "name": "f",
        "arguments": {"n": 2, "on": True, "note": None, "zip": "02134", "share": 0.5},
    }
    loose = '{"n": "2.0", "on": "True", "zip": "02134", "share": "0.50", "more": null}'
    assert judge(ToolCalls(), expected, ("f", loose)).value == 0
    assert judge(ToolCalls(coerce=True), expected, ("f", loose)).value == 1
    assert judge(ToolCalls(coerce=True), expected, ("f", loose.replace("02134", "2134"))).value == 0
    assert judge(ToolCalls(coerce=True), expected, ("f", loose.replace('"2.0"', '"two"'))).value == 0
    assert judge(ToolCalls(coerce=True), expected, ("f", loose.replace('"0.50"', '"50%"'))).value == 0
    nested: Json = {"name": "f", "arguments": {"list": [1, {"a": False}]}}
    assert judge(ToolCalls(coerce=True), nested, ("f", '{"list": ["1", {"a": "false"}]}')).value == 1
    assert judge(ToolCalls(coerce=True), nested, ("f", '{"list": ["1", {"a": "0"}]}')).value == 0


def test_extra_arguments_are_forgiven_only_when_asked() -> None:
    more = ("book", '{"seats": 2, "class": 1}')
    assert judge(ToolCalls(), BOOK, more).value == 0
    assert judge(ToolCalls(allow_extra=True), BOOK, more).value == 1


def test_order_of_calls_counts_only_when_asked() -> None:
    calls = (("book", '{"seats": 2}'), ("weather", '{"city": "北京", "days": 2}'))
    assert judge(ToolCalls(), [WEATHER, BOOK], *calls).value == 1
    assert judge(ToolCalls(ordered=True), [WEATHER, BOOK], *calls).value == 0
    assert judge(ToolCalls(ordered=True), [BOOK, WEATHER], *calls).value == 1


def test_same_function_called_twice_is_paired_by_arguments() -> None:
    expected: Json = [
        {"name": "f"},
        {"name": "f", "arguments": {"n": 1}},
        {"name": "f", "arguments": {"n": 2}},
    ]
    calls = (("f", '{"n": 2}'), ("f", '{"n": 1}'), ("f", '{"n": 9}'))
    assert judge(ToolCalls(), expected, *calls).value == 1
    assert judge(ToolCalls(), expected, *calls[:2]).value == pytest.approx(2 / 3)


def test_value_is_the_share_of_right_calls_among_those_expected_or_made() -> None:
    right = ("book", '{"seats": 2}')
    assert judge(ToolCalls(), [WEATHER, BOOK], right).value == 0.5
    twice = judge(ToolCalls(), BOOK, right, right)
    assert (twice.value, twice.reason) == (0.5, "1 of 1 calls right; 2 are made")
    assert judge(ToolCalls(), BOOK, *[right] * 1000).value == pytest.approx(0.001)


def test_no_call_is_right_where_none_is_expected() -> None:
    assert judge(ToolCalls(), []).measures == {"called": 0.0, "right_names": 1.0, "valid_arguments": 1.0}
    assert judge(ToolCalls(), []).value == 1
    called = judge(ToolCalls(), [], ("book", "{}"))
    assert (called.value, called.reason) == (0, "expected no call, read book({})")


def test_text_is_no_call() -> None:
    score = ToolCalls().score(case(BOOK), Completion(text='book({"seats": 2})'))
    assert (score.value, score.measures["called"]) == (0, 0.0)
    assert score.reason.startswith("expected book, no call is made; the answer is ")


def test_arguments_are_compared_only_if_the_case_gives_them() -> None:
    assert judge(ToolCalls(), {"name": "book"}, ("book", '{"seats": 9}')).value == 1
    assert judge(ToolCalls(), {"name": "book"}, ("book", "{")).value == 0
    assert judge(ToolCalls(), {"name": "book", "arguments": {}}, ("book", '{"seats": 9}')).value == 0
    assert judge(ToolCalls(), {"name": "now", "arguments": {}}, ("now", "")).value == 1


@pytest.mark.parametrize(
    "expected",
    [
        *(None, "book", 1, {}, {"name": ""}, {"name": 1}, {"name": "f", "args": {}}),
        *({"name": "f", "arguments": "{}"}, [{"name": "f"}, "g"], [{"name": "f"}] * 65),
    ],
)  # fmt: skip
def test_expected_must_be_calls(expected: Json) -> None:
    assert "`expected`" in (ToolCalls().check_case(case(expected)) or "")
    assert judge(ToolCalls(), expected, ("f", "{}")).value is None


def test_endless_calls_are_judged_in_time() -> None:
    expected: Json = [{"name": "f", "arguments": {"a": f"x{number}"}} for number in range(64)]
    calls = [("f", f'{{"a": "{"é " * 1000}{number}"}}') for number in range(1000)]
    started = time.process_time()
    assert judge(ToolCalls(), expected, *calls).value == 0
    assert time.process_time() - started < 2
