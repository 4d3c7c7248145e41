import pytest

from harness.scorers.patterns import MOST_COPIES, compiled


@pytest.mark.parametrize(
    "pattern",
    [
        "a{99999999}",
        "(?:(?:a{1000}){1000}){1000}",
        "((((a{1000}){1000}){1000}){1000})",
        "[^]{]{99999999}",
        r"\({1,99999999}",
        "a{,99999999}",
    ],
)
def test_a_pattern_that_would_eat_the_machine_is_refused_before_it_is_compiled(pattern: str) -> None:
    with pytest.raises(ValueError, match=f"copies; {MOST_COPIES:,} are allowed"):
        compiled(pattern, False)


@pytest.mark.parametrize(
    ("pattern", "why"), [("(" * 3000, "nested too deeply"), ("a" * 20_000, "longer than"), ("(", "missing")]
)
def test_what_is_no_pattern_is_told(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compiled(pattern, False)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{4}-\d{2}-\d{2}",
        "《[^》]{1,30}(法|法典)[^》]{0,10}》",
        "(?:ab?){500}",
        r"\p{L}{1,99}",
        "{not a repeat}",
        "a{2,}",
    ],
)
def test_patterns_of_people_are_compiled(pattern: str) -> None:
    assert compiled(pattern, True).pattern == pattern
