"""The embedded model as the engine serves it: the lean network, its prompts read by `Reader`, its rows kept in a `KvCache`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.localserver.generation.decoder import Ids
from harness.localserver.generation.kv_cache import KvCache
from harness.localserver.generation.prefill import Beginnings, Reader
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import FEWEST_ROWS, Network, NetworkShape, next_token_logits
from harness.localserver.model.networks import Networks, release_memory
from harness.localserver.model.processors import crew
from harness.localserver.model.tokenizer import ChatTokenizer

# More rows have no more work done at once on a processor (measured: the products run at full speed from 8 rows on).
_MOST_ROWS = 32
# Tokens all rows may come to together, 46 kB each in float32: 1.5 GB, if every answer is as long as it may be.
_MOST_TOKENS = 32_768
# Prompts are read this many tokens at a time, so that many long ones do not need their inner states all at once.
_READ_TOKENS = 4096
# A GPU has work for more rows; beyond these, choosing their tokens takes longer than the network does.
_MOST_ROWS_GPU = 256
# Keys and values may take this share of the memory a GPU has free: while they grow, a layer of them is there twice.
_GPU_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Room:
    """How many rows there may be at once, and how many tokens they may come to together."""

    rows: int = _MOST_ROWS
    tokens: int = _MOST_TOKENS


def room_on(device: torch.device, shape: NetworkShape, *, dtype: torch.dtype) -> Room:
    """The room a device has for keys and values in `dtype`, asked when the weights are already there."""
    if device.type != "cuda":
        return Room()
    free, _ = torch.cuda.mem_get_info(device)
    token_bytes = 2 * shape.layers * shape.kv_width * dtype.itemsize
    return Room(rows=_MOST_ROWS_GPU, tokens=max(_MOST_TOKENS, int(free * _GPU_SHARE) // token_bytes))


class LeanBackend:
    """A Llama GGUF and its fine-tunes; loads the network when it is first asked for.

    Args:
        weights: The model file.
        threads: Processors to use; all this process may use by default.
        device: "cpu" or "cuda"; where there is a GPU it is used by itself, in bfloat16. On a processor all is float32.

    Raises:
        StorageError: The model file cannot be read.
    """

    def __init__(self, weights: Path, *, threads: int | None = None, device: str | None = None) -> None:
        gguf = GgufFile(weights)
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        on_cpu = place.type == "cpu"
        self._crew = crew(threads) if on_cpu else crew(threads, most_workers=1)
        self._tokens = ChatTokenizer(gguf)
        self._networks = Networks(gguf, dtype=torch.float32 if on_cpu else torch.bfloat16, device=place)
        self._beginnings = Beginnings()

    @property
    def tokens(self) -> ChatTokenizer:
        """Its tokenizer."""
        return self._tokens

    @property
    def context(self) -> int:
        """Tokens a prompt and its answer may have together."""
        return self._networks.shape.context

    @property
    def workers(self) -> int:
        """How many decoders are best at work at the same time."""
        return self._crew.workers

    @property
    def threads_each(self) -> int:
        """Processor threads each of them computes with."""
        return self._crew.threads_each

    def rest(self) -> None:
        """Keep the base alone: a fine-tune is merged again in half a second."""
        self._networks.rest()

    def decoder(self, adapter: Path | None) -> "LeanDecoder":
        """A decoder of the fine-tune in this folder, or of the base model.

        Raises:
            StorageError: The fine-tune cannot be read or does not fit.
        """
        network = self._networks.network(adapter)
        room = room_on(network.norm.device, network.shape, dtype=network.norm.dtype)
        return LeanDecoder(Reader(network, self._beginnings), room=room)


class LeanDecoder:
    """Rows in progress of one network; no row's logits depend on the others."""

    def __init__(self, reader: Reader, *, room: Room | None = None) -> None:
        self._network: Network = reader.network
        self._reader = reader
        self._room = room or Room()
        self._cache = self._empty_cache()
        # Tokens of each row whose keys and values are stored, and those of its prompt that were known before.
        self._lengths: list[int] = []
        self._cached: list[int] = []

    def read(self, prompts: Sequence[Ids]) -> Tensor:
        """Read prompts, each of at least one token, as new rows; returns the logits after each, (prompts, size)."""
        logits: list[Tensor] = []
        group: list[Ids] = []
        for prompt in prompts:
            if group and sum(map(len, group)) + len(prompt) > _READ_TOKENS:
                logits += self._read(group)
                group = []
            group.append(prompt)
        return torch.stack(logits + self._read(group))

    def advance(self, tokens: Sequence[int]) -> Tensor:
        """Append one token to every row; returns the logits after each, (rows, size)."""
        rows, places = len(tokens), list(self._lengths)
        self._cache.reserve(rows=rows, tokens=max(places) + 1)
        filling = max(0, FEWEST_ROWS - rows)
        logits = next_token_logits(
            self._network,
            [*tokens, *[tokens[0]] * filling],
            positions=[*places, *[places[0]] * filling],
            attention=self._cache.attention(places),
        )
        self._lengths = [place + 1 for place in places]
        return logits[:rows]

    def drop(self, row: int) -> None:
        """Forget a row; the last row takes its number."""
        last = len(self._lengths) - 1
        if row < last:
            self._cache.move(source=last, target=row, tokens=self._lengths[last])
        for listed in (self._lengths, self._cached):
            listed[row] = listed[last]
            listed.pop()
        if not self._lengths:
            self._cache = self._empty_cache()
            release_memory()

    def cached_tokens(self, row: int) -> int:
        """How many tokens of the row's prompt were known already and not computed."""
        return self._cached[row]

    def room_for(self, prompts: Sequence[Ids], *, longest: int) -> bool:
        """Whether these fit beside the rows in progress if no row, old or new, grows beyond `longest` tokens."""
        rows = len(self._lengths) + len(prompts)
        return rows == 1 or (rows <= self._room.rows and rows * longest <= self._room.tokens)

    def _read(self, prompts: Sequence[Ids]) -> list[Tensor]:
        self._cache.reserve(rows=len(self._lengths) + len(prompts), tokens=max(map(len, prompts)))
        readings = self._reader.read(prompts)
        for reading in readings:
            self._cache.put(len(self._lengths), reading.memory)
            self._lengths.append(reading.memory.tokens)
            self._cached.append(reading.known_tokens)
        return [reading.logits for reading in readings]

    def _empty_cache(self) -> KvCache:
        return KvCache(self._network.shape, like=self._network.norm)
