import pytest

from harness.serial import Problem, nearest, shown


def test_problem_without_a_place_or_a_remedy_is_its_sentence() -> None:
    assert str(Problem((), "empty")) == "empty"
    assert str(Problem(("a", 0), "empty", "fill it")) == "a.0: empty, fill it"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("promt", "did you mean 'prompt'?"),
        ("zzz", "known: expected, prompt"),
        ("PROMPT", "known: expected, prompt"),
    ],
)
def test_nearest_name(name: str, hint: str) -> None:
    assert nearest(name, ["prompt", "expected", "prompt"]) == hint


def test_nothing_is_near_when_nothing_is_known() -> None:
    assert nearest("x", []) == ""


def test_shown_value_is_short_and_on_one_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert shown("\x1b[31m") == r"'\x1b[31m'"
    assert len(shown("x" * 500)) == 60
    assert shown("x" * 500).endswith("…")


def test_number_too_long_for_python_is_shown_all_the_same() -> None:
    assert shown(10**5000) == "a huge int"
