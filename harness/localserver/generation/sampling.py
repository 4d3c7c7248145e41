"""Which token comes next? The likeliest, or one drawn from a generator that belongs to the request alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How one answer's tokens are chosen; the fields are those of `GenerationRequest`, the seed is settled."""

    temperature: float
    top_p: float
    seed: int
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)


class Guide(Protocol):
    """What an answer has to keep to, as far as it is written."""

    def allowed(self) -> Tensor:
        """Which tokens may come next, bool of shape (vocabulary,)."""

    def follow(self, token: int) -> None:
        """The answer goes on with this token."""


class Chooser:
    """Chooses the tokens of one answer; it knows those it chose."""

    def __init__(self, manner: Manner, guide: Guide | None = None) -> None:
        self._manner = manner
        self._guide = guide
        self._generator = torch.Generator().manual_seed(manner.seed) if manner.temperature > 0 else None
        self._written: Counter[int] = Counter()
        self._penalised = bool(manner.frequency_penalty or manner.presence_penalty)

    @property
    def takes_likeliest(self) -> bool:
        """Whether the likeliest token is taken, with nothing added, taken off or forbidden."""
        changed = self._penalised or self._manner.logit_bias or self._guide
        return self._generator is None and not changed

    def choose(self, logits: Tensor) -> int:
        """A token by its logits (vocabulary,) in float32, which are changed."""
        self._adjust(logits)
        token = (
            int(logits.argmax()) if self._generator is None else _drawn(logits, self._manner, self._generator)
        )
        if self._penalised:
            self._written[token] += 1
        if self._guide:
            self._guide.follow(token)
        return token

    def _adjust(self, logits: Tensor) -> None:
        manner = self._manner
        for token, bias in manner.logit_bias.items():
            logits[token] += bias
        if self._penalised:
            for token, times in self._written.items():
                logits[token] -= manner.presence_penalty + manner.frequency_penalty * times
        if self._guide:
            logits.masked_fill_(~self._guide.allowed(), float("-inf"))


def choose(logits: Tensor, choosers: Sequence[Chooser]) -> list[int]:
    """One token for each row of `logits`, of shape (rows, vocabulary); no row's choice depends on another's."""
    if logits.device.type == "cpu":
        # numpy's argmax is ten times faster than torch's on a processor.
        tokens: list[int] = logits.float().numpy().argmax(axis=1).tolist()
    else:
        tokens = logits.argmax(dim=1).tolist()
    particular = [index for index, chooser in enumerate(choosers) if not chooser.takes_likeliest]
    if particular:
        # A copy: choosers change their row.
        table = logits[torch.tensor(particular, device=logits.device)].to("cpu", torch.float32)
        for index, row in zip(particular, table, strict=True):
            tokens[index] = choosers[index].choose(row)
    return tokens


def _drawn(logits: Tensor, manner: Manner, generator: torch.Generator) -> int:
    # Temperatures near zero would overflow as a quotient; the likeliest token stays at exponent 0 either way.
    exponents = (logits - logits.max()).double() / manner.temperature
    shares, order = exponents.softmax(dim=0).sort(descending=True, stable=True)
    totals = shares.cumsum(dim=0)
    kept = min(int((totals < manner.top_p).sum()) + 1, len(totals))
    point = torch.rand((), generator=generator, dtype=torch.float64) * totals[kept - 1]
    place = int(torch.searchsorted(totals[:kept], point, right=True))
    return int(order[min(place, kept - 1)])
