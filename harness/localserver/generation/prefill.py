"""How are prompts read? Together, end to end, each from where its beginning is known already.

The prompts of a suite begin alike, with its system message. What the network makes of a beginning is kept and
used by all later prompts; whether it was does not change a bit of their answers.
"""

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from harness.localserver.generation.decoder import Ids
from harness.localserver.generation.kv_cache import Memory, attend_in_blocks, whole_blocks
from harness.localserver.model.network import SHAPE_STEP, Network, causal_bias, next_token_logits
from harness.localserver.model.tokenizer import shared_beginning

# Tokens a prompt computes itself, however much of it is known: a product with very few rows is rounded differently
# (measured: with 2 queries and more, which are 6 rows, results are the same bits).
_OWN_TOKENS = 8
# Queries of one row that are compared with its tokens at a time: 256 x 8,192 scores of 9 heads are 75 MB.
_MOST_QUERIES = 256
# A beginning is read on its own when that saves the prompts at hand this many tokens, about the cost of one more call.
_WORTHWHILE_TOKENS = 48
# Tokens of beginnings that are kept, 46 kB each in float32: 94 MB.
_KEPT_TOKENS = 2048


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A prompt that has been read: its memory, and the logits (vocabulary,) after its last token.

    `known_tokens` of it were remembered from earlier prompts.
    """

    memory: Memory
    logits: Tensor
    known_tokens: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Beginning:
    network: "weakref.ref[Network]"
    ids: Ids
    memory: Memory


class Beginnings:
    """How prompts begin, remembered for all readers of a model and its fine-tunes; safe to ask from several threads."""

    def __init__(self, *, most_tokens: int = _KEPT_TOKENS) -> None:
        self._most_tokens = most_tokens
        self._lock = threading.Lock()
        # The most recently used first.
        self._kept: list[_Beginning] = []

    @property
    def tokens(self) -> int:
        """How many tokens are remembered."""
        return sum(len(beginning.ids) for beginning in self._kept)

    def longest(self, network: Network, ids: Ids) -> Memory | None:
        """What is known of the tokens `ids` begins with, as far as it may be used."""
        with self._lock:
            length, best = 0, None
            for beginning in self._kept:
                if beginning.network() is network:
                    usable = _usable(ids, shared_beginning(beginning.ids, ids))
                    if usable > length:
                        length, best = usable, beginning
            if best is None:
                return None
            self._kept.remove(best)
            self._kept.insert(0, best)
            return best.memory.first(length)

    def remember(self, network: Network, ids: Ids, memory: Memory) -> None:
        """Keep this beginning, and as many of the others as there is room for."""
        with self._lock:
            kept = [_Beginning(network=weakref.ref(network), ids=ids, memory=memory)]
            room = self._most_tokens - len(ids)
            for beginning in self._kept:
                is_part = beginning.network() is network and beginning.ids == ids[: len(beginning.ids)]
                # The memory of a network that is gone is of no use.
                if beginning.network() is None or is_part:
                    continue
                room -= len(beginning.ids)
                if room < 0:
                    break
                kept.append(beginning)
            self._kept = kept


class Reader:
    """Reads prompts for one network."""

    def __init__(self, network: Network, beginnings: Beginnings | None = None) -> None:
        self.network = network
        self._beginnings = beginnings or Beginnings()

    def read(self, prompts: Sequence[Ids]) -> list[Reading]:
        """Read all prompts, each of at least one token."""
        known = [self._known(prompt) for prompt in prompts]
        self._read_beginnings(prompts)
        readings = [
            replace(reading, known_tokens=tokens)
            for reading, tokens in zip(self._run(prompts), known, strict=True)
        ]
        if len(prompts) == 1:
            # Whoever asks one by one asks alike, too.
            self._beginnings.remember(self.network, prompts[0], readings[0].memory)
        return readings

    def _read_beginnings(self, prompts: Sequence[Ids]) -> None:
        """Read once what several of these prompts begin with."""
        for prompt, following in pairwise(sorted(prompts)):
            length = _usable(prompt, shared_beginning(prompt, following))
            gain = length - self._known(prompt)
            sharing = sum(other[:length] == prompt[:length] for other in prompts)
            if gain * (sharing - 1) >= _WORTHWHILE_TOKENS:
                (reading,) = self._run([prompt[:length]])
                self._beginnings.remember(self.network, prompt[:length], reading.memory)

    def _known(self, ids: Ids) -> int:
        """How many tokens of `ids` need not be computed."""
        memory = self._beginnings.longest(self.network, ids)
        return memory.tokens if memory else 0

    def _run(self, prompts: Sequence[Ids]) -> list[Reading]:
        known = [self._beginnings.longest(self.network, prompt) for prompt in prompts]
        owns = [
            range(memory.tokens if memory else 0, len(prompt))
            for memory, prompt in zip(known, prompts, strict=True)
        ]
        attention = PromptAttention(known, [len(own) for own in owns], like=self.network.norm)
        ids = [prompt[place] for prompt, own in zip(prompts, owns, strict=True) for place in own]
        places = [place for own in owns for place in own]
        filling = [0] * (-len(ids) % SHAPE_STEP)
        logits = next_token_logits(
            self.network,
            ids + filling,
            positions=places + filling,
            attention=attention,
            keep=attention.last_places(),
        )
        return [
            Reading(memory=memory, logits=row, known_tokens=own.start)
            for memory, row, own in zip(attention.memories(), logits, owns, strict=True)
        ]


def _usable(ids: Ids, shared: int) -> int:
    """How many of the first `shared` tokens may be taken as known."""
    return max(0, min(shared, len(ids) - _OWN_TOKENS))


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """Some of a row's queries: which of the call's tokens, how far they see in whole blocks, and how (1, queries, seen)."""

    own: slice
    seen: int
    bias: Tensor


class PromptAttention:
    """Attention of prompts laid end to end, each to what is known of it and to itself; it keeps what it is shown."""

    def __init__(self, known: Sequence[Memory | None], lengths: Sequence[int], *, like: Tensor) -> None:
        self._known = known
        self._owns: list[slice] = []
        self._stretches: list[list[_Stretch]] = []
        self._keys: list[list[Tensor]] = [[] for _ in lengths]
        self._values: list[list[Tensor]] = [[] for _ in lengths]
        start = 0
        for memory, length in zip(known, lengths, strict=True):
            self._owns.append(slice(start, start + length))
            self._stretches.append(_stretches(start, length, memory.tokens if memory else 0, like=like))
            start += length

    def last_places(self) -> Tensor:
        """Where the last token of each prompt lies."""
        return torch.tensor([own.stop - 1 for own in self._owns])

    def memories(self) -> list[Memory]:
        """The keys and values of each prompt, what was known of it included."""
        pairs = zip(self._keys, self._values, strict=True)
        return [Memory(keys=tuple(keys), values=tuple(values)) for keys, values in pairs]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """See `network.Attention`."""
        mixed: list[Tensor] = []
        for row, (own, memory) in enumerate(zip(self._owns, self._known, strict=True)):
            seen_keys = _joined(memory.keys[layer] if memory else None, keys[own])
            seen_values = _joined(memory.values[layer] if memory else None, values[own])
            tokens = own.stop - own.start + (memory.tokens if memory else 0)
            self._keys[row].append(seen_keys[:, :tokens])
            self._values[row].append(seen_values[:, :tokens])
            for part in self._stretches[row]:
                asked, seen = queries[part.own][None], slice(0, part.seen)
                mixed += attend_in_blocks(
                    asked, seen_keys[None, :, seen], seen_values[None, :, seen], bias=part.bias
                )
        context = torch.cat(mixed)
        return torch.cat((context, context[:1].expand(len(queries) - len(context), -1)))


def _stretches(start: int, length: int, known: int, *, like: Tensor) -> list[_Stretch]:
    """The queries of one row in equal parts of at most `_MOST_QUERIES`, each seeing as far as its last token's block."""
    stretches = []
    for part in torch.arange(length).tensor_split(-(-length // _MOST_QUERIES)):
        first, last = int(part[0]), int(part[-1])
        seen = whole_blocks(known + last + 1)
        bias = causal_bias(len(part), known + last + 1, like=like)
        unseen = like.new_full((len(part), seen - known - last - 1), float("-inf"))
        own = slice(start + first, start + last + 1)
        stretches.append(_Stretch(own=own, seen=seen, bias=torch.cat((bias, unseen), dim=1)[None]))
    return stretches


def _joined(known: Tensor | None, own: Tensor) -> Tensor:
    """(kv_heads, tokens in whole blocks, width) from what is known, in that form, and (tokens, kv_heads, width)."""
    parts = [own.transpose(0, 1)] if known is None else [known, own.transpose(0, 1)]
    tokens = sum(part.shape[1] for part in parts)
    zeros = own.new_zeros(own.shape[1], whole_blocks(tokens) - tokens, own.shape[2])
    return torch.cat([*parts, zeros], dim=1)
