"""What does each answer in progress remember of its tokens? Their keys and values, a row for each answer.

Attention over them runs in blocks of `BLOCK` tokens at fixed places, added up in order: how far a row is filled up with
zeros, because others are longer, then changes no bit of its result. (A single product over all tokens does not keep
that promise: the library groups its sums by the whole length.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.localserver.model.network import NetworkShape

BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Keys and values of one row's tokens: for each layer a tensor (kv_heads, tokens, head_width)."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def tokens(self) -> int:
        """How many tokens are remembered."""
        return self.keys[0].shape[1]

    def first(self, tokens: int) -> "Memory":
        """The memory of the first `tokens` tokens."""
        keys = tuple(key[:, :tokens] for key in self.keys)
        return Memory(keys=keys, values=tuple(value[:, :tokens] for value in self.values))


class KvCache:
    """Keys and values of all rows: for each layer a tensor (rows, kv_heads, tokens, head_width).

    Rows in use are the first ones; each row's tokens lie from 0 on.
    """

    def __init__(self, shape: NetworkShape, *, like: Tensor) -> None:
        empty = (0, shape.kv_heads, 0, shape.head_width)
        self._keys = [like.new_zeros(empty) for _ in range(shape.layers)]
        self._values = [like.new_zeros(empty) for _ in range(shape.layers)]

    def reserve(self, *, rows: int, tokens: int) -> None:
        """Make room for `rows` rows of `tokens` tokens."""
        have_rows, _, have_tokens, _ = self._keys[0].shape
        if rows <= have_rows and tokens <= have_tokens:
            return
        capacity = max(whole_blocks(tokens), have_tokens)
        for stored in (self._keys, self._values):
            for layer, old in enumerate(stored):
                _, heads, _, width = old.shape
                new = old.new_zeros(max(rows, have_rows), heads, capacity, width)
                new[:have_rows, :, :have_tokens] = old
                stored[layer] = new

    def put(self, row: int, memory: Memory) -> None:
        """Store what a prompt left behind as row `row`."""
        for stored, news in ((self._keys, memory.keys), (self._values, memory.values)):
            for layer, new in enumerate(news):
                stored[layer][row, :, : memory.tokens] = new

    def move(self, *, source: int, target: int, tokens: int) -> None:
        """Copy the first `tokens` tokens of a row over another row."""
        for stored in (*self._keys, *self._values):
            stored[target, :, :tokens] = stored[source, :, :tokens]

    def attention(self, lengths: Sequence[int]) -> "StepAttention":
        """Attention for one new token in each of the first rows, `lengths` being how many tokens they have so far."""
        return StepAttention(self._keys, self._values, lengths=lengths)


class StepAttention:
    """Attention of each row's new token, which it stores, to that row.

    Tokens beyond the number of rows are filling: they are given what the first row is given.
    """

    def __init__(self, keys: Sequence[Tensor], values: Sequence[Tensor], *, lengths: Sequence[int]) -> None:
        device = keys[0].device
        self._keys, self._values = keys, values
        self._places = torch.tensor(lengths, device=device)
        self._rows = torch.arange(len(lengths), device=device)
        self._seen = whole_blocks(max(lengths) + 1)
        visible = torch.arange(self._seen, device=device) <= self._places[:, None]
        self._bias = torch.where(visible, 0.0, float("-inf")).to(keys[0])[:, None]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See `network.Attention`."""
        rows, filled = len(self._rows), len(queries)
        stored_keys, stored_values = self._keys[layer], self._values[layer]
        stored_keys[self._rows, :, self._places] = keys[:rows]
        stored_values[self._rows, :, self._places] = values[:rows]
        context = attend_in_blocks(
            queries[:rows, None],
            stored_keys[:rows, :, : self._seen],
            stored_values[:rows, :, : self._seen],
            bias=self._bias,
        )[:, 0]
        return torch.cat((context, context[:1].expand(filled - rows, -1))) if filled > rows else context


def attend_in_blocks(queries: Tensor, keys: Tensor, values: Tensor, *, bias: Tensor) -> Tensor:
    """Attention of each row's queries to its tokens, a whole number of blocks.

    From (rows, queries, heads, width), twice (rows, kv_heads, tokens, width) and a bias of 0 or -inf (rows, queries, tokens) to
    (rows, queries, heads * width).
    """
    rows, count, heads, width = queries.shape
    _, kv_heads, tokens, _ = keys.shape
    group = heads // kv_heads
    grouped = (queries * width**-0.5).view(rows, count, kv_heads, group, width).permute(0, 2, 3, 1, 4)
    flat_keys, flat_values = keys.flatten(0, 1), values.flatten(0, 1)
    scores = torch.bmm(grouped.reshape(rows * kv_heads, group * count, width), flat_keys.transpose(1, 2))
    biased = scores.view(rows, kv_heads, group, count, tokens) + bias[:, None, None]
    shares = biased.softmax(dim=-1).view(rows * kv_heads, group * count, tokens)
    mixed = torch.bmm(shares[:, :, :BLOCK], flat_values[:, :BLOCK])
    for start in range(BLOCK, tokens, BLOCK):
        mixed.baddbmm_(shares[:, :, start : start + BLOCK], flat_values[:, start : start + BLOCK])
    return (
        mixed.view(rows, kv_heads, group, count, width)
        .permute(0, 3, 1, 2, 4)
        .reshape(rows, count, heads * width)
    )


def whole_blocks(tokens: int) -> int:
    """The number of tokens in the blocks that `tokens` tokens begin."""
    return -(-tokens // BLOCK) * BLOCK
