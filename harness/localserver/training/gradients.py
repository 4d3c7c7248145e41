"""The two places of the network where a gradient by hand saves work: products with frozen matrices, and the loss.

A frozen matrix has no gradient, so a product with it need not keep anything for one; and the loss over a vocabulary of
tens of thousands is differentiated while its probabilities are at hand, a few answers at a time.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from harness.localserver.model.network import SHAPE_STEP, FrozenMatrix, Linear

# Answers whose probabilities over the whole vocabulary are held at a time: 128 x 49,152 in float32 are 25 MB.
_LOSS_ROWS = 128


@dataclass(frozen=True, kw_only=True)
class FrozenPair:
    """One frozen matrix, ready to multiply in both directions."""

    forward: Linear
    backward: Linear


def freeze_pair(weight: Tensor) -> FrozenPair:
    """The pair for a weight of shape (outputs, inputs)."""
    return FrozenPair(forward=FrozenMatrix(weight), backward=FrozenMatrix(weight.T))


@dataclass(frozen=True, kw_only=True)
class Change:
    """A learned low-rank change to a matrix: `down` (rank, inputs), `up` (rank, outputs), and the factor on their product."""

    down: Tensor
    up: Tensor
    scale: float


class _Context(Protocol):
    """What autograd hands a function to remember things by."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    frozen: FrozenPair
    scale: float

    def save_for_backward(self, *tensors: Tensor) -> None: ...
    def mark_non_differentiable(self, *tensors: Tensor) -> None: ...


class _ChangedProduct(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: _Context, rows: Tensor, down: Tensor, up: Tensor, matrix: tuple[FrozenPair, float]
    ) -> Tensor:
        inner = rows @ down.T
        ctx.save_for_backward(rows, inner, down, up)
        ctx.frozen, ctx.scale = matrix
        return ctx.frozen.forward(rows).addmm_(inner, up, alpha=ctx.scale)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        rows, inner, down, up = ctx.saved_tensors
        gradient = gradient.contiguous()
        outer = (gradient @ up.T).mul_(ctx.scale)
        onward = None
        if ctx.needs_input_grad[0]:
            onward = ctx.frozen.backward(gradient).addmm_(outer, down)
        return onward, outer.T @ rows, (inner * ctx.scale).T @ gradient, None


def changed_product(rows: Tensor, frozen: FrozenPair, change: Change) -> Tensor:
    """`rows` (tokens, inputs) times the changed matrix, to (tokens, outputs); differentiable in rows and change."""
    matrix = (frozen, change.scale)
    return cast("Tensor", _ChangedProduct.apply(rows, change.down, change.up, matrix))  # type: ignore[no-untyped-call]


class _AnswerLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, states: Tensor, labels: Tensor, head: FrozenPair) -> tuple[Tensor, Tensor]:
        losses, rights, gradients = [], [], []
        for start in range(0, len(states), _LOSS_ROWS):
            wanted = labels[start : start + _LOSS_ROWS, None]
            logits = head.forward(_filled(states[start : start + _LOSS_ROWS]))[: len(wanted)].float()
            rights.append(logits.argmax(dim=-1) == wanted[:, 0])
            chosen = logits.gather(1, wanted)
            highest = logits.amax(dim=-1, keepdim=True)
            shares = logits.sub_(highest).exp_()
            total = shares.sum(dim=-1, keepdim=True)
            losses.append((total.log() + highest - chosen)[:, 0])
            if ctx.needs_input_grad[0]:
                shares.div_(total).scatter_add_(1, wanted, shares.new_full(wanted.shape, -1.0))
                gradients.append(head.backward(_filled(shares.to(states.dtype)))[: len(wanted)])
        ctx.save_for_backward(*gradients)
        right = torch.cat(rights)
        ctx.mark_non_differentiable(right)
        return torch.cat(losses), right

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor, _right: Tensor) -> tuple[Tensor, None, None]:
        states = torch.cat(ctx.saved_tensors)
        return (states.float() * gradient[:, None]).to(states.dtype), None, None


def answer_losses(states: Tensor, labels: Tensor, head: FrozenPair) -> tuple[Tensor, Tensor]:
    """Each answer's cross-entropy in nats, in float32 and differentiable, and whether it was the likeliest token.

    `states` is (answers, width), normalised and ready for the head; `labels` and both results are (answers,).
    """
    return cast("tuple[Tensor, Tensor]", _AnswerLosses.apply(states, labels, head))  # type: ignore[no-untyped-call]


def _filled(rows: Tensor) -> Tensor:
    """The rows with copies of the first behind them, up to a count that is met often."""
    missing = -len(rows) % SHAPE_STEP
    return torch.cat((rows, rows[:1].expand(missing, -1))) if missing else rows
