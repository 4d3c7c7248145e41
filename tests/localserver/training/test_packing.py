import pytest
import torch

from harness.localserver.model.network import SHAPE_STEP
from harness.localserver.training.packing import (
    MaskedAttention,
    Row,
    RowwiseAttention,
    attention_of,
    pack_rows,
    read_row,
    shared_beginning,
)


def row(*inputs: int, places: tuple[int, ...] | None = None) -> Row:
    asked = (len(inputs) - 1,) if places is None else places
    return Row(
        inputs=inputs, places=asked, labels=tuple(100 + place for place in asked), tokens=len(inputs) + 1
    )


ROWS = [row(1, 2, 3, 9, 9), row(1, 2, 3, 4), row(1, 2, 3, 5, 6, 7), row(1, 2, 8)]


def test_row_ends_before_its_last_target() -> None:
    found = read_row([10, 11, 12, 13, 14], [0, 0, 1, 1, 0], context=100)
    assert found == Row(inputs=(10, 11, 12), places=(1, 2), labels=(12, 13), tokens=5)


def test_row_is_cut_at_the_context() -> None:
    found = read_row([10, 11, 12, 13, 14], [0, 0, 1, 1, 1], context=3)
    assert found == Row(inputs=(10, 11), places=(1,), labels=(12,), tokens=3)


def test_row_whose_answer_lies_beyond_the_context_teaches_nothing() -> None:
    assert read_row([10, 11, 12], [0, 0, 1], context=2).places == ()


def test_first_token_cannot_be_predicted() -> None:
    assert read_row([10, 11], [1, 1], context=9).labels == (11,)


@pytest.mark.parametrize(
    ("first", "second", "expected"), [((1, 2), (1, 3), 1), ((), (1,), 0), ((1, 2), (1, 2, 3), 2)]
)
def test_shared_beginning(first: tuple[int, ...], second: tuple[int, ...], expected: int) -> None:
    assert shared_beginning(first, second) == expected


def test_common_beginning_is_stored_once() -> None:
    (pack,) = pack_rows(ROWS, range(4))
    assert pack.shared == 2
    assert sum(pack.lengths) == sum(len(one.inputs) - 2 for one in ROWS)
    assert pack.tokens % SHAPE_STEP == 0


def test_every_answer_is_asked_where_its_row_was_laid() -> None:
    rows = [row(1, 2, 3, 4, places=(1, 3)), row(1, 2, 5, places=(1, 2))]
    (pack,) = pack_rows(rows, [0, 1])
    ids = pack.gather([torch.tensor(rows[index].inputs) for index in pack.members])
    asked = [
        (int(ids[place]), label)
        for place, label in zip(pack.places.tolist(), pack.labels.tolist(), strict=True)
    ]
    assert asked == [(2, 101), (4, 103), (2, 101), (5, 102)]


def test_positions_count_from_zero_in_every_row() -> None:
    (pack,) = pack_rows(ROWS, range(4))
    for position, (index, segment) in zip(
        [2, 2, 2, 2], zip(pack.members, pack.segments(), strict=True), strict=True
    ):
        assert pack.positions[segment].tolist() == list(range(position, len(ROWS[index].inputs)))


def test_scatter_undoes_gather() -> None:
    (pack,) = pack_rows(ROWS, range(4))
    parts = [torch.tensor(ROWS[index].inputs) for index in pack.members]
    for part, found in zip(parts, pack.scatter(pack.gather(parts)), strict=True):
        assert torch.equal(part, found)


def test_equal_rows_keep_a_token_of_their_own() -> None:
    (pack,) = pack_rows([row(1, 2, 3), row(1, 2, 3)], [0, 1])
    assert (pack.shared, pack.lengths) == (2, (1, 1))


def test_rows_without_anything_to_learn_are_left_out() -> None:
    assert pack_rows([row(places=())], [0]) == []


def test_two_parts_are_about_equal_and_hold_every_row_once() -> None:
    rows = [row(*range(length), places=(0,)) for length in (40, 10, 20, 30, 5, 15)]
    packs = pack_rows(rows, range(6), parts=2)
    assert sorted(index for pack in packs for index in pack.members) == list(range(6))
    sizes = [sum(len(rows[index].inputs) for index in pack.members) for pack in packs]
    assert len(sizes) == 2
    assert max(sizes) <= 75


def test_packs_do_not_depend_on_the_order_of_members() -> None:
    assert pack_rows(ROWS, [0, 1, 2, 3])[0].members == pack_rows(ROWS, [3, 1, 0, 2])[0].members


def test_one_row_longer_than_a_pack_stands_alone() -> None:
    rows = [row(*range(3000)), row(*range(1, 30))]
    assert [pack.members for pack in pack_rows(rows, [0, 1])] == [(0,), (1,)]


@pytest.mark.parametrize("members", [[0, 1, 2, 3], [2]])
def test_both_attentions_see_the_same(members: list[int]) -> None:
    (pack,) = pack_rows(ROWS, members)
    queries, keys, values = (
        torch.randn(pack.tokens, 4, 8),
        torch.randn(pack.tokens, 2, 8),
        torch.randn(pack.tokens, 2, 8),
    )
    masked = MaskedAttention(pack, like=keys)(0, queries, keys, values)
    rowwise = RowwiseAttention(pack, like=keys)(0, queries, keys, values)
    real = pack.tokens - pack.filling
    torch.testing.assert_close(masked[:real], rowwise[:real], atol=1e-5, rtol=1e-5)


def test_a_row_does_not_see_another() -> None:
    (pack,) = pack_rows(ROWS, range(4))
    queries, keys, values = (
        torch.randn(pack.tokens, 4, 8),
        torch.randn(pack.tokens, 2, 8),
        torch.randn(pack.tokens, 2, 8),
    )
    attention = MaskedAttention(pack, like=keys)
    before = attention(0, queries, keys, values)
    first, second, *_ = pack.segments()
    keys[first], values[first] = 5.0, 5.0
    after = attention(0, queries, keys, values)
    assert not torch.equal(before[first], after[first])
    assert torch.equal(before[second], after[second])


def test_large_packs_go_row_by_row() -> None:
    (small,) = pack_rows(ROWS, range(4))
    (large,) = pack_rows([row(*range(1000))], [0])
    assert isinstance(attention_of(small, like=torch.zeros(0)), MaskedAttention)
    assert isinstance(attention_of(large, like=torch.zeros(0)), RowwiseAttention)
