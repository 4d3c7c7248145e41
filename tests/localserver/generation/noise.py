"""A model that says anything: a decoder of random logits, for what must hold whatever a model says."""

from collections.abc import Sequence
from pathlib import Path

import torch

from harness.localserver.generation.decoder import Ids, Tokens


class NoisyDecoder:
    """Logits that depend on nothing but the seed and how many were asked for before; `likely` tokens come more often."""

    def __init__(self, size: int, *, seed: int = 0, likely: Sequence[int] = ()) -> None:
        self._size = size
        self._generator = torch.Generator().manual_seed(seed)
        self._likely = list(likely)
        self.rows = 0
        self.read_prompts: list[Ids] = []

    def read(self, prompts: Sequence[Ids]) -> torch.Tensor:
        self.rows += len(prompts)
        self.read_prompts += prompts
        return self._noise(len(prompts))

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        assert len(tokens) == self.rows
        return self._noise(self.rows)

    def drop(self, row: int) -> None:
        assert 0 <= row < self.rows
        self.rows -= 1

    def cached_tokens(self, row: int) -> int:
        return row

    def room_for(self, prompts: Sequence[Ids], *, longest: int) -> bool:
        return longest > 0 and self.rows + len(prompts) <= 8

    def _noise(self, rows: int) -> torch.Tensor:
        logits = torch.randn(rows, self._size, generator=self._generator)
        logits[:, self._likely] += 4
        return logits


class NoisyBackend:
    """Serves `NoisyDecoder`s with the tokens of a real model."""

    context = 5000
    workers = 1
    threads_each = 1

    def __init__(self, tokens: Tokens, *, likely: Sequence[int] = ()) -> None:
        self.tokens = tokens
        self._likely = likely
        self.decoders: list[NoisyDecoder] = []

    def rest(self) -> None:
        pass

    def decoder(self, adapter: Path | None) -> NoisyDecoder:
        assert adapter is None
        self.decoders.append(NoisyDecoder(self.tokens.size, seed=len(self.decoders), likely=self._likely))
        return self.decoders[-1]
