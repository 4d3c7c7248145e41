"""What is a set of answers judged by? Supervised training imitates them; DPO prefers one of two to the other.

Both start from what each answer token cost, its cross-entropy in nats.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from harness.localserver.training.packing import Pack


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a set of rows cost: sums, so that sets can be put together.

    Attributes:
        loss_sum: Over answer tokens, or over pairs for DPO.
        count: Of what the loss is summed over.
        right: Answer tokens that were the likeliest; of the preferred answers only, for DPO.
        answers: Answer tokens that could have been.
        pairs: Pairs of answers, 0 unless the method is DPO.
        wins: Pairs whose preferred answer has gained more than the other.
        margin_sum: Over pairs, by how much its reward (beta times the log-probability gained) is larger.
    """

    loss_sum: float = 0.0
    count: int = 0
    right: int = 0
    answers: int = 0
    pairs: int = 0
    wins: int = 0
    margin_sum: float = 0.0

    def __add__(self, other: "Measure") -> "Measure":
        """Both sets together."""
        return Measure(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def figures(self, *, preferences: bool) -> Mapping[str, float | None]:
        """The means, under the names of `learner.Figures`."""
        figures: dict[str, float | None] = {
            "loss": _mean(self.loss_sum, self.count),
            "mean_token_accuracy": _mean(self.right, self.answers),
        }
        if preferences:
            figures["preference_accuracy"] = _mean(self.wins, self.pairs)
            figures["reward_margin"] = _mean(self.margin_sum, self.pairs)
        return figures


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None


# From the cross-entropy of each answer token of a pack (answers,) and whether it was the likeliest (answers,): the
# measure, and the sum of the losses as something to differentiate.
Judge: TypeAlias = Callable[[Tensor, Tensor], tuple[Measure, Tensor]]


def imitation(losses: Tensor, right: Tensor) -> tuple[Measure, Tensor]:
    """The judge of supervised training: what was written should be likely."""
    total = losses.sum(dtype=torch.float64)
    count = len(losses)
    measure = Measure(loss_sum=float(total.detach()), count=count, right=int(right.sum()), answers=count)
    return measure, total


def preference(pack: Pack, references: Sequence[Sequence[float]], *, beta: float) -> Judge:
    """The judge of DPO, Rafailov et al. 2023, equation 7, for a pack whose rows end in a preferred and a rejected answer.

    `references` are the log-probabilities of both, for each member of the pack, before anything was learned.
    """

    def judge(losses: Tensor, right: Tensor) -> tuple[Measure, Tensor]:
        before = torch.tensor(references, dtype=torch.float64, device=losses.device)
        gained = -answer_sums(losses, pack) - before
        margins = beta * (gained[:, 0] - gained[:, 1])
        total = -functional.logsigmoid(margins).sum()
        preferred = [part for part, _ in _by_row(right, pack)]
        measure = Measure(
            loss_sum=float(total.detach()),
            count=len(margins),
            right=sum(int(part.sum()) for part in preferred),
            answers=sum(len(part) for part in preferred),
            pairs=len(margins),
            wins=int((margins > 0).sum()),
            margin_sum=float(margins.detach().sum()),
        )
        return measure, total

    return judge


def answer_sums(losses: Tensor, pack: Pack) -> Tensor:
    """The losses of each answer together, in float64 and of shape (members, endings)."""
    return torch.stack(
        [torch.stack([part.sum(dtype=torch.float64) for part in parts]) for parts in _by_row(losses, pack)]
    )


def _by_row(values: Tensor, pack: Pack) -> list[Sequence[Tensor]]:
    """One tensor for each ending of each row of the pack, from (answers,)."""
    parts = iter(torch.split(values, list(chain.from_iterable(pack.answers))))
    return [[next(parts) for _ in counts] for counts in pack.answers]
