from collections.abc import Sequence

import pytest
import torch

from harness.localserver.model.network import SHAPE_STEP
from harness.localserver.training.examples import Taught
from harness.localserver.training.packing import (
    Branch,
    MaskedAttention,
    Pack,
    Row,
    SpanwiseAttention,
    attention_of,
    divide,
    pack_rows,
    pair_of,
    row_of,
    shared_beginning,
)


def row(*inputs: int, places: tuple[int, ...] | None = None) -> Row:
    asked = (len(inputs) - 1,) if places is None else places
    return Row(
        inputs=inputs, places=asked, labels=tuple(100 + place for place in asked), tokens=len(inputs) + 1
    )


def packed(rows: Sequence[Row]) -> Pack:
    (members,) = divide(rows, range(len(rows)))
    return pack_rows(rows, members)


ROWS = [row(1, 2, 3, 9, 9), row(1, 2, 3, 4), row(1, 2, 3, 5, 6, 7), row(1, 2, 8)]


def test_row_ends_before_its_last_target() -> None:
    found = row_of(Taught(ids=[10, 11, 12, 13, 14], mask=[0, 0, 1, 1, 0]), context=100)
    assert found == Row(inputs=(10, 11, 12), places=(1, 2), labels=(12, 13), tokens=5)


def test_row_is_cut_at_the_context() -> None:
    found = row_of(Taught(ids=[10, 11, 12, 13, 14], mask=[0, 0, 1, 1, 1]), context=3)
    assert found == Row(inputs=(10, 11), places=(1,), labels=(12,), tokens=3)


def test_row_whose_answer_lies_beyond_the_context_teaches_nothing() -> None:
    assert row_of(Taught(ids=[10, 11, 12], mask=[0, 0, 1]), context=2).places == ()


def test_first_token_cannot_be_predicted() -> None:
    assert row_of(Taught(ids=[10, 11], mask=[1, 1]), context=9).labels == (11,)


@pytest.mark.parametrize(
    ("first", "second", "expected"), [((1, 2), (1, 3), 1), ((), (1,), 0), ((1, 2), (1, 2, 3), 2)]
)
def test_shared_beginning(first: tuple[int, ...], second: tuple[int, ...], expected: int) -> None:
    assert shared_beginning(first, second) == expected


def test_common_beginning_is_stored_once() -> None:
    pack = packed(ROWS)
    assert pack.shared == 2
    assert sum(pack.lengths) == sum(len(one.inputs) - 2 for one in ROWS)
    assert pack.tokens % SHAPE_STEP == 0


def test_every_answer_is_asked_where_its_row_was_laid() -> None:
    rows = [row(1, 2, 3, 4, places=(1, 3)), row(1, 2, 5, places=(1, 2))]
    pack = packed(rows)
    ids = pack.gather([torch.tensor(rows[index].inputs) for index in pack.members])
    asked = [
        (int(ids[place]), label)
        for place, label in zip(pack.places.tolist(), pack.labels.tolist(), strict=True)
    ]
    assert asked == [(2, 101), (4, 103), (2, 101), (5, 102)]


def test_positions_count_from_zero_in_every_row() -> None:
    pack = packed(ROWS)
    for position, (index, segment) in zip(
        [2, 2, 2, 2], zip(pack.members, pack.segments(), strict=True), strict=True
    ):
        assert pack.positions[segment].tolist() == list(range(position, len(ROWS[index].inputs)))


def test_scatter_undoes_gather() -> None:
    pack = packed(ROWS)
    parts = [torch.tensor(ROWS[index].inputs) for index in pack.members]
    for part, found in zip(parts, pack.scatter(pack.gather(parts)), strict=True):
        assert torch.equal(part, found)


def test_equal_rows_keep_a_token_of_their_own() -> None:
    pack = packed([row(1, 2, 3), row(1, 2, 3)])
    assert (pack.shared, pack.lengths) == (2, (1, 1))


def test_rows_without_anything_to_learn_are_left_out() -> None:
    assert divide([row(places=())], [0]) == []


def test_two_parts_are_about_equal_and_hold_every_row_once() -> None:
    rows = [row(*range(length), places=(0,)) for length in (40, 10, 20, 30, 5, 15)]
    groups = divide(rows, range(6), parts=2)
    assert sorted(index for group in groups for index in group) == list(range(6))
    sizes = [sum(len(rows[index].inputs) for index in group) for group in groups]
    assert len(sizes) == 2
    assert max(sizes) <= 75


def test_packs_do_not_depend_on_the_order_of_members() -> None:
    assert divide(ROWS, [0, 1, 2, 3]) == divide(ROWS, [3, 1, 0, 2])


def test_one_row_longer_than_a_pack_stands_alone() -> None:
    rows = [row(*range(3000)), row(*range(1, 30))]
    assert divide(rows, [0, 1]) == [(0,), (1,)]


