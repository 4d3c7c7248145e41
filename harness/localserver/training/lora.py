"""How is the network taught? Low-rank changes to its upper layers; what the lower ones compute never changes.

Matrices that are computed as one (query, key and value; gate and up) share the lower factor of their change.
All that is learned lies in one flat vector, so that an optimizer, a norm or a copy is one operation.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from harness.localserver.model.adapters import (
    ATTENTION_INPUT,
    ATTENTION_OUTPUT,
    FEED_INPUT,
    FEED_OUTPUT,
    Adapter,
    Factors,
)
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import (
    SHAPE_STEP,
    Layer,
    LayerWeights,
    NetworkShape,
    Pass,
    freeze_layer,
    normalise,
    read_layer,
    read_shape,
    rotation_at,
    run_layer,
)
from harness.localserver.training.gradients import (
    Change,
    FrozenPair,
    answer_losses,
    changed_product,
    freeze_pair,
)
from harness.localserver.training.objectives import Judge, Measure
from harness.localserver.training.packing import Pack, attention_of

# The recipe. The share is the smallest that keeps extraction tasks: held-out scores of 0.65 with the upper third of the
# layers, of 0.28 with the upper fifth; and teaching a third costs a third of the time that teaching all of them does.
RANK = 8
ALPHA = 16.0
TAUGHT_SHARE = 1 / 3
# From here on a layer's inner state is computed twice rather than kept (by count, 8,192 tokens would need 3 GB in float32);
# on a GPU, for rows longer than any of its packs.
_RECOMPUTE_FROM_TOKENS = 2048
_GPU_RECOMPUTE_FROM_TOKENS = 8192


@dataclass(frozen=True, kw_only=True)
class _Frozen:
    """A taught layer's frozen part."""

    attention_norm: Tensor
    qkv: FrozenPair
    output: FrozenPair
    feed_norm: Tensor
    gate_up: FrozenPair
    down: FrozenPair


@dataclass(frozen=True, kw_only=True)
class _Learned:
    """A taught layer's changes, one for each product."""

    qkv: Change
    output: Change
    gate_up: Change
    down: Change


