"""Rows in progress of a transformers network: side by side where that is sound, else each by itself."""

from collections.abc import Callable, Iterator, Sequence
from inspect import signature

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from harness.localserver.generation.decoder import Ids
from harness.localserver.hf.row_cache import RowCache

# Prompts are read this many tokens at a time, padding included.
_READ_TOKENS = 4096
# More rows have no more work done at once: on a processor the products run at full speed from 8 rows on, on a GPU from some hundred.
_MOST_ROWS = {"cpu": 32, "cuda": 256}
# Rows are side by side only where their logits then differ by less than this share of the logits' spread, on average. A row that
# sees another's tokens, or its own at wrong places, differs by about all of it.
_TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.1}
# Lengths of the prompts with which that is tried, and the tokens each goes on with.
_TRIED = (7, 12, 3)


class Network:
    """A causal language model's forward pass, for models that differ in what they take."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        taken = signature(model.forward).parameters
        self._takes_positions = "position_ids" in taken
        self._picks_logits = "logits_to_keep" in taken
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self.most_rows = _MOST_ROWS.get(self.device.type, 1)

    def last_logits(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """The logits (rows, size), in float32, after the last of (rows, tokens), whose keys and values are added to the cache.

        `mask` is (rows, all tokens) with those in the cache; `positions` counts each row's tokens from 0.
        """
        given: dict[str, object] = (
            {"position_ids": positions.to(self.device)} if self._takes_positions else {}
        )
        if self._picks_logits:
            given["logits_to_keep"] = 1
        output = self.model(
            input_ids=tokens.to(self.device),
            attention_mask=mask.long().to(self.device),
            past_key_values=cache,
            use_cache=True,
            return_dict=True,
            **given,
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits


class RowsTogether:
    """A `Decoder` whose rows advance side by side; for networks whose layers all attend."""

    def __init__(self, network: Network, *, room: int, activate: Callable[[], None]) -> None:
        self._network = network
        self._room = room
        self._activate = activate
        self._cache = RowCache()

    @property
    def bytes_per_token(self) -> int:
        """Memory a token of a row takes; 0 while there is no row."""
        return self._cache.bytes_per_token

    @torch.inference_mode()
    def read(self, prompts: Sequence[Ids]) -> Tensor:
        """See `Decoder`."""
        self._activate()
        return torch.cat([self._read(group) for group in _groups(prompts)])

    @torch.inference_mode()
    def advance(self, tokens: Sequence[int]) -> Tensor:
        """See `Decoder`."""
        self._activate()
        positions = torch.tensor(self._cache.lengths)[:, None]
        cache, mask = self._cache.begin_step()
        logits = self._network.last_logits(torch.tensor(tokens)[:, None], mask, positions, cache)
        self._cache.end_step()
        return logits

    def drop(self, row: int) -> None:
        """See `Decoder`."""
        with torch.inference_mode():
            self._cache.drop(row)

    def cached_tokens(self, row: int) -> int:
        """None: every prompt is computed from its beginning."""
        del row
        return 0

    def room_for(self, prompts: Sequence[Ids], *, longest: int) -> bool:
        """See `Decoder`."""
        rows = len(self._cache.lengths) + len(prompts)
        return rows == 1 or (rows <= self._network.most_rows and rows * longest <= self._room)

    def _read(self, prompts: Sequence[Ids]) -> Tensor:
        """Read prompts in one pass, padded on the left."""
        lengths = [len(prompt) for prompt in prompts]
        width = max(lengths)
        tokens = torch.tensor([[prompt[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts])
        padding = width - torch.tensor(lengths)[:, None]
        places = torch.arange(width) - padding
        cache = DynamicCache()
        logits = self._network.last_logits(tokens, places >= 0, places.clamp(min=0), cache)
        self._cache.admit(cache, lengths)
        return logits


class RowsApart:
    """A `Decoder` whose rows advance one after another, each with a cache of its own, of whatever kind the network wants."""

    def __init__(self, network: Network, *, room: int, activate: Callable[[], None]) -> None:
        self._network = network
        self._room = room
        self._activate = activate
        self._rows: list[tuple[DynamicCache, int]] = []

    @torch.inference_mode()
    def read(self, prompts: Sequence[Ids]) -> Tensor:
        """See `Decoder`."""
        self._activate()
        logits = []
        for prompt in prompts:
            cache = DynamicCache(config=self._network.model.config)
            logits.append(self._step(cache, prompt, known=0))
            self._rows.append((cache, len(prompt)))
        return torch.cat(logits)

    @torch.inference_mode()
    def advance(self, tokens: Sequence[int]) -> Tensor:
        """See `Decoder`."""
        self._activate()
        logits = [
            self._step(cache, (token,), known=length)
            for (cache, length), token in zip(self._rows, tokens, strict=True)
        ]
        self._rows = [(cache, length + 1) for cache, length in self._rows]
        return torch.cat(logits)

    def drop(self, row: int) -> None:
        """See `Decoder`."""
        self._rows[row] = self._rows[-1]
        self._rows.pop()

    def cached_tokens(self, row: int) -> int:
        """None: every prompt is computed from its beginning."""
        del row
        return 0

    def room_for(self, prompts: Sequence[Ids], *, longest: int) -> bool:
        """See `Decoder`."""
        rows = len(self._rows) + len(prompts)
        return rows == 1 or (rows <= self._network.most_rows and rows * longest <= self._room)

    def _step(self, cache: DynamicCache, tokens: Ids, *, known: int) -> Tensor:
        positions = torch.arange(known, known + len(tokens))[None]
        mask = torch.ones(1, known + len(tokens), dtype=torch.bool)
        return self._network.last_logits(torch.tensor([tokens]), mask, positions, cache)


def bytes_per_token(network: Network) -> int | None:
    """Memory a token of a row takes where rows can be side by side; None where they cannot.

    Whether they can is tried, not concluded from the kind of model: rows that come, go on and leave must have the logits
    they have alone.
    """
    kinds = {type(layer) for layer in DynamicCache(config=network.model.config).layers}
    if not kinds <= {DynamicLayer, DynamicSlidingWindowLayer}:
        return None  # a state that is not keys and values: a recurrent one, or one shared between layers
    together = RowsTogether(network, room=0, activate=lambda: None)
    apart = RowsApart(network, room=0, activate=lambda: None)
    tolerance = _TOLERANCE[network.dtype]
    for side_by_side, alone in zip(_tried(together, network), _tried(apart, network), strict=True):
        if not bool((side_by_side - alone).abs().mean() <= tolerance * alone.std()):
            return None
    return together.bytes_per_token


def _tried(decoder: RowsTogether | RowsApart, network: Network) -> Iterator[Tensor]:
    """The logits of rows that are read, joined, advanced and dropped."""
    size = network.model.config.get_text_config().vocab_size
    first, second, third = (
        tuple((7 * place + length) % size for place in range(length)) for length in _TRIED
    )
    yield decoder.read([first, second])
    yield decoder.advance([1 % size, 2 % size])
    yield decoder.read([third])
    yield decoder.advance([3 % size, 4 % size, 5 % size])
    decoder.drop(0)
    yield decoder.advance([6 % size, 7 % size])


def _groups(prompts: Sequence[Ids]) -> Iterator[list[Ids]]:
    """Prompts in their order, in groups of at most `_READ_TOKENS` tokens, padding included, or of one prompt."""
    group: list[Ids] = []
    for prompt in prompts:
        longest = max(map(len, [*group, prompt]))
        if group and longest * (len(group) + 1) > _READ_TOKENS:
            yield group
            group = []
        group.append(prompt)
    if group:
        yield group
