"""Advances many answers together, one token a step, each from the keys and values its own tokens left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from harness.localserver.network import (
    FEWEST_ROWS,
    Network,
    Pass,
    attend_causally,
    bias_for,
    normalise,
    rotation_at,
    run_layer,
)
from harness.localserver.packing import shared_beginning
from harness.localserver.tokenizer import ChatTokenizer

Ending: TypeAlias = Literal["stop", "length"]

# Capacities grow in this many tokens; a multiple of the vector width keeps sums over a row the same at any capacity.
_CAPACITY_STEP = 64
# A common beginning shorter than this is not worth keeping.
_SHORTEST_PREFIX = 16
_PREFIXES_KEPT = 8
_PREFIX_TOKENS_KEPT = 4096


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What to continue and how."""

    ids: tuple[int, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A finished answer; `tokens` without the mark that ends it."""

    text: str
    ending: Ending
    tokens: int


@dataclass
class _Row:
    key: int
    prompt: Prompt
    length: int
    generator: torch.Generator | None
    written: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Prefix:
    ids: tuple[int, ...]
    keys: list[Tensor]
    values: list[Tensor]


class Batch:
    """The answers in progress of one network."""

    def __init__(self, network: Network, tokenizer: ChatTokenizer) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._rows: list[_Row] = []
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []
        self._room = (0, 0)
        self._prefixes: list[_Prefix] = []
        self._pending: Tensor | None = None

    def admit(self, prompts: Mapping[int, Prompt]) -> None:
        """Read new prompts; their answers advance with the others' from the next step on."""
        self._remember_beginnings([prompt.ids for prompt in prompts.values()])
        start = len(self._rows)
        longest = max([len(prompt.ids) + prompt.max_tokens for prompt in prompts.values()])
        self._reserve(start + len(prompts), min(longest, max(len(prompt.ids) for prompt in prompts.values()) + _CAPACITY_STEP))
        prefixes = [self._prefix_of(prompt.ids) for prompt in prompts.values()]
        attention = _PromptAttention(
            [(prompt.ids, known) for prompt, known in zip(prompts.values(), prefixes, strict=True)],
            like=self._network.norm,
        )
        logits = self._read(attention)
        for index, (key, prompt) in enumerate(prompts.items()):
            generator = torch.Generator().manual_seed(prompt.seed) if prompt.temperature > 0 else None
            self._rows.append(_Row(key=key, prompt=prompt, length=len(prompt.ids), generator=generator))
            for layer in range(len(self._keys)):
                self._keys[layer][start + index, :, : len(prompt.ids)] = attention.keys[layer][index].transpose(0, 1)
                self._values[layer][start + index, :, : len(prompt.ids)] = attention.values[layer][index].transpose(0, 1)
        self._pending = logits if self._pending is None else torch.cat((self._pending, logits))

    def step(self) -> list[tuple[int, Answer]]:
        """Choose a token for every row; returns the answers this ends, with the keys they were admitted under."""
        assert self._pending is not None
        tokens = [_choose(logits, row) for row, logits in zip(self._rows, self._pending, strict=True)]
        ended = []
        for index in range(len(self._rows) - 1, -1, -1):
            row = self._rows[index]
            answer = self._finished(row, tokens[index])
            if answer is not None:
                ended.append((row.key, answer))
                self._drop(index)
                tokens[index] = tokens[-1]
                tokens.pop()
        self._pending = self._advance(tokens) if tokens else None
        return ended

    def _finished(self, row: _Row, token: int) -> Answer | None:
        if token in self._tokenizer.control_ids:
            return Answer(text=self._tokenizer.decode(row.written), ending="stop", tokens=len(row.written))
        row.written.append(token)
        if row.prompt.stop:
            text = self._tokenizer.decode(row.written)
            found = [place for stop in row.prompt.stop if (place := text.find(stop)) >= 0]
            if found:
                return Answer(text=text[: min(found)], ending="stop", tokens=len(row.written))
        if len(row.written) >= row.prompt.max_tokens:
            return Answer(text=self._tokenizer.decode(row.written), ending="length", tokens=len(row.written))
        return None

    def _drop(self, index: int) -> None:
        last = len(self._rows) - 1
        if index != last:
            length = self._rows[last].length
            for stored in (*self._keys, *self._values):
                stored[index, :, :length] = stored[last, :, :length]
            self._rows[index] = self._rows[last]
        self._rows.pop()

    def _reserve(self, rows: int, tokens: int) -> None:
        shape = self._network.shape
        have_rows, have_tokens = self._room
        want = (max(rows, have_rows), max(-(-tokens // _CAPACITY_STEP) * _CAPACITY_STEP, have_tokens))
        if want == self._room:
            return
        def grown(old: Tensor | None) -> Tensor:
            new = self._network.norm.new_zeros(want[0], shape.kv_heads, want[1], shape.head_width)
            if old is not None:
                new[:have_rows, :, :have_tokens] = old
            return new
        olds = (self._keys, self._values) if self._keys else ([None] * shape.layers, [None] * shape.layers)
        self._keys = [grown(old) for old in olds[0]]
        self._values = [grown(old) for old in olds[1]]
        self._room = want

    def _advance(self, tokens: Sequence[int]) -> Tensor:
        rows = self._rows
        self._reserve(len(rows), max(row.length for row in rows) + 1)
        lengths = [row.length for row in rows]
        # Too few rows are filled up with copies of the first, which write the same where it writes.
        padding = max(0, FEWEST_ROWS - len(rows))
        places = torch.tensor(lengths + lengths[:1] * padding)
        slots = torch.tensor([*range(len(rows)), *[0] * padding])
        attention = _StepAttention(self._keys, self._values, places=places, slots=slots)
        logits = self._run(torch.tensor([*tokens, *tokens[:1] * padding]), places, attention)
        for row in rows:
            row.length += 1
        return logits[: len(rows)]

    def _run(self, ids: Tensor, positions: Tensor, attention: "_StepAttention | _PromptAttention", keep: Tensor | None = None) -> Tensor:
        network = self._network
        within = Pass(shape=network.shape, rotation=rotation_at(positions, network.shape, dtype=network.norm.dtype), attention=attention)
        hidden = network.embedding[ids]
        last = len(network.layers) - 1
        for index, layer in enumerate(network.layers):
            hidden = run_layer(layer, hidden, index=index, within=within, keep=keep if index == last else None)
        return network.head(normalise(hidden, network.norm, epsilon=network.shape.epsilon))

    def _read(self, attention: "_PromptAttention") -> Tensor:
        """Logits after the last token of each prompt."""
        keep = attention.last_places()
        padding = max(0, FEWEST_ROWS - len(keep))
        logits = self._run(attention.ids(), attention.positions(), attention, torch.cat((keep, keep[:1].expand(padding))))
        return logits[: len(keep)]

    def _remember_beginnings(self, prompts: Sequence[tuple[int, ...]]) -> None:
        unknown = sorted(ids for ids in prompts if self._prefix_of(ids) is None)
        while len(unknown) > 1:
            first = unknown.pop(0)
            shared = shared_beginning(first, unknown[0])
            if shared < _SHORTEST_PREFIX:
                continue
            prefix = first[: min(shared, len(first) - 1, len(unknown[0]) - 1)]
            attention = _PromptAttention([(prefix, None)], like=self._network.norm)
            self._read(attention)
            self._prefixes.insert(0, _Prefix(ids=prefix, keys=[k[0] for k in attention.keys], values=[v[0] for v in attention.values]))
            del self._prefixes[_PREFIXES_KEPT:]
            unknown = [ids for ids in unknown if self._prefix_of(ids) is None]

    def _prefix_of(self, ids: tuple[int, ...]) -> _Prefix | None:
        best = max(self._prefixes, key=lambda p: shared_beginning(p.ids, ids), default=None)
        if best is None:
            return None
        shared = min(shared_beginning(best.ids, ids), len(ids) - 1)
        if shared < _SHORTEST_PREFIX:
            return None
        return _Prefix(ids=best.ids[:shared], keys=[k[:shared] for k in best.keys], values=[v[:shared] for v in best.values])


class _PromptAttention:
    """Attention of new prompts, laid end to end, each to a known beginning and to itself; keeps what it is shown."""

    def __init__(self, rows: Sequence[tuple[tuple[int, ...], _Prefix | None]], *, like: Tensor) -> None:
        self._rows = rows
        self._known = [0 if prefix is None else len(prefix.ids) for _, prefix in rows]
        self._lengths = [len(ids) - known for (ids, _), known in zip(rows, self._known, strict=True)]
        self._biases = [bias_for(n, n + known, like=like) for n, known in zip(self._lengths, self._known, strict=True)]
        self.keys: list[list[Tensor]] = []
        self.values: list[list[Tensor]] = []

    def ids(self) -> Tensor:
        own = [token for (ids, _), known in zip(self._rows, self._known, strict=True) for token in ids[known:]]
        return torch.tensor(own + own[:1] * max(0, FEWEST_ROWS - len(own)))

    def positions(self) -> Tensor:
        own = [place for (ids, _), known in zip(self._rows, self._known, strict=True) for place in range(known, len(ids))]
        return torch.tensor(own + own[:1] * max(0, FEWEST_ROWS - len(own)))

    def last_places(self) -> Tensor:
        return torch.tensor(self._lengths).cumsum(0) - 1

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        mixed = []
        all_keys, all_values = [], []
        start = 0
        for (_, prefix), length, bias in zip(self._rows, self._lengths, self._biases, strict=True):
            own = slice(start, start + length)
            start += length
            seen_keys, seen_values = keys[own], values[own]
            if prefix is not None:
                seen_keys = torch.cat((prefix.keys[layer], seen_keys))
                seen_values = torch.cat((prefix.values[layer], seen_values))
            all_keys.append(seen_keys.clone())
            all_values.append(seen_values.clone())
            mixed.append(attend_causally(queries[own], seen_keys, seen_values, bias=bias))
        self.keys.append(all_keys)
        self.values.append(all_values)
        context = torch.cat(mixed)
        return torch.cat((context, context.new_zeros(len(queries) - start, context.shape[1])))


class _StepAttention:
    """Attention of one new token in every row to the tokens before it, which it joins."""

    def __init__(self, keys: Sequence[Tensor], values: Sequence[Tensor], *, places: Tensor, slots: Tensor) -> None:
        self._keys, self._values = keys, values
        self._places, self._slots = places, slots
        self._seen = -(-(int(places.max()) + 1) // _CAPACITY_STEP) * _CAPACITY_STEP
        visible = torch.arange(self._seen) <= places[:, None]
        self._bias = torch.zeros(visible.shape, dtype=keys[0].dtype).masked_fill_(~visible, float("-inf"))[:, None, None]
        self._rows = int(slots.max()) + 1

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        stored_keys, stored_values = self._keys[layer], self._values[layer]
        stored_keys[self._slots, :, self._places] = keys
        stored_values[self._slots, :, self._places] = values
        rows, heads, width = self._rows, queries.shape[1], queries.shape[2]
        kv_heads = keys.shape[1]
        group = heads // kv_heads
        grouped = queries[:rows].reshape(rows * kv_heads, group, width) * width**-0.5
        seen_keys = stored_keys[:rows, :, : self._seen].reshape(rows * kv_heads, self._seen, width)
        seen_values = stored_values[:rows, :, : self._seen].reshape(rows * kv_heads, self._seen, width)
        scores = torch.bmm(grouped, seen_keys.transpose(1, 2)).view(rows, kv_heads, group, self._seen)
        shares = (scores + self._bias[:rows]).softmax(dim=-1).view(rows * kv_heads, group, self._seen)
        context = torch.bmm(shares, seen_values).view(rows, heads * width)
        if len(queries) == rows:
            return context
        return torch.cat((context, context[:1].expand(len(queries) - rows, -1)))


def _choose(logits: Tensor, row: _Row) -> int:
    prompt = row.prompt
    if row.generator is None:
        return int(logits.argmax())
    shares = torch.softmax(logits.double() / prompt.temperature, dim=-1)
    shares, order = shares.sort(descending=True, stable=True)
    totals = shares.cumsum(dim=-1)
    kept = int((totals < prompt.top_p).sum()) + 1 if prompt.top_p < 1 else len(totals)
    kept = min(kept, len(totals))
    drawn = torch.rand((), generator=row.generator, dtype=torch.float64) * totals[kept - 1]
    place = int((totals[:kept] <= drawn).sum())
    return int(order[min(place, kept - 1)])
