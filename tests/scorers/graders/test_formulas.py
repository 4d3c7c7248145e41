import math

import pytest

from harness.scorers.graders.formulas import calculated, check_formula

NAMES = {"a": 0.5, "b": 0.25, "long_name": 1.0, "zero": 0.0}


def value(formula: str) -> float:
    check_formula(formula, NAMES)
    return calculated(formula, NAMES)


@pytest.mark.parametrize(
    ("formula", "result"),
    [
        ("a", 0.5),
        ("0.5 * a + 0.5 * b", 0.375),
        ("(a + b) / 2", 0.375),
        ("a - b - b", 0.0),
        ("1 - -a", 1.5),
        ("+a", 0.5),
        ("2 ^ 3 ^ 2", 512.0),
        ("-a ^ 2", -0.25),
        ("a ^ -1", 2.0),
        ("min(a, b, long_name)", 0.25),
        ("max(a, b)", 0.5),
        ("max(a)", 0.5),
        ("abs(b - a)", 0.25),
        ("floor(a + 0.9) + ceil(b)", 2.0),
        ("exp(0) + log(1)", 1.0),
        ("sqrt(b)", 0.5),
        ("log(exp(a))", 0.5),
        ("1e-1 + .5", 0.6),
        ("a +\n  b", 0.75),
        ("((((a))))", 0.5),
        ("6 / 4 / 3", 0.5),
    ],
)
def test_formula_has_the_value_of_its_arithmetic(formula: str, result: float) -> None:
    assert value(formula) == pytest.approx(result, abs=1e-12)


@pytest.mark.parametrize(
    ("formula", "what"),
    [
        ("c", "no grader is called 'c'"),
        ("long_nam", "did you mean 'long_name'?"),
        ("round(a)", "unknown function 'round'"),
        ("min()", "min takes one or more numbers, got 0"),
        ("sqrt(a, b)", "sqrt takes one number, got 2"),
        ("a ** 2", "a power is written ^"),
        ("a +", "is no formula"),
        ("", "is no formula"),
        ("0.5 * a + 0.5 * b)", "is no formula"),
        ("a b", "is no formula"),
        ("a) + (b", "is no formula"),
        ("a # b", "'#' has no place"),
        ("a if b else 0", "has no place in a formula"),
        ("a < b", "has no place"),
        ("a and b", "has no place"),
        ("a // b", "has no place"),
        ("a % b", "has no place"),
        ("[a]", "has no place"),
        ("a, b", "has no place"),
        ("'a'", "has no place"),
        ("True", "has no place"),
        ("1j", "has no place"),
        ("a.real", "has no place"),
        ("a[0]", "has no place"),
        ("lambda: a", "has no place"),
        ("(x := a)", "has no place"),
        ("__import__('os').system('true')", "has no place"),
        ("__import__('os')", "unknown function '__import__'"),
        ("min(*a)", "has no place"),
        ("min(a, key=b)", "has no place"),
        ("1" * 3000, "longer than 2000"),
        ("(" * 900 + "a" + ")" * 900, "is no formula"),
        ("-" * 500 + "a", "deep"),
        ("a" + "+a" * 500, "deep"),
        ("a\x00", "is no formula"),
        ("a\ud83d", "is no formula"),
    ],
)
def test_what_is_no_arithmetic_over_the_names_is_refused(formula: str, what: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are compared below
        check_formula(formula, NAMES)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    "formula",
    [
        "a / zero",
        "sqrt(0 - a)",
        "log(zero)",
        "exp(1000)",
        "9 ^ 9 ^ 9 ^ 9",
        "(0 - a) ^ 0.5",
        "1e308 * 10",
        "zero ^ -1",
    ],
)
def test_formula_without_a_value_says_so(formula: str) -> None:
    with pytest.raises(ValueError, match="has no value"):
        value(formula)


def test_whole_numbers_are_not_computed_exactly_for_ever() -> None:
    assert value("2 ^ 1000") == pytest.approx(math.ldexp(1.0, 1000))
