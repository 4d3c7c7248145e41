"""How do training rows lie in memory? End to end in packs, without padding, with a common beginning stored once.

Rows of one fine-tune usually share their system message. In a causal network the tokens of a common beginning have
the same state in every row, so a pack computes them once and every row of it attends to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from harness.localserver.model.network import SHAPE_STEP, attend_causally, bias_for
from harness.localserver.model.tokenizer import shared_beginning

# A pack is one call into the network; more tokens would cost memory and gain no speed.
_PACK_TOKENS = 1024
# Up to here one product over the whole pack with a mask is faster than one for each row.
_MASKED_TOKENS = 384


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example: what the network reads, and the tokens it is to answer.

    `inputs` ends with the last token whose successor is learned; `places` are indices into it, `labels` the token
    ids expected after them, both of the same length. `tokens` counts the whole example, as it is billed.
    """

    inputs: tuple[int, ...]
    places: tuple[int, ...]
    labels: tuple[int, ...]
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Rows end to end: the `shared` first tokens of all of them, then the rest of each, then `filling`.

    `members` are the indices of the rows; `lengths` of their own parts, in tokens; `positions` (tokens,) count from 0 in each
    row; `places` and `labels` (answers,) say which of the pack's tokens is to be followed by which id.
    """

    members: tuple[int, ...]
    shared: int
    lengths: tuple[int, ...]
    filling: int
    positions: Tensor
    places: Tensor
    labels: Tensor

    @property
    def tokens(self) -> int:
        """How many tokens the network reads for this pack."""
        return len(self.positions)

    def segments(self) -> list[slice]:
        """Where each row's own part lies."""
        ends = [self.shared]
        for length in self.lengths:
            ends.append(ends[-1] + length)
        return [slice(start, end) for start, end in pairwise(ends)]

    def gather(self, parts: Sequence[Tensor]) -> Tensor:
        """One tensor (tokens, ...) from one tensor (inputs, ...) for each member, in their order."""
        first = parts[0]
        filling = first[:1].expand(self.filling, *first.shape[1:])
        return torch.cat([first[: self.shared], *(part[self.shared :] for part in parts), filling])

    def scatter(self, packed: Tensor) -> list[Tensor]:
        """The reverse of `gather`."""
        beginning = packed[: self.shared]
        return [torch.cat((beginning, packed[segment])) for segment in self.segments()]


def read_row(ids: Sequence[int], mask: Sequence[int], *, context: int) -> Row:
    """A row from a conversation's ids and loss mask; what lies beyond `context` tokens is cut off."""
    targets = [index for index, taught in enumerate(mask[:context]) if taught and index > 0]
    return Row(
        inputs=tuple(ids[: targets[-1]]) if targets else (),
        places=tuple(index - 1 for index in targets),
        labels=tuple(ids[index] for index in targets),
        tokens=min(len(ids), context),
    )


def pack_rows(rows: Sequence[Row], members: Sequence[int], *, parts: int = 1) -> list[Pack]:
    """Packs for the rows at `members`, at least `parts` of them where there are as many rows.

    Rows without anything to learn are left out. Neighbours in lexicographic order share most, so packs are cut from
    that order; the result depends on the rows alone.
    """
    ordered = sorted(
        (index for index in members if rows[index].places), key=lambda index: (rows[index].inputs, index)
    )
    fair = sum(len(rows[index].inputs) for index in ordered) / parts
    packs: list[Pack] = []
    current: list[int] = []
    size = 0
    for index in ordered:
        length = len(rows[index].inputs)
        # A row goes where most of it lies, so that equal parts come out nearly equal.
        if current and size + length / 2 > min(fair, _PACK_TOKENS):
            packs.append(_pack(rows, current))
            current, size = [], 0
        current.append(index)
        size += length
    if current:
        packs.append(_pack(rows, current))
    return packs


def _pack(rows: Sequence[Row], members: Sequence[int]) -> Pack:
    chosen = [rows[index] for index in members]
    # In sorted order the first and the last row have the least in common. Every row keeps a token of its own.
    shared = 0
    if len(chosen) > 1:
        shortest = min(len(row.inputs) for row in chosen)
        shared = min(shared_beginning(chosen[0].inputs, chosen[-1].inputs), shortest - 1)
    positions = list(range(shared))
    places: list[int] = []
    labels: list[int] = []
    for row in chosen:
        offset = len(positions) - shared
        positions += range(shared, len(row.inputs))
        places += [place if place < shared else place + offset for place in row.places]
        labels += row.labels
    filling = -len(positions) % SHAPE_STEP
    return Pack(
        members=tuple(members),
        shared=shared,
        lengths=tuple(len(row.inputs) - shared for row in chosen),
        filling=filling,
        positions=torch.tensor(positions + [0] * filling),
        places=torch.tensor(places),
        labels=torch.tensor(labels),
    )


class MaskedAttention:
    """Attention inside a small pack, as one product: a token sees the shared beginning and its own row, up to itself."""

    def __init__(self, pack: Pack, *, like: Tensor) -> None:
        counts = torch.tensor([pack.shared, *pack.lengths, pack.filling])
        owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
        visible = ((owner[:, None] == owner) | (owner == 0)).tril_()
        self._bias = torch.where(visible, 0.0, float("-inf")).to(like)

    def __call__(self, _layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See `network.Attention`."""
        return attend_causally(queries, keys, values, bias=self._bias)


class RowwiseAttention:
    """The same attention for a large pack, row by row, so that no row is compared with another."""

    def __init__(self, pack: Pack, *, like: Tensor) -> None:
        self._shared = slice(0, pack.shared)
        self._segments = pack.segments()
        self._shared_bias = bias_for(pack.shared, pack.shared, like=like)
        self._biases = [bias_for(length, pack.shared + length, like=like) for length in pack.lengths]
        self._filling = pack.filling

    def __call__(self, _layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See `network.Attention`."""
        first = self._shared
        mixed = []
        if first.stop:
            mixed.append(attend_causally(queries[first], keys[first], values[first], bias=self._shared_bias))
        for own, bias in zip(self._segments, self._biases, strict=True):
            seen_keys, seen_values = (
                torch.cat((keys[first], keys[own])),
                torch.cat((values[first], values[own])),
            )
            mixed.append(attend_causally(queries[own], seen_keys, seen_values, bias=bias))
        mixed.append(mixed[0].new_zeros(self._filling, mixed[0].shape[1]))
        return torch.cat(mixed)


def attention_of(pack: Pack, *, like: Tensor) -> MaskedAttention | RowwiseAttention:
    """The faster of the two for this pack, in the precision of `like`."""
    return (MaskedAttention if pack.tokens <= _MASKED_TOKENS else RowwiseAttention)(pack, like=like)
