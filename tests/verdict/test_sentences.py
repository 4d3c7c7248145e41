import pytest

from harness.verdict.sentences import count, movement, points, seen, signed


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.873, "87 points"),
        (-0.01, "1 point"),
        (0.0342, "3.4 points"),
        (0.0, "0 points"),
        (1.0, "100 points"),
    ],
)
def test_differences_are_said_in_points(value: float, words: str) -> None:
    assert points(value) == words


def test_the_sign_is_always_there_but_for_nothing() -> None:
    assert [signed(value) for value in (-0.042, 0.12, 0.0, -0.0001)] == ["-4.2", "+12", "0", "0"]


def test_a_movement_too_small_to_print_is_none() -> None:
    assert (movement(0.0), movement(0.0001)) == ("did not change", "hardly changed")
    assert movement(-0.03) == "fell by 3 points"


def test_the_evidence_names_its_cases() -> None:
    assert seen((-0.02, 0.08), 60) == "on 60 cases (likely -2 to +8)"
    assert count(1, "case") == "1 case"
    assert count(1200, "case") == "1,200 cases"
