import pickle
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dataset import columns
from harness.dataset.columns import Column

NUMBERS = st.lists(st.integers(0, 2**32 - 1), max_size=40)


@pytest.fixture(autouse=True, scope="module")
def few_numbers_in_memory() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_NUMBERS_IN_MEMORY", 7)
        yield


def column(numbers: list[int], kind: str = "Q") -> Column:
    made = Column(kind)
    for number in numbers:
        made.append(number)
    return made


@given(NUMBERS, NUMBERS, st.sampled_from("IQ"), st.booleans())
def test_a_column_is_the_list_of_its_numbers(
    numbers: list[int], more: list[int], kind: str, travels: bool
) -> None:
    whole, later = column(numbers, kind), column(more, kind)
    whole.extend(pickle.loads(pickle.dumps(later)) if travels else later)
    whole.append(5)
    expected = [*numbers, *more, 5]
    assert list(whole) == whole.table().tolist() == [whole[index] for index in range(len(whole))] == expected


def test_large_numbers_are_kept() -> None:
    assert list(column([2**64 - 1] * 9)) == [2**64 - 1] * 9
