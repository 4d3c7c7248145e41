"""Which token comes next? The likeliest, or one drawn from a generator that belongs to the request alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """How one answer's tokens are chosen.

    `generator` None takes the likeliest token; otherwise tokens are drawn at `temperature`, from the fewest likeliest tokens
    whose probabilities reach `top_p` together.
    """

    temperature: float
    top_p: float
    generator: torch.Generator | None


def chooser(*, temperature: float, top_p: float, seed: int) -> Chooser:
    """The chooser for a request's settings."""
    generator = torch.Generator().manual_seed(seed) if temperature > 0 else None
    return Chooser(temperature=temperature, top_p=top_p, generator=generator)


def choose(logits: Tensor, choosers: Sequence[Chooser]) -> list[int]:
    """One token for each row of `logits`, of shape (rows, vocabulary); no row's choice depends on another's."""
    table = logits.float().cpu()
    # numpy's argmax is ten times faster than torch's on a processor.
    tokens: list[int] = table.numpy().argmax(axis=1).tolist()
    for index, how in enumerate(choosers):
        if how.generator is not None:
            tokens[index] = _drawn(table[index], how, how.generator)
    return tokens


def _drawn(logits: Tensor, how: Chooser, generator: torch.Generator) -> int:
    # Temperatures near zero would overflow as a quotient; the likeliest token stays at exponent 0 either way.
    exponents = (logits - logits.max()).double() / how.temperature
    shares, order = exponents.softmax(dim=0).sort(descending=True, stable=True)
    totals = shares.cumsum(dim=0)
    kept = min(int((totals < how.top_p).sum()) + 1, len(totals))
    point = torch.rand((), generator=generator, dtype=torch.float64) * totals[kept - 1]
    place = int(torch.searchsorted(totals[:kept], point, right=True))
    return int(order[min(place, kept - 1)])
