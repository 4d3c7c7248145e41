"""Keys and values of rows of different lengths, in buffers that rows enter and leave while others go on.

The rows end at the same place of the buffer, so a step writes the newest token of all of them side by side; what lies before a row's
first token is masked. transformers' own cache copies itself at every step and takes no rows in; this one copies itself only
when its buffer is full.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

# Room for this many further tokens is made when a buffer is full, or half as much as there is, whichever is more.
_LEAST_RESERVE = 64


class _Frame:
    """What the layers have in common: how many rows there are, and the part of the buffers that they fill."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.end = 0

    @property
    def rows(self) -> int:
        return len(self.lengths)

    @property
    def span(self) -> int:
        """Tokens of the longest row."""
        return max(self.lengths, default=0)


class _Layer(DynamicLayer):  # type: ignore[misc]
    """One layer's buffers, each of shape (rows, heads, tokens, width)."""

    keys: Tensor
    values: Tensor

    def __init__(self, frame: _Frame, like: DynamicLayer) -> None:
        super().__init__()
        self._frame = frame
        self.lazy_initialization(like.keys, like.values)
        # Zeros, since what is masked is still multiplied, and memory as it comes may hold what is not a number.
        self.keys, self.values = (
            states.new_zeros(0, *states.shape[1:2], 0, states.shape[3]) for states in _states(like)
        )

    def make_room(self, *, rows: int, end: int, tokens: int) -> None:
        """Move what there is into larger buffers, so that it ends at `end` there."""
        frame = self._frame

        def moved(old: Tensor) -> Tensor:
            new = old.new_zeros(rows, old.shape[1], tokens, old.shape[3])
            kept = slice(frame.end - frame.span, frame.end)
            new[: frame.rows, :, end - frame.span : end] = old[: frame.rows, :, kept]
            return new

        self.keys, self.values = moved(self.keys), moved(self.values)

    def put(self, row: int, keys: Tensor, values: Tensor) -> None:
        """Write a row, from states of shape (heads, tokens, width)."""
        place = slice(self._frame.end - keys.shape[1], self._frame.end)
        self.keys[row, :, place] = keys
        self.values[row, :, place] = values

    def move(self, *, source: int, target: int, tokens: int) -> None:
        """Copy the last `tokens` tokens of one row to another."""
        place = slice(self._frame.end - tokens, self._frame.end)
        for states in (self.keys, self.values):
            states[target, :, place] = states[source, :, place]

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Write the newest token of every row, (rows, heads, 1, width); returns all that there is of them."""
        rows, end, span = self._frame.rows, self._frame.end, self._frame.span
        self.keys[:rows, :, end] = key_states[:, :, 0]
        self.values[:rows, :, end] = value_states[:, :, 0]
        window = slice(end - span, end + 1)
        return self.keys[:rows, :, window], self.values[:rows, :, window]

    def get_seq_length(self) -> int:
        """Tokens that the mask has to cover besides the newest."""
        return self._frame.span


def _states(layer: DynamicLayer) -> tuple[Tensor, Tensor]:
    keys, values = layer.keys, layer.values
    assert keys is not None
    assert values is not None
    return keys, values


class RowCache:
    """The keys and values of rows in progress, numbered from 0."""

    def __init__(self) -> None:
        self._frame = _Frame()
        self._layers: list[_Layer] = []

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each row."""
        return self._frame.lengths

    @property
    def bytes_per_token(self) -> int:
        """Memory one token of one row takes; 0 before any row came."""
        return sum(
            states[0, :, 0].numel() * states.element_size()
            for layer in self._layers
            for states in (layer.keys, layer.values)
        )

    def admit(self, read: DynamicCache, lengths: Sequence[int]) -> None:
        """Take in prompts that were read together, padded on the left."""
        frame = self._frame
        if not self._layers:
            self._layers = [_Layer(frame, layer) for layer in read.layers]
        first, longest = frame.rows, max(lengths)
        has_rows = self._layers[0].keys.shape[0] >= first + len(lengths)
        if not has_rows or longest > frame.end:
            self._make_room(rows=first + len(lengths), span=max(frame.span, longest))
        for layer, states in zip(self._layers, read.layers, strict=True):
            keys, values = _states(states)
            for number, length in enumerate(lengths):
                layer.put(first + number, keys[number, :, -length:], values[number, :, -length:])
        frame.lengths += lengths

    def begin_step(self) -> tuple[Cache, Tensor]:
        """For the newest token of every row: the cache to compute with, and the attention mask (rows, tokens), on the processor."""
        frame = self._frame
        if frame.end == self._layers[0].keys.shape[2]:
            self._make_room(rows=frame.rows, span=frame.span)
        places = torch.arange(frame.span + 1)
        mask = places >= frame.span - torch.tensor(frame.lengths)[:, None]
        return Cache(layers=list(self._layers)), mask

    def end_step(self) -> None:
        """The newest token of every row is written."""
        self._frame.end += 1
        self._frame.lengths = [length + 1 for length in self._frame.lengths]

    def drop(self, row: int) -> None:
        """Forget a row; the last row takes its number."""
        lengths = self._frame.lengths
        last = len(lengths) - 1
        if row < last:
            for layer in self._layers:
                layer.move(source=last, target=row, tokens=lengths[last])
        lengths[row] = lengths[last]
        lengths.pop()
        if not lengths:
            self._frame = _Frame()
            self._layers = []

    def _make_room(self, *, rows: int, span: int) -> None:
        for layer in self._layers:
            layer.make_room(rows=rows, end=span, tokens=span + max(_LEAST_RESERVE, span // 2))
        self._frame.end = span
