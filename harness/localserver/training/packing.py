"""How do training rows lie in memory? End to end in packs, without padding, with what they have in common stored once.

Rows of one fine-tune usually share their system message, and a preferred answer shares its prompt with the rejected one. In
a causal network the tokens of a common beginning have the same state whatever follows, so a pack computes them once and
everything that follows attends to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from harness.localserver.model.network import SHAPE_STEP, attend_causally, bias_for
from harness.localserver.model.tokenizer import shared_beginning
from harness.localserver.training.examples import Taught

# A pack is one call into the network; more tokens would cost memory and gain no speed on a processor.
PACK_TOKENS = 1024
# Up to here one product over the whole pack with a mask is faster than one for each row.
_MASKED_TOKENS = 384


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One of the endings of a row: how many of the row's tokens, and how many of its labels, are its own."""

    tokens: int
    answers: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example: what the network reads, and the tokens it is to answer.

    `inputs` ends with the last token whose successor is learned; `places` are indices into it, `labels` the token
    ids expected after them, both of the same length. `tokens` counts the whole example, as it is billed.

    A row may have several endings: `inputs` is then what they have in common and after it each branch, which does not see the
    others; places and labels are sorted by branch.
    """

    inputs: tuple[int, ...]
    places: tuple[int, ...]
    labels: tuple[int, ...]
    tokens: int
    branches: tuple[Branch, ...] = ()

    @property
    def trunk(self) -> int:
        """How many inputs all endings have in common."""
        return len(self.inputs) - sum(branch.tokens for branch in self.branches)

    @property
    def answers(self) -> tuple[int, ...]:
        """How many labels each ending has."""
        return tuple(branch.answers for branch in self.branches) or (len(self.labels),)


@dataclass(frozen=True, kw_only=True)
class Span:
    """Tokens of a pack that lie together; each sees those before it and all tokens of the spans numbered in `above`."""

    tokens: slice
    above: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Rows end to end: the `shared` first tokens of all of them, then the rest of each, then `filling`.

    `members` are the indices of the rows, `lengths` the tokens of their own parts, `answers` the labels of each of their
    endings; `positions` (tokens,) count from 0 in each row; `places` and `labels` (answers,) say which of the pack's tokens
    is to be followed by which id.
    """

    members: tuple[int, ...]
    shared: int
    lengths: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]
    spans: tuple[Span, ...]
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
        ends = accumulate(self.lengths, initial=self.shared)
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


def row_of(taught: Taught, *, context: int) -> Row:
    """A row to imitate; what lies beyond `context` tokens is cut off."""
    targets = _targets(taught, context=context)
    return Row(
        inputs=tuple(taught.ids[: targets[-1]]) if targets else (),
        places=tuple(index - 1 for index in targets),
        labels=tuple(taught.ids[index] for index in targets),
        tokens=min(len(taught.ids), context),
    )


def pair_of(preferred: Taught, rejected: Taught, *, context: int) -> Row:
    """A row of two endings, the preferred first, each cut off beyond `context` tokens; their common prompt is billed once."""
    first, second = row_of(preferred, context=context), row_of(rejected, context=context)
    prompt = preferred.mask.index(1)
    tokens = first.tokens + second.tokens - min(prompt, context)
    if not (first.places and second.places):
        return Row(inputs=(), places=(), labels=(), tokens=tokens)
    trunk = _common(first.inputs, second.inputs)
    beyond = len(first.inputs) - trunk
    return Row(
        inputs=first.inputs + second.inputs[trunk:],
        places=first.places + tuple(place if place < trunk else place + beyond for place in second.places),
        labels=first.labels + second.labels,
        tokens=tokens,
        branches=tuple(
            Branch(tokens=len(row.inputs) - trunk, answers=len(row.labels)) for row in (first, second)
        ),
    )


