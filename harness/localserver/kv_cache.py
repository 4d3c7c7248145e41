"""What does each answer in progress remember of its tokens? Their keys and values, a row for each answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.localserver.network import NetworkShape

# Capacities grow in this many tokens. It is a multiple of every vector width, so that sums over a row, whose unused
# places add zeros, come out the same at any capacity.
CAPACITY_STEP = 64


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Keys and values of one row's tokens: for each layer a tensor (tokens, kv_heads, head_width)."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def first(self, tokens: int) -> "Memory":
        """The memory of the first `tokens` tokens."""
        return Memory(
            keys=tuple(key[:tokens] for key in self.keys),
            values=tuple(value[:tokens] for value in self.values),
        )


class KvCache:
    """Keys and values of all rows: for each layer a tensor (rows, kv_heads, tokens, head_width).

    Rows in use are the first ones, in no order; each row's tokens lie from 0 on, so a row's place in memory never depends
    on the others.
    """

    def __init__(self, shape: NetworkShape, *, like: Tensor) -> None:
        self._like = like
        empty = (0, shape.kv_heads, 0, shape.head_width)
        self._keys = [like.new_zeros(empty) for _ in range(shape.layers)]
        self._values = [like.new_zeros(empty) for _ in range(shape.layers)]

    def reserve(self, *, rows: int, tokens: int) -> None:
        """Make room for `rows` rows of `tokens` tokens."""
        have_rows, _, have_tokens, _ = self._keys[0].shape
        if rows <= have_rows and tokens <= have_tokens:
            return
        capacity = max(-(-tokens // CAPACITY_STEP) * CAPACITY_STEP, have_tokens)
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
                stored[layer][row, :, : len(new)] = new.transpose(0, 1)

    def move(self, *, source: int, target: int, tokens: int) -> None:
        """Copy the first `tokens` tokens of a row over another row."""
        for stored in (*self._keys, *self._values):
            stored[target, :, :tokens] = stored[source, :, :tokens]

    def attention(self, lengths: Sequence[int]) -> "StepAttention":
        """Attention for one new token in each of the first rows, `lengths` being how many tokens they have so far."""
        return StepAttention(
            self._keys, self._values, lengths=torch.tensor(lengths, device=self._like.device)
        )


class StepAttention:
    """Attention of each row's new token, which it stores, to that row.

    Tokens beyond the number of rows are filling: what they compute is copied from the first row and means nothing.
    """

    def __init__(self, keys: Sequence[Tensor], values: Sequence[Tensor], *, lengths: Tensor) -> None:
        self._keys, self._values = keys, values
        self._places = lengths
        self._rows = torch.arange(len(lengths), device=lengths.device)
        self._seen = -(-(int(lengths.max()) + 1) // CAPACITY_STEP) * CAPACITY_STEP
        visible = torch.arange(self._seen, device=lengths.device) <= lengths[:, None]
        self._bias = torch.where(visible, 0.0, float("-inf")).to(keys[0])[:, None, None]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See `network.Attention`."""
        rows, (filled, heads, width), kv_heads = len(self._rows), queries.shape, keys.shape[1]
        stored_keys, stored_values = self._keys[layer], self._values[layer]
        stored_keys[self._rows, :, self._places] = keys[:rows]
        stored_values[self._rows, :, self._places] = values[:rows]
        # (rows * kv_heads, tokens, width): a view, as only the places beyond `seen` are left out.
        seen_keys = stored_keys[:rows, :, : self._seen].flatten(0, 1)
        seen_values = stored_values[:rows, :, : self._seen].flatten(0, 1)
        group = heads // kv_heads
        grouped = (queries[:rows] * width**-0.5).reshape(rows * kv_heads, group, width)
        scores = torch.bmm(grouped, seen_keys.transpose(1, 2)).view(rows, kv_heads, group, self._seen)
        shares = (scores + self._bias).softmax(dim=-1).view(rows * kv_heads, group, self._seen)
        context = torch.bmm(shares, seen_values).view(rows, heads * width)
        return torch.cat((context, context[:1].expand(filled - rows, -1))) if filled > rows else context