@pytest.mark.parametrize("members", [[0, 1, 2, 3], [2]])
def test_both_attentions_see_the_same(members: list[int]) -> None:
    (group,) = divide(ROWS, members)
    pack = pack_rows(ROWS, group)
    queries, keys, values = (
        torch.randn(pack.tokens, 4, 8),
        torch.randn(pack.tokens, 2, 8),
        torch.randn(pack.tokens, 2, 8),
    )
    masked = MaskedAttention(pack, like=keys)(0, queries, keys, values)
    spanwise = SpanwiseAttention(pack, like=keys)(0, queries, keys, values)
    real = pack.tokens - pack.filling
    torch.testing.assert_close(masked[:real], spanwise[:real], atol=1e-5, rtol=1e-5)


def test_a_row_does_not_see_another() -> None:
    pack = packed(ROWS)
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
    small, large = packed(ROWS), packed([row(*range(1000))])
    assert isinstance(attention_of(small, like=torch.zeros(0)), MaskedAttention)
    assert isinstance(attention_of(large, like=torch.zeros(0)), SpanwiseAttention)


def pair(
    prompt: Sequence[int], preferred: Sequence[int], rejected: Sequence[int], *, context: int = 99
) -> Row:
    first, second = (
        Taught(ids=[*prompt, *answer], mask=[0] * len(prompt) + [1] * len(answer))
        for answer in (preferred, rejected)
    )
    return pair_of(first, second, context=context)


PAIRS = [
    pair([1, 2, 3], [7, 8, 0], [9, 0]),
    pair([1, 2, 4, 5], [7, 0], [7, 6, 6, 0]),
    pair([1, 2, 4, 5], [0], [7, 0]),
    pair([1, 2], [7], [8]),
]


def test_pair_has_its_prompt_once_and_two_branches() -> None:
    assert PAIRS[0] == Row(
        inputs=(1, 2, 3, 7, 8, 9),
        places=(2, 3, 4, 2, 5),
        labels=(7, 8, 0, 9, 0),
        tokens=8,
        branches=(Branch(tokens=2, answers=3), Branch(tokens=1, answers=2)),
    )


def test_answer_without_text_still_ends() -> None:
    """The two share less than the prompt then, so that each branch keeps a token."""
    assert PAIRS[2].labels == (0, 7, 0)
    assert [branch.tokens for branch in PAIRS[2].branches] == [1, 2]


def test_pair_is_cut_at_the_context() -> None:
    cut = pair([1, 2, 3], [7, 8, 0], [9, 0], context=4)
    assert (cut.labels, cut.tokens) == ((7, 9), 5)


def test_pair_whose_prompt_fills_the_context_teaches_nothing() -> None:
    cut = pair([1, 2, 3], [7], [8], context=3)
    assert (cut.places, cut.tokens) == ((), 3)


@pytest.mark.parametrize("members", [[0, 1, 2, 3], [1, 2], [0]])
def test_every_branch_reads_like_the_whole_row(members: list[int]) -> None:
    """Ids and positions of the spans a token sees, its own included, are those of prompt and answer."""
    (group,) = divide(PAIRS, members)
    pack = pack_rows(PAIRS, group)
    ids = pack.gather([torch.tensor(PAIRS[index].inputs) for index in group])
    read, asked = [], []
    for span in pack.spans:
        if len(span.above) == 2:
            seen = [*(pack.spans[number].tokens for number in span.above), span.tokens]
            read.append([token for part in seen for token in ids[part].tolist()])
            positions = [place for part in seen for place in pack.positions[part].tolist()]
            assert positions == list(range(len(positions)))
    asked = [(int(ids[place]), int(label)) for place, label in zip(pack.places, pack.labels, strict=True)]
    texts = {
        0: ([1, 2, 3, 7, 8], [1, 2, 3, 9]),
        1: ([1, 2, 4, 5, 7], [1, 2, 4, 5, 7, 6, 6]),
        2: ([1, 2, 4, 5], [1, 2, 4, 5, 7]),
        3: ([1, 2], [1, 2]),
    }
    answers = {0: ([7, 8, 0], [9, 0]), 1: ([7, 0], [7, 6, 6, 0]), 2: ([0], [7, 0]), 3: ([7], [8])}
    assert read == [text for index in group for text in texts[index]]
    assert asked == [
        (before, label)
        for index in group
        for text, answer in zip(texts[index], answers[index], strict=True)
        for before, label in zip(text[-len(answer) :], answer, strict=True)
    ]


@pytest.mark.parametrize("members", [[0, 1, 2, 3], [1]])
def test_both_attentions_see_the_same_of_branches(members: list[int]) -> None:
    (group,) = divide(PAIRS, members)
    pack = pack_rows(PAIRS, group)
    queries, keys, values = (torch.randn(pack.tokens, heads, 8) for heads in (4, 2, 2))
    masked = MaskedAttention(pack, like=keys)(0, queries, keys, values)
    spanwise = SpanwiseAttention(pack, like=keys)(0, queries, keys, values)
    real = pack.tokens - pack.filling
    torch.testing.assert_close(masked[:real], spanwise[:real], atol=1e-5, rtol=1e-5)
