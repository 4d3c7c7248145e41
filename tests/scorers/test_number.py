import time

import pytest
from judging import case, judge

from harness.records import Json
from harness.scorers import Number


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("42", 42),
        ("**42**", 42),
        ("First 3, then 7, so 42.", 42),
        ("The answer is 42, because 6 times 7 is that.", 42),
        ("The final answer to your question is 42 of 100", 42),
        ("Answer: 42 (of 100)", 42),
        ("6 * 7 = 42\n#### 42", 42),
        (r"So \boxed{42}, not 43", 42),
        (r"\boxed{\frac{1}{2}}", 0.5),
        ("答案是一百二十，不是100", 120),
        ("答案是一个整数，42", 42),
        ("答案：120。共3步。", 120),
        ("小明一共有一百二十个苹果", 120),
        ("１２０", 120),
        ("$1,234.50", 1234.5),
        ("0.3", 0.3),
        ("25%", 0.25),
        ("25%", "25%"),
        ("0.25", "百分之二十五"),
        ("1/3", "1/3"),
        ("-5", -5),
        ("1e3", 1000),
        ("43", [42, 43]),
        ("3.0", 3),
    ],
)
def test_number_is_found_in_any_notation(answer: str, expected: Json) -> None:
    assert judge(Number(), answer, expected).value == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("43", 42),
        ("-42", 42),
        ("4.2", 42),
        ("42 of 100", 42),
        ("25%", 25),
        ("0.333", "1/3"),
        ("GPT-4 42.0.1", 4),
    ],
)
def test_other_number_is_wrong(answer: str, expected: Json) -> None:
    assert judge(Number(), answer, expected).value == 0


@pytest.mark.parametrize("answer", ["", "forty-two", "很多", "GPT-4", "1.2.3", "1" * 50, "\x00"])
def test_answer_without_a_number_is_invalid(answer: str) -> None:
    score = judge(Number(), answer, 42)
    assert (score.value, score.answer, score.measures) == (0, None, {"invalid": 1.0})
    assert "no number in" in score.reason


@pytest.mark.parametrize(
    ("answer", "value"), [("9.9", 1), ("10.1", 1), ("9.89", 0), ("10.11", 0), ("10.1000001", 0)]
)
def test_tolerance_is_exact_at_its_edge(answer: str, value: float) -> None:
    assert judge(Number(tolerance=0.1), answer, 10).value == value
    assert judge(Number(relative_tolerance=0.01), answer, 10).value == value


def test_larger_tolerance_counts() -> None:
    scorer = Number(tolerance=1, relative_tolerance=0.01)
    assert judge(scorer, "1010", 1000).value == 1
    assert judge(scorer, "2", 1).value == 1
    assert judge(scorer, "2.5", 1).value == 0
    assert judge(scorer, "2", 1).reason == "expected 1 ± 1 or 1 %, read '2'"


def test_share_of_zero_is_zero() -> None:
    assert judge(Number(relative_tolerance=0.5), "0.001", 0).value == 0


@pytest.mark.parametrize(
    ("percent", "as_hundredth", "as_points"), [("hundredth", 1, 0), ("ignored", 0, 1), ("either", 1, 1)]
)
def test_sign_of_per_cent_means_what_the_suite_says(
    percent: str, as_hundredth: float, as_points: float
) -> None:
    scorer = Number(percent=percent)  # type: ignore[arg-type]
    assert judge(scorer, "about 25 %", 0.25).value == as_hundredth
    assert judge(scorer, "百分之二十五", 25).value == as_points


def test_suite_says_which_of_several_numbers_is_meant() -> None:
    text = "7, or maybe 8"
    assert judge(Number(pick="first"), text, 7).value == 1
    assert judge(Number(pick="last"), text, 8).value == 1
    only = judge(Number(pick="only"), text, 8)
    assert (only.value, only.measures) == (0, {"invalid": 1.0})
    assert only.reason == "expected 8, 2 different numbers in '7, or maybe 8'"
    assert judge(Number(pick="only"), "8, yes, 8.0", 8).value == 1


@pytest.mark.parametrize("expected", [None, "many", True, [1, False], [], {"a": 1}, "1 or 2", "", ["x"]])
def test_expected_must_be_a_number(expected: Json) -> None:
    assert "needs `expected`: a number" in (Number().check_case(case(expected)) or "")
    assert judge(Number(), "1", expected).value is None


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"tolerance": -1}, "`tolerance` is -1"),
        ({"tolerance": float("nan")}, "`tolerance` is nan"),
        ({"relative_tolerance": float("inf")}, "`relative_tolerance` is inf"),
        ({"relative_tolerance": 1.0}, "let 0 pass for any number"),
    ],
)
def test_tolerance_that_is_none_is_refused(settings: dict[str, float], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Number(**settings)  # type: ignore[arg-type]


def test_number_at_the_end_of_a_long_answer_is_read_quickly() -> None:
    started = time.process_time()
    assert judge(Number(), "1/" * 500_000 + " so 42", 42).value == 1
    assert judge(Number(), r"\boxed{" * 100_000 + "42", 42).value == 1
    assert time.process_time() - started < 2
