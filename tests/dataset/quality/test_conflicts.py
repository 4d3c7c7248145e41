import pytest

from harness.dataset.quality.conflicts import Conflict, conflict_of

LONG = "Your parcel is on its way and will reach you by Thursday at the latest, we promise."
REWORDED = "Your parcel is on its way and will arrive by Thursday at the latest, that is a promise."
OTHER = "We are sorry: nothing can be sent to this country, so the money was paid back yesterday."


def conflict(*answers: str) -> Conflict | None:
    return conflict_of([hash(answer) for answer in answers], answers.__getitem__)


def test_wordings_that_say_the_same_count_together() -> None:
    assert conflict(LONG, REWORDED) is None
    found = conflict(LONG, OTHER, REWORDED)
    assert found is not None
    assert (found.rows, found.majority) == (3, 2)
    assert found.answers == ((LONG, 2), (OTHER, 1))


def test_short_answers_differ_by_anything_but_a_full_stop() -> None:
    assert conflict("Yes.", "yes", "YES!") is None
    assert conflict("👍", "👎") is not None
    assert conflict("42", "43") is not None
    assert conflict("是。", "是") is None


def test_answers_beyond_those_compared_are_taken_for_others() -> None:
    found = conflict(*["1"] * 3, *map(str, range(2, 14)))
    assert found is not None
    assert (found.rows, found.majority) == (15, 3)


@pytest.mark.parametrize(("counts", "bits"), [((1, 1), 1.0), ((3, 1), 0.8113), ((1, 1, 1, 1), 2.0)], ids=str)
def test_entropy_tells_how_divided_answers_are(counts: tuple[int, ...], bits: float) -> None:
    found = Conflict(answers=tuple((str(place), count) for place, count in enumerate(counts)))
    assert found.entropy_bits == pytest.approx(bits, abs=1e-4)
