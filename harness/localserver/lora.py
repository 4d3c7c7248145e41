"""How is the network taught? Low-rank changes to its upper layers, the lower ones computed once and remembered.

Only layers from `FIRST_TAUGHT` up change, so what enters them is the same in every epoch and is computed once for each row. The
changes of matrices that are computed as one (query-key-value, gate-up) share their lower factor.
Gradients are computed by hand where that saves work: frozen matrices need none, and the loss never holds a
whole table of probabilities.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.utils.checkpoint import checkpoint

from harness.localserver.adapters import (
    ATTENTION_INPUT,
    ATTENTION_OUTPUT,
    FEED_INPUT,
    FEED_OUTPUT,
    Adapter,
    Factors,
)
from harness.localserver.gguf_file import GgufFile
from harness.localserver.network import (
    FrozenMatrix,
    Layer,
    LayerWeights,
    Linear,
    NetworkShape,
    Pass,
    freeze_layer,
    normalise,
    read_layer,
    read_shape,
    rotation_at,
    run_layer,
)
from harness.localserver.packing import Pack, PackAttention

# The recipe, chosen by held-out scores over three seeds: a later first layer forgets extraction tasks, an earlier
# one costs time without gain.
RANK = 8
ALPHA = 16.0
TAUGHT_SHARE = 1 / 3
# From here on a layer's inner state is computed twice rather than kept (8,192 tokens would need 3 GB).
_RECOMPUTE_FROM_TOKENS = 2048
# Answers whose probabilities over the whole vocabulary are held at a time: 128 x 49,152 in float32 are 25 MB.
_LOSS_ROWS = 128


class _TaughtProduct(torch.autograd.Function):
    """`x W^T + s (x A^T) B^T`: W frozen in both directions, A (rank, inputs) and B (outputs, rank) learned."""

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor, down: Tensor, up: Tensor, frozen: "_FrozenPair") -> Tensor:
        inner = rows @ down.T
        product = frozen.forward(rows)
        product.addmm_(inner, up.T, alpha=frozen.scale)
        ctx.save_for_backward(rows, inner, down, up)
        ctx.frozen = frozen  # type: ignore[attr-defined]
        return product

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        rows, inner, down, up = ctx.saved_tensors  # type: ignore[attr-defined]
        frozen: _FrozenPair = ctx.frozen  # type: ignore[attr-defined]
        outer = (gradient @ up) * frozen.scale
        onward = None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            onward = frozen.backward(gradient)
            onward.addmm_(outer, down)
        return onward, outer.T @ rows, gradient.T @ (inner * frozen.scale), None


@dataclass(frozen=True, kw_only=True)
class _FrozenPair:
    """One frozen matrix, ready to multiply in both directions, and the scale of the change added to it."""

    forward: Linear
    backward: Linear
    scale: float


def _pair(weight: Tensor, dtype: torch.dtype, device: torch.device) -> _FrozenPair:
    weight = weight.to(device, dtype)
    return _FrozenPair(forward=FrozenMatrix(weight), backward=FrozenMatrix(weight.T), scale=ALPHA / RANK)


class _AnswerLoss(torch.autograd.Function):
    """Sum of the cross-entropies of (answers, width) states against (answers,) labels, and how many are right."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, states: Tensor, labels: Tensor, head: "_FrozenPair"
    ) -> tuple[Tensor, Tensor]:
        loss = states.new_zeros((), dtype=torch.float64)
        right = labels.new_zeros(())
        gradients = []
        for rows, wanted in zip(states.split(_LOSS_ROWS), labels.split(_LOSS_ROWS), strict=True):
            logits = head.forward(_at_least_two(rows))[: len(rows)].float()
            right += (logits.argmax(dim=-1) == wanted).sum()
            chosen = logits.gather(1, wanted[:, None])
            highest = logits.amax(dim=-1, keepdim=True)
            shares = logits.sub_(highest).exp_()
            total = shares.sum(dim=-1, keepdim=True)
            loss += (total.log() + highest - chosen).sum(dtype=torch.float64)
            if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
                shares.div_(total)
                shares.scatter_add_(1, wanted[:, None], shares.new_full((len(wanted), 1), -1.0))
                gradients.append(head.backward(shares.to(states.dtype)))
        ctx.mark_non_differentiable(right)  # type: ignore[attr-defined]
        if gradients:
            ctx.save_for_backward(torch.cat(gradients))
        return loss, right

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor, _right: Tensor) -> tuple[Tensor, None, None]:
        (states,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return states * gradient.to(states.dtype), None, None


def _at_least_two(rows: Tensor) -> Tensor:
    return rows if len(rows) > 1 else rows.expand(2, -1)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What is learned about one layer: four pairs of factors, in float32."""

    qkv: Factors
    output: Factors
    gate_up: Factors
    down: Factors

    def tensors(self) -> list[Tensor]:
        """All factors in a fixed order."""
        pairs = (self.qkv, self.output, self.gate_up, self.down)
        return [tensor for pair in pairs for tensor in (pair.down, pair.up)]


@dataclass(frozen=True, kw_only=True)
class _TaughtLayer:
    attention_norm: Tensor
    qkv: _FrozenPair
    output: _FrozenPair
    feed_norm: Tensor
    gate_up: _FrozenPair
    down: _FrozenPair


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a set of answers cost: the sum of cross-entropies in nats, the tokens predicted right, and all tokens."""

    loss_sum: float = 0.0
    right: int = 0
    count: int = 0

    def __add__(self, other: "Measure") -> "Measure":
        return Measure(
            loss_sum=self.loss_sum + other.loss_sum,
            right=self.right + other.right,
            count=self.count + other.count,
        )


class Student:
    """The network in training: frozen weights, learned factors, and the gradient of packs."""

    def __init__(self, gguf: GgufFile, *, seed: int, dtype: torch.dtype, device: torch.device) -> None:
        self.shape = read_shape(gguf)
        self.dtype = dtype
        self.device = device
        self.first_taught = self.shape.layers - max(1, round(self.shape.layers * TAUGHT_SHARE))
        self._embedding = torch.from_numpy(gguf.tensor("token_embd.weight")).to(device, dtype)
        self._norm = torch.from_numpy(gguf.tensor("output_norm.weight")).to(device, dtype)
        self._head = _pair(self._embedding, dtype, device)
        self._lower = [
            freeze_layer(read_layer(gguf, self.shape, index=index), dtype=dtype, device=device)
            for index in range(self.first_taught)
        ]
        generator = torch.Generator().manual_seed(seed)
        self._upper: list[_TaughtLayer] = []
        self.parameters: list[Parameters] = []
        for index in range(self.first_taught, self.shape.layers):
            weights = read_layer(gguf, self.shape, index=index)
            self._upper.append(_taught_layer(weights, dtype=dtype, device=device))
            self.parameters.append(_new_parameters(weights, generator=generator, device=device))

    @torch.no_grad()
    def lower_states(self, pack: Pack, inputs: Sequence[Sequence[int]]) -> list[Tensor]:
        """What enters the first taught layer for each member of `pack`, as (inputs, width), `inputs` being their ids."""
        ids = pack.gather([torch.tensor(row, device=self.device) for row in inputs])
        hidden = self._embedding[ids]
        within = self._pass(pack)
        for index, layer in enumerate(self._lower):
            hidden = run_layer(layer, hidden, index=index, within=within)
        return [torch.cat((hidden[: pack.shared], hidden[segment])) for segment in pack.segments()]

    def release_lower(self) -> None:
        """Forget the layers below the taught ones: every state that is wanted has been computed."""
        self._lower.clear()

    @torch.no_grad()
    def measure(self, pack: Pack, states: Sequence[Tensor]) -> Measure:
        """The loss of a pack, from its members' lower states; nothing is learned."""
        loss, right = self._answers(pack, pack.gather(states), self._factors())
        return Measure(loss_sum=float(loss), right=int(right), count=len(pack.labels))

    def learn(self, pack: Pack, states: Sequence[Tensor]) -> tuple[Measure, tuple[Tensor, ...]]:
        """The loss of a pack and the gradient of its sum, one tensor for each of `tensors()`."""
        factors = self._factors()
        leaves = [tensor.requires_grad_() for layer in factors for tensor in layer]
        loss, right = self._answers(pack, pack.gather(states), factors)
        gradients = torch.autograd.grad(loss, leaves)
        return Measure(loss_sum=float(loss.detach()), right=int(right), count=len(pack.labels)), gradients

    def tensors(self) -> list[Tensor]:
        """All learned tensors, in a fixed order."""
        return [tensor for parameters in self.parameters for tensor in parameters.tensors()]

    def adapter(self) -> Adapter:
        """What has been learned so far."""
        layers = {
            self.first_taught + index: _by_module(parameters, self.shape)
            for index, parameters in enumerate(self.parameters)
        }
        return Adapter(rank=RANK, alpha=ALPHA, layers=layers)

    def _factors(self) -> list[list[Tensor]]:
        """The learned tensors of each layer in the precision of the network."""
        return [[tensor.detach().to(self.dtype) for tensor in layer.tensors()] for layer in self.parameters]

    def _pass(self, pack: Pack) -> Pass:
        positions = pack.positions.to(self.device)
        return Pass(
            shape=self.shape,
            rotation=rotation_at(positions, self.shape, dtype=self.dtype),
            attention=PackAttention(pack, like=self._norm),
        )

    def _answers(
        self, pack: Pack, hidden: Tensor, factors: Sequence[Sequence[Tensor]]
    ) -> tuple[Tensor, Tensor]:
        within = self._pass(pack)
        places, spread = pack.places.to(self.device).unique(return_inverse=True)
        for index, (frozen, learned) in enumerate(zip(self._upper, factors, strict=True)):
            keep = places if index == len(self._upper) - 1 else None

            def run(
                state: Tensor,
                *tensors: Tensor,
                frozen: _TaughtLayer = frozen,
                number: int = self.first_taught + index,
                keep: Tensor | None = keep,
            ) -> Tensor:
                return run_layer(_bound(frozen, tensors), state, index=number, within=within, keep=keep)

            if torch.is_grad_enabled() and pack.tokens >= _RECOMPUTE_FROM_TOKENS:
                hidden = checkpoint(run, hidden, *learned, use_reentrant=False)
            else:
                hidden = run(hidden, *learned)
        states = normalise(hidden, self._norm, epsilon=self.shape.epsilon)[spread]
        loss, right = _AnswerLoss.apply(states, pack.labels.to(self.device), self._head)
        return loss, right


def _taught_layer(weights: LayerWeights, *, dtype: torch.dtype, device: torch.device) -> _TaughtLayer:
    return _TaughtLayer(
        attention_norm=weights.attention_norm.to(device, dtype),
        qkv=_pair(weights.qkv, dtype, device),
        output=_pair(weights.output, dtype, device),
        feed_norm=weights.feed_norm.to(device, dtype),
        gate_up=_pair(weights.gate_up, dtype, device),
        down=_pair(weights.down, dtype, device),
    )


def _new_parameters(weights: LayerWeights, *, generator: torch.Generator, device: torch.device) -> Parameters:
    def factors(weight: Tensor) -> Factors:
        outputs, inputs = weight.shape
        # PEFT's start: the lower factor uniform (Kaiming, a = sqrt 5), the upper zero, so that nothing is changed yet.
        bound = 1 / math.sqrt(inputs)
        down = (torch.rand(RANK, inputs, generator=generator) * 2 - 1) * bound
        return Factors(down=down.to(device), up=torch.zeros(outputs, RANK, device=device))

    return Parameters(
        qkv=factors(weights.qkv),
        output=factors(weights.output),
        gate_up=factors(weights.gate_up),
        down=factors(weights.down),
    )


def _bound(frozen: _TaughtLayer, tensors: Sequence[Tensor]) -> Layer:
    """The layer with its learned tensors in place, in the order of `Parameters.tensors`."""

    def linear(pair: _FrozenPair, down: Tensor, up: Tensor) -> Linear:
        def product(rows: Tensor) -> Tensor:
            result: Tensor = _TaughtProduct.apply(rows, down, up, pair)
            return result

        return product

    return Layer(
        attention_norm=frozen.attention_norm,
        qkv=linear(frozen.qkv, tensors[0], tensors[1]),
        output=linear(frozen.output, tensors[2], tensors[3]),
        feed_norm=frozen.feed_norm,
        gate_up=linear(frozen.gate_up, tensors[4], tensors[5]),
        down=linear(frozen.down, tensors[6], tensors[7]),
    )


def _by_module(parameters: Parameters, shape: NetworkShape) -> Mapping[str, Factors]:
    """The same changes for the published model's separate matrices."""
    query, key, value = parameters.qkv.up.split([shape.width, shape.kv_width, shape.kv_width])
    gate, up = parameters.gate_up.up.chunk(2)
    attention = dict(zip(ATTENTION_INPUT, (query, key, value), strict=True))
    feed = dict(zip(FEED_INPUT, (gate, up), strict=True))
    changes = {module: Factors(down=parameters.qkv.down, up=part) for module, part in attention.items()}
    changes |= {module: Factors(down=parameters.gate_up.down, up=part) for module, part in feed.items()}
    return {**changes, ATTENTION_OUTPUT[0]: parameters.output, FEED_OUTPUT[0]: parameters.down}