class Student:
    """A network in training; `learned` is a flat float32 vector of everything that changes."""

    def __init__(self, gguf: GgufFile, *, seed: int, dtype: torch.dtype, device: torch.device) -> None:
        self.shape = read_shape(gguf)
        self._place: tuple[torch.device, torch.dtype] = (device, dtype)
        self._first_taught = self.shape.layers - max(1, round(self.shape.layers * TAUGHT_SHARE))
        self._embedding = torch.from_numpy(gguf.tensor("token_embd.weight")).to(device, dtype)
        self._norm = torch.from_numpy(gguf.tensor("output_norm.weight")).to(device, dtype)
        self._head = freeze_pair(self._embedding)
        layers = (read_layer(gguf, self.shape, index=index) for index in range(self.shape.layers))
        self._lower = [
            freeze_layer(weights, dtype=dtype, device=device)
            for weights in islice(layers, self._first_taught)
        ]
        self._upper = [_frozen(weights, dtype=dtype, device=device) for weights in layers]
        self._factor_shapes = [shape for _ in self._upper for shape in _factor_shapes(self.shape)]
        self.learned = _first_factors(self._factor_shapes, seed=seed).to(device)

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self._place[0]

    @property
    def state_bytes(self) -> int:
        """Bytes of one token's hidden state."""
        return self.shape.width * self._place[1].itemsize

    @torch.no_grad()
    def lower_states(self, pack: Pack, inputs: Sequence[Sequence[int]]) -> list[Tensor]:
        """What enters the first taught layer, as (inputs, width) for each member of `pack`; `inputs` are their ids."""
        hidden = self._embedding[
            pack.gather([torch.tensor(row) for row in inputs]).to(self._embedding.device)
        ]
        within = self._pass(pack)
        for index, layer in enumerate(self._lower):
            hidden = run_layer(layer, hidden, index=index, within=within)
        return pack.scatter(hidden)

    @torch.no_grad()
    def untaught_losses(self, pack: Pack, states: Sequence[Tensor]) -> Tensor:
        """The cross-entropy of each answer (answers,) of a pack, in nats, before anything was learned."""
        losses, _ = self._answers(
            pack, pack.gather(states), list(self._factors(torch.zeros_like(self.learned)))
        )
        return losses

    @torch.no_grad()
    def measure(self, pack: Pack, states: Sequence[Tensor], *, judge: Judge) -> Measure:
        """What a pack costs, from its members' lower states; nothing is learned."""
        measure, _ = judge(*self._answers(pack, pack.gather(states), list(self._factors(self.learned))))
        return measure

    def gradient(self, pack: Pack, states: Sequence[Tensor], *, judge: Judge) -> tuple[Measure, Tensor]:
        """What a pack costs and the gradient of the sum of its losses, flat as `learned` is."""
        factors = [factor.requires_grad_() for factor in self._factors(self.learned.detach())]
        measure, loss = judge(*self._answers(pack, pack.gather(states), factors))
        gradients = torch.autograd.grad(loss, factors)
        return measure, torch.cat([gradient.flatten() for gradient in gradients]).float()

    def adapter(self) -> Adapter:
        """What has been learned so far, for the published model's separate matrices."""
        layers = enumerate(
            self._changes(list(_shaped(self.learned, self._factor_shapes))), self._first_taught
        )
        return Adapter(
            rank=RANK,
            alpha=ALPHA,
            layers={index: _by_module(changes, self.shape) for index, changes in layers},
        )

    def _factors(self, flat: Tensor) -> Iterator[Tensor]:
        """Learned factors in the network's precision."""
        return _shaped(flat.to(self._place[1]), self._factor_shapes)

    def _changes(self, factors: Sequence[Tensor]) -> list[_Learned]:
        pairs = [
            Change(down=down, up=up, scale=ALPHA / RANK)
            for down, up in zip(factors[::2], factors[1::2], strict=True)
        ]
        products = len(pairs) // len(self._upper)
        return [
            _Learned(
                qkv=pairs[start], output=pairs[start + 1], gate_up=pairs[start + 2], down=pairs[start + 3]
            )
            for start in range(0, len(pairs), products)
        ]

    def _pass(self, pack: Pack) -> Pass:
        device, dtype = self._place
        rotation = rotation_at(pack.positions.to(device), self.shape, dtype=dtype)
        return Pass(shape=self.shape, rotation=rotation, attention=attention_of(pack, like=self._norm))

    def _answers(self, pack: Pack, hidden: Tensor, factors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """See `answer_losses`."""
        within = self._pass(pack)
        # Several rows may be asked about one shared token, which the last layer need compute only once.
        asked, answers = torch.unique(pack.places, return_inverse=True)
        keep = torch.cat((asked, asked[:1].expand(-len(asked) % SHAPE_STEP))).to(hidden.device)
        last = len(self._upper) - 1
        on_gpu = self.device.type == "cuda"
        twice = pack.tokens >= (_GPU_RECOMPUTE_FROM_TOKENS if on_gpu else _RECOMPUTE_FROM_TOKENS)
        for number, (frozen, changes) in enumerate(zip(self._upper, self._changes(factors), strict=True)):
            step = _LayerStep(
                layer=_joined(frozen, changes),
                index=self._first_taught + number,
                within=within,
                keep=keep if number == last else None,
            )
            if hidden.requires_grad and twice:
                hidden = checkpoint(step, hidden, use_reentrant=False)
            else:
                hidden = step(hidden)
        states = normalise(hidden, self._norm, epsilon=self.shape.epsilon)[answers.to(hidden.device)]
        return answer_losses(states, pack.labels.to(hidden.device), self._head)


@dataclass(frozen=True, kw_only=True)
class _LayerStep:
    """One layer as a function of the hidden state alone."""

    layer: Layer
    index: int
    within: Pass
    keep: Tensor | None

    def __call__(self, hidden: Tensor) -> Tensor:
        return run_layer(self.layer, hidden, index=self.index, within=self.within, keep=self.keep)


def _frozen(weights: LayerWeights, *, dtype: torch.dtype, device: torch.device) -> _Frozen:
    return _Frozen(
        attention_norm=weights.attention_norm.to(device, dtype),
        qkv=freeze_pair(weights.qkv.to(device, dtype)),
        output=freeze_pair(weights.output.to(device, dtype)),
        feed_norm=weights.feed_norm.to(device, dtype),
        gate_up=freeze_pair(weights.gate_up.to(device, dtype)),
        down=freeze_pair(weights.down.to(device, dtype)),
    )


def _joined(frozen: _Frozen, learned: _Learned) -> Layer:
    return Layer(
        attention_norm=frozen.attention_norm,
        qkv=lambda rows: changed_product(rows, frozen.qkv, learned.qkv),
        output=lambda rows: changed_product(rows, frozen.output, learned.output),
        feed_norm=frozen.feed_norm,
        gate_up=lambda rows: changed_product(rows, frozen.gate_up, learned.gate_up),
        down=lambda rows: changed_product(rows, frozen.down, learned.down),
    )


def _factor_shapes(shape: NetworkShape) -> list[tuple[int, int]]:
    """Down and up of each product of a layer, in the order of `_Learned`."""
    width, feed = shape.width, shape.feed_forward
    products = [(width, width + 2 * shape.kv_width), (width, width), (width, 2 * feed), (feed, width)]
    return [(RANK, features) for inputs, outputs in products for features in (inputs, outputs)]


def _first_factors(shapes: Sequence[tuple[int, int]], *, seed: int) -> Tensor:
    """PEFT's start: lower factors uniform (Kaiming, a = sqrt 5), upper ones zero, so that nothing is changed yet."""
    generator = torch.Generator().manual_seed(seed)
    factors = []
    for down, up in zip(shapes[::2], shapes[1::2], strict=True):
        uniform = torch.rand(down, generator=generator) * 2 - 1
        factors += [uniform / math.sqrt(down[1]), torch.zeros(up)]
    return torch.cat([factor.flatten() for factor in factors])


def _shaped(flat: Tensor, shapes: Sequence[tuple[int, int]]) -> Iterator[Tensor]:
    start = 0
    for rows, columns in shapes:
        yield flat[start : start + rows * columns].view(rows, columns)
        start += rows * columns


def _by_module(learned: _Learned, shape: NetworkShape) -> Mapping[str, Factors]:
    """The same changes for the published model's separate matrices."""
    query_end, key_end = shape.width, shape.width + shape.kv_width
    attention = torch.tensor_split(learned.qkv.up, (query_end, key_end), dim=1)
    feed = torch.tensor_split(learned.gate_up.up, 2, dim=1)
    modules = {
        **{module: (learned.qkv.down, up) for module, up in zip(ATTENTION_INPUT, attention, strict=True)},
        **{module: (learned.gate_up.down, up) for module, up in zip(FEED_INPUT, feed, strict=True)},
        ATTENTION_OUTPUT[0]: (learned.output.down, learned.output.up),
        FEED_OUTPUT[0]: (learned.down.down, learned.down.up),
    }
    return {
        module: Factors(down=down.clone(), up=up.T.contiguous()) for module, (down, up) in modules.items()
    }