def _targets(taught: Taught, *, context: int) -> list[int]:
    """The learned tokens; the first of a row has nothing before it that it could be told from."""
    return [index for index, learned in enumerate(taught.mask[:context]) if learned and index > 0]


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two rows share, but for the last of the shorter: each keeps one of its own."""
    return min(shared_beginning(first, second), len(first) - 1, len(second) - 1)


def divide(
    rows: Sequence[Row], members: Sequence[int], *, parts: int = 1, tokens: int = PACK_TOKENS
) -> list[tuple[int, ...]]:
    """The members of each pack, at least `parts` packs where there are as many rows, of about `tokens` or one row.

    Rows without anything to learn are left out. Neighbours in lexicographic order share most, so packs are cut from
    that order; the result depends on the rows alone.
    """
    ordered = sorted(
        (index for index in members if rows[index].places), key=lambda index: (rows[index].inputs, index)
    )
    fair = sum(len(rows[index].inputs) for index in ordered) / parts
    groups: list[tuple[int, ...]] = []
    current: list[int] = []
    size = 0
    for index in ordered:
        length = len(rows[index].inputs)
        # A row goes where most of it lies, so that equal parts come out nearly equal.
        if current and size + length / 2 > min(fair, tokens):
            groups.append(tuple(current))
            current, size = [], 0
        current.append(index)
        size += length
    return [*groups, tuple(current)] if current else groups


def pack_rows(rows: Sequence[Row], members: Sequence[int]) -> Pack:
    """One pack of the rows at `members`, which are in the order of their inputs."""
    chosen = [rows[index] for index in members]
    shared = 0
    if len(chosen) > 1:
        # In sorted order the first and the last row have the least in common.
        shared = min(_common(chosen[0].inputs, chosen[-1].inputs), *(_shareable(row) for row in chosen))
    positions = list(range(shared))
    spans = [Span(tokens=slice(0, shared), above=())]
    places: list[int] = []
    labels: list[int] = []
    for row in chosen:
        offset = len(positions) - shared
        places += [place if place < shared else place + offset for place in row.places]
        labels += row.labels
        trunk = len(spans)
        spans.append(Span(tokens=slice(len(positions), row.trunk + offset), above=(0,)))
        positions += range(shared, row.trunk)
        for branch in row.branches:
            spans.append(Span(tokens=slice(len(positions), len(positions) + branch.tokens), above=(0, trunk)))
            positions += range(row.trunk, row.trunk + branch.tokens)
    filling = -len(positions) % SHAPE_STEP
    return Pack(
        members=tuple(members),
        shared=shared,
        lengths=tuple(len(row.inputs) - shared for row in chosen),
        answers=tuple(row.answers for row in chosen),
        spans=tuple(spans),
        filling=filling,
        positions=torch.tensor(positions + [0] * filling),
        places=torch.tensor(places),
        labels=torch.tensor(labels),
    )


def _shareable(row: Row) -> int:
    """How much of a row may be stored once with others: it keeps a token of its own."""
    return row.trunk if row.branches else row.trunk - 1


class MaskedAttention:
    """Attention inside a small pack, as one product: a token sees the spans above its own, and its own up to itself."""

    def __init__(self, pack: Pack, *, like: Tensor) -> None:
        sizes = [span.tokens.stop - span.tokens.start for span in pack.spans]
        sees = torch.eye(len(sizes) + 1, dtype=torch.bool)
        for number, span in enumerate(pack.spans):
            sees[number, list(span.above)] = True
        owner = torch.repeat_interleave(torch.arange(len(sizes) + 1), torch.tensor([*sizes, pack.filling]))
        visible = sees[owner][:, owner].tril_()
        self._bias = torch.where(visible, 0.0, float("-inf")).to(like)

    def __call__(self, _layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See `network.Attention`."""
        return attend_causally(queries, keys, values, bias=self._bias)


class SpanwiseAttention:
    """The same attention for a large pack, span by span, so that no row is compared with another."""

    def __init__(self, pack: Pack, *, like: Tensor) -> None:
        filled = [span for span in pack.spans if span.tokens.start < span.tokens.stop]
        self._spans = [(span.tokens, _seen(span, pack)) for span in filled]
        self._biases = [
            bias_for(own.stop - own.start, sum(part.stop - part.start for part in seen), like=like)
            for own, seen in self._spans
        ]
        self._filling = pack.filling

    def __call__(self, _layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See `network.Attention`."""
        mixed = [
            attend_causally(queries[own], _parts(keys, seen), _parts(values, seen), bias=bias)
            for (own, seen), bias in zip(self._spans, self._biases, strict=True)
        ]
        mixed.append(mixed[0].new_zeros(self._filling, mixed[0].shape[1]))
        return torch.cat(mixed)


def _seen(span: Span, pack: Pack) -> list[slice]:
    above = [pack.spans[number].tokens for number in span.above]
    return [*(part for part in above if part.start < part.stop), span.tokens]


def _parts(tokens: Tensor, slices: Sequence[slice]) -> Tensor:
    return tokens[slices[0]] if len(slices) == 1 else torch.cat([tokens[part] for part in slices])


def attention_of(pack: Pack, *, like: Tensor) -> MaskedAttention | SpanwiseAttention:
    """The faster of the two for this pack, in the precision and on the device of `like`."""
    return (MaskedAttention if pack.tokens <= _MASKED_TOKENS else SpanwiseAttention)(pack, like=like)
