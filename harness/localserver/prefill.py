"""How are prompts read? Together, end to end, each from where its beginning is known already.

The prompts of a suite begin alike, with its system message. What the network makes of a beginning is kept and
used by all later prompts; whether it was does not change a bit of their answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from harness.localserver.kv_cache import Memory
from harness.localserver.network import (
    SHAPE_STEP,
    Network,
    attend_causally,
    bias_for,
    next_token_logits,
)
from harness.localserver.packing import shared_beginning

Ids: TypeAlias = tuple[int, ...]

# Tokens a prompt computes itself, however much of it is known: with fewer queries the attention kernels
# round differently (measured: from 2, and in the fused kernel from 8 on, results are the same bits).
_OWN_TOKENS = 8
# A beginning is read on its own when that saves the prompts at hand this many tokens, about the cost of one more call.
_WORTHWHILE_TOKENS = 48
# Tokens of beginnings that are kept, 46 kB each in float32.
_KEPT_TOKENS = 4096


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A prompt that has been read: its memory, and the logits (vocabulary,) after its last token."""

    memory: Memory
    logits: Tensor


@dataclass(frozen=True, kw_only=True)
class _Beginning:
    ids: Ids
    memory: Memory


class Reader:
    """Reads prompts for one network and remembers how they begin."""

    def __init__(self, network: Network) -> None:
        self._network = network
        # The most recently used first.
        self._beginnings: list[_Beginning] = []

    def read(self, prompts: Sequence[Ids]) -> list[Reading]:
        """Read all prompts, each of at least one token."""
        self._read_beginnings(prompts)
        readings = self._run(prompts)
        if len(prompts) == 1:
            # Whoever asks one by one asks alike, too.
            self._remember(prompts[0], readings[0].memory)
        return readings

    def _read_beginnings(self, prompts: Sequence[Ids]) -> None:
        """Read once what several of these prompts begin with."""
        for prompt, following in pairwise(sorted(prompts)):
            length = _usable(prompt, shared_beginning(prompt, following))
            gain = length - self._known(prompt)[0]
            sharing = sum(other[:length] == prompt[:length] for other in prompts)
            if gain * (sharing - 1) >= _WORTHWHILE_TOKENS:
                (reading,) = self._run([prompt[:length]])
                self._remember(prompt[:length], reading.memory)

    def _known(self, ids: Ids) -> tuple[int, _Beginning | None]:
        """How many tokens of `ids` need not be computed, and where they are remembered."""
        length, best = 0, None
        for beginning in self._beginnings:
            usable = _usable(ids, shared_beginning(beginning.ids, ids))
            if usable > length:
                length, best = usable, beginning
        return length, best

    def _remember(self, ids: Ids, memory: Memory) -> None:
        self._beginnings.insert(0, _Beginning(ids=ids, memory=memory))
        room = _KEPT_TOKENS
        for index, beginning in enumerate(self._beginnings):
            room -= len(beginning.ids)
            if room < 0:
                del self._beginnings[index:]
                return

    def _run(self, prompts: Sequence[Ids]) -> list[Reading]:
        known: list[Memory | None] = []
        owns: list[range] = []
        for prompt in prompts:
            length, beginning = self._known(prompt)
            known.append(beginning.memory.first(length) if beginning else None)
            owns.append(range(length, len(prompt)))
            if beginning:
                self._beginnings.remove(beginning)
                self._beginnings.insert(0, beginning)
        attention = PromptAttention(known, [len(own) for own in owns], like=self._network.norm)
        ids = [prompt[place] for prompt, own in zip(prompts, owns, strict=True) for place in own]
        places = [place for own in owns for place in own]
        filling = [0] * (-len(ids) % SHAPE_STEP)
        logits = next_token_logits(
            self._network,
            ids + filling,
            positions=places + filling,
            attention=attention,
            keep=attention.last_places(),
        )
        return [
            Reading(memory=memory, logits=row)
            for memory, row in zip(attention.memories(), logits, strict=True)
        ]


def _usable(ids: Ids, shared: int) -> int:
    """How many of the first `shared` tokens may be taken as known."""
    return max(0, min(shared, len(ids) - _OWN_TOKENS))


class PromptAttention:
    """Attention of prompts laid end to end, each to what is known of it and to itself; it keeps what it is shown."""

    def __init__(self, known: Sequence[Memory | None], lengths: Sequence[int], *, like: Tensor) -> None:
        self._known = known
        self._ends = torch.tensor(lengths).cumsum(0)
        self._owns = [
            slice(end - length, end) for end, length in zip(self._ends.tolist(), lengths, strict=True)
        ]
        totals = [
            length + (len(memory.keys[0]) if memory else 0)
            for memory, length in zip(known, lengths, strict=True)
        ]
        self._biases = [
            bias_for(length, total, like=like) for length, total in zip(lengths, totals, strict=True)
        ]
        self._keys: list[list[Tensor]] = [[] for _ in lengths]
        self._values: list[list[Tensor]] = [[] for _ in lengths]

    def last_places(self) -> Tensor:
        """Where the last token of each prompt lies."""
        return self._ends - 1

    def memories(self) -> list[Memory]:
        """The keys and values of each prompt, what was known of it included."""
        pairs = zip(self._keys, self._values, strict=True)
        return [Memory(keys=tuple(keys), values=tuple(values)) for keys, values in pairs]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See `network.Attention`."""
        mixed = []
        for row, (own, memory, bias) in enumerate(zip(self._owns, self._known, self._biases, strict=True)):
            parts = (memory.keys[layer], memory.values[layer]) if memory else (keys[:0], values[:0])
            # cat copies, so that what is kept does not hold the whole call's tensor alive.
            seen_keys, seen_values = torch.cat((parts[0], keys[own])), torch.cat((parts[1], values[own]))
            self._keys[row].append(seen_keys)
            self._values[row].append(seen_values)
            mixed.append(attend_causally(queries[own], seen_keys, seen_values, bias=bias))
        context = torch.cat(mixed)
        return torch.cat((context, context[:1].expand(len(queries) - len(context), -1)))
