"""Which token comes next? The likeliest, or one drawn from a generator that belongs to the request alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

# Below this only the likeliest token is ever drawn, unless another is as likely to the last bit or two; a quotient by less overflows.
_LOWEST_TEMPERATURE = 1e-5
# Likeliest tokens among which `top_p` is looked for first.
_FIRST_LOOK = 128


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

    def forbidden(self) -> Tensor:
        """Which tokens may not come next, bool of shape (vocabulary,)."""

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
            logits.masked_fill_(self._guide.forbidden(), float("-inf"))


def choose(logits: Tensor, choosers: Sequence[Chooser]) -> list[int]:
    """One token for each row of `logits`, of shape (rows, vocabulary); no row's choice depends on another's."""
    if logits.device.type == "cpu":
        tokens = [_likeliest(row) for row in logits.float()]
    else:
        tokens = logits.argmax(dim=1).tolist()
    particular = [index for index, chooser in enumerate(choosers) if not chooser.takes_likeliest]
    if particular:
        # A copy: choosers change their row.
        table = logits[torch.tensor(particular, device=logits.device)].to("cpu", torch.float32)
        for index, row in zip(particular, table, strict=True):
            tokens[index] = choosers[index].choose(row)
    return tokens


def _likeliest(logits: Tensor) -> int:
    # Ten times faster than torch's.
    return int(logits.numpy().argmax())


def _drawn(logits: Tensor, manner: Manner, generator: torch.Generator) -> int:
    """A token drawn by inverting the distribution; where `top_p` cuts it, over the likeliest tokens from the first on."""
    temperature = max(manner.temperature, _LOWEST_TEMPERATURE)
    shares = ((logits - logits.max()) / temperature).softmax(dim=0)
    point = torch.rand((), generator=generator, dtype=torch.float64)
    if manner.top_p >= 1:
        totals = shares.cumsum(dim=0, dtype=torch.float64)
        return _inverted(totals, point * totals[-1])
    totals, order = _nucleus(shares, manner.top_p)
    return int(order[_inverted(totals, point * totals[-1])])


def _nucleus(shares: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The fewest likeliest tokens that reach `top_p`: their running totals in float64, and the tokens."""
    count = _FIRST_LOOK
    while True:
        # To sort all tokens takes a hundred times longer, and most often few of them hold nearly everything.
        likeliest, order = shares.topk(min(count, len(shares)))
        totals = likeliest.cumsum(dim=0, dtype=torch.float64)
        if totals[-1] >= top_p or count >= len(shares):
            kept = min(int((totals < top_p).sum()) + 1, len(totals))
            return totals[:kept], order[:kept]
        count *= 8


def _inverted(totals: Tensor, point: Tensor) -> int:
    """Where a point lies in running totals."""
    return min(int(torch.searchsorted(totals, point, right=True)), len(totals) - 1)
