"""Every noun: frozen, equal by its values, hashable, shown without what must not be."""

import pickle
from dataclasses import FrozenInstanceError, field, replace

import pytest

from harness.records import Case, Endpoint, Score, Usage, record


@record
class Empty:
    """No settings, as some scorers have none."""


@record
class Marked:
    """A field that neither counts nor shows, and a method of its own."""

    name: str
    seen: int = field(default=0, compare=False, repr=False)

    def __hash__(self) -> int:
        return 7


def test_records_are_equal_by_type_and_values() -> None:
    assert Usage(prompt_tokens=1) == Usage(prompt_tokens=1)
    assert Usage(prompt_tokens=1) != Usage(prompt_tokens=2)
    assert Empty() == Empty()
    assert Empty() != Usage()
    assert Usage() != (None, None, None)


def test_equal_records_have_one_hash() -> None:
    assert len({Usage(prompt_tokens=1), Usage(prompt_tokens=1), Empty(), Empty()}) == 2


def test_a_record_of_what_cannot_be_hashed_cannot_either() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Case(id="a", messages=()))


def test_fields_that_do_not_compare_decide_nothing() -> None:
    assert Marked(name="a", seen=1) == Marked(name="a", seen=2)
    assert repr(Marked(name="a", seen=1)) == "Marked(name='a')"


def test_a_method_of_its_own_stays() -> None:
    assert hash(Marked(name="a")) == 7


def test_a_key_is_not_shown() -> None:
    shown = repr(Endpoint(label="there", api_key="sk-secret"))
    assert shown.startswith("Endpoint(label='there', timeout_s=600.0")
    assert "secret" not in shown


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Usage().prompt_tokens = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del Usage().prompt_tokens  # type: ignore[misc]


def test_a_record_can_be_pickled_and_replaced() -> None:
    score = Score(value=0.5, reason="half")
    assert pickle.loads(pickle.dumps(score)) == score
    assert replace(score, value=1.0) == Score(value=1.0, reason="half")
