"""What does the network compute? The Llama architecture, written for few rows on few cores.

Shapes: `tokens` counts the tokens of one call, laid end to end without padding, whatever row they belong to; heads,
kv_heads and head_width are the network's. Which tokens see which is the business of the `Attention` passed in:
training packs, prompts and single decoding steps differ in nothing else.

Matrices that never change are stored once in the layout oneDNN multiplies fastest (measured on AVX-512, one core:
105 against 75 GFLOP/s in float32). With two rows or more its result for a row does not depend on the other rows,
bit for bit; `FEWEST_ROWS` keeps every call on that side, which is why an answer does not depend on its batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from harness.localserver.model.gguf_file import GgufFile

Linear: TypeAlias = Callable[[Tensor], Tensor]

FEWEST_ROWS = 4
# oneDNN builds a program for every shape it meets, 0.5 ms and more each; token counts rounded up to this meet few.
SHAPE_STEP = 16
# Up to this length of a row plain matrix products beat the fused kernel on CPU; beyond, they are slower and
# their score matrix grows large (measured forward and backward, one core).
_FUSED_FROM_TOKENS = 512


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """The sizes of a network; widths in features, context in tokens."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int
    context: int
    rope_base: float
    epsilon: float

    @property
    def head_width(self) -> int:
        """Features of one head."""
        return self.width // self.heads

    @property
    def kv_width(self) -> int:
        """Features of all keys, or all values, of one token."""
        return self.kv_heads * self.head_width


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """One layer's matrices, each of shape (outputs, inputs), and its two norms, of shape (width,).

    `qkv` stacks queries, keys and values, `gate_up` stacks gate and up, in this order.
    """

    attention_norm: Tensor
    qkv: Tensor
    output: Tensor
    feed_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer, ready to multiply."""

    attention_norm: Tensor
    qkv: Linear
    output: Linear
    feed_norm: Tensor
    gate_up: Linear
    down: Linear


class Embedding(Protocol):
    """The matrix (vocabulary, width) with a row for each token; a tensor is one."""

    def __getitem__(self, ids: Tensor, /) -> Tensor:
        """From (tokens,) to (tokens, width)."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """All of a network: `embedding` (vocabulary, width), the layers, the last norm, and the head onto the vocabulary."""

    shape: NetworkShape
    embedding: Embedding
    layers: tuple[Layer, ...]
    norm: Tensor
    head: Linear


class Attention(Protocol):
    """Mixes the tokens of one layer."""

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, /) -> Tensor:
        """From (tokens, heads, head_width) and twice (tokens, kv_heads, head_width) to (tokens, width)."""


class FrozenMatrix:
    """`rows -> rows @ weight.T` for a weight of shape (outputs, inputs) that never changes and needs no gradient."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = _packed(weight)
        self._multiply = functional.linear if self._weight is weight else _packed_linear

    def __call__(self, rows: Tensor) -> Tensor:
        """From (tokens, inputs) to (tokens, outputs)."""
        return self._multiply(rows, self._weight)


def _packed(weight: Tensor) -> Tensor:
    """The weight in oneDNN's own layout, or the weight itself where oneDNN does not serve this processor."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return weight
    try:
        # 64 rows is what the layout is chosen for; it serves any number.
        packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 64)
        _packed_linear(weight.new_zeros(FEWEST_ROWS, weight.shape[1]), packed)
    except RuntimeError:
        return weight
    return packed


def _packed_linear(rows: Tensor, packed: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], "")
    return product


def read_shape(gguf: GgufFile) -> NetworkShape:
    """The sizes a Llama GGUF declares."""
    return NetworkShape(
        layers=gguf.integer("llama.block_count"),
        width=gguf.integer("llama.embedding_length"),
        heads=gguf.integer("llama.attention.head_count"),
        kv_heads=gguf.integer("llama.attention.head_count_kv"),
        feed_forward=gguf.integer("llama.feed_forward_length"),
        vocabulary=len(gguf.texts("tokenizer.ggml.tokens")),
        context=gguf.integer("llama.context_length"),
        rope_base=gguf.number("llama.rope.freq_base"),
        epsilon=gguf.number("llama.attention.layer_norm_rms_epsilon"),
    )


def read_layer(gguf: GgufFile, shape: NetworkShape, *, index: int) -> LayerWeights:
    """The weights of layer `index` in float32, in the row order of the published model."""

    def matrix(name: str) -> Tensor:
        return torch.from_numpy(gguf.tensor(f"blk.{index}.{name}.weight"))

    queries = _published_order(matrix("attn_q"), shape.heads)
    keys = _published_order(matrix("attn_k"), shape.kv_heads)
    return LayerWeights(
        attention_norm=matrix("attn_norm"),
        qkv=torch.cat((queries, keys, matrix("attn_v"))),
        output=matrix("attn_output"),
        feed_norm=matrix("ffn_norm"),
        gate_up=torch.cat((matrix("ffn_gate"), matrix("ffn_up"))),
        down=matrix("ffn_down"),
    )


def _published_order(weight: Tensor, heads: int) -> Tensor:
    """Undo the interleaving llama.cpp applies to the rows of each head for its rotary embedding."""
    rows, inputs = weight.shape
    return weight.view(heads, rows // heads // 2, 2, inputs).transpose(1, 2).reshape(rows, inputs)


def freeze_layer(weights: LayerWeights, *, dtype: torch.dtype, device: torch.device) -> Layer:
    """A layer that only multiplies, in `dtype`."""

    def matrix(weight: Tensor) -> FrozenMatrix:
        return FrozenMatrix(weight.to(device, dtype))

    return Layer(
        attention_norm=weights.attention_norm.to(device, dtype),
        qkv=matrix(weights.qkv),
        output=matrix(weights.output),
        feed_norm=weights.feed_norm.to(device, dtype),
        gate_up=matrix(weights.gate_up),
        down=matrix(weights.down),
    )


def read_network(gguf: GgufFile, *, dtype: torch.dtype, device: torch.device) -> Network:
    """The whole network in `dtype`, ready to answer; embedding and head are one matrix in this architecture."""
    shape = read_shape(gguf)
    embedding = torch.from_numpy(gguf.tensor("token_embd.weight")).to(device, dtype)
    layers = (
        freeze_layer(read_layer(gguf, shape, index=index), dtype=dtype, device=device)
        for index in range(shape.layers)
    )
    return Network(
        shape=shape,
        embedding=embedding,
        layers=tuple(layers),
        norm=torch.from_numpy(gguf.tensor("output_norm.weight")).to(device, dtype),
        head=FrozenMatrix(embedding),
    )


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """The rotary embedding at given positions: cosines and sines, each of shape (tokens, 1, head_width / 2)."""

    cosines: Tensor
    sines: Tensor

    def turn(self, heads: Tensor) -> Tensor:
        """Turn (tokens, any heads, head_width); a pair is a feature and the one half a head further."""
        first, second = heads.chunk(2, dim=-1)
        return torch.cat(
            (first * self.cosines - second * self.sines, second * self.cosines + first * self.sines), dim=-1
        )


def rotation_at(positions: Tensor, shape: NetworkShape, *, dtype: torch.dtype) -> Rotation:
    """The rotation for tokens at `positions`, of shape (tokens,), counted from 0 in each row."""
    half = shape.head_width // 2
    steps = torch.arange(half, device=positions.device, dtype=torch.float32) / half
    angles = positions.to(torch.float32)[:, None, None] * shape.rope_base**-steps
    return Rotation(cosines=angles.cos().to(dtype), sines=angles.sin().to(dtype))


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What one pass through layers needs besides the hidden state."""

    shape: NetworkShape
    rotation: Rotation
    attention: Attention


def run_layer(
    layer: Layer, hidden: Tensor, *, index: int, within: Pass, keep: Tensor | None = None
) -> Tensor:
    """Layer `index` applied to `hidden`, of shape (tokens, width).

    With `keep`, of shape (kept,), only those tokens leave the layer: all are seen, the rest is not computed further.
    """
    shape = within.shape
    turned = shape.heads + shape.kv_heads
    mixed = layer.qkv(normalise(hidden, layer.attention_norm, epsilon=shape.epsilon))
    heads = mixed.view(len(hidden), turned + shape.kv_heads, shape.head_width)
    rotated = within.rotation.turn(heads[:, :turned])
    context = within.attention(index, rotated[:, : shape.heads], rotated[:, shape.heads :], heads[:, turned:])
    if keep is not None:
        hidden, context = hidden[keep], context[keep]
    hidden = hidden + layer.output(context)
    gate, up = layer.gate_up(normalise(hidden, layer.feed_norm, epsilon=shape.epsilon)).chunk(2, dim=-1)
    return hidden + layer.down(functional.silu(gate) * up)


def next_token_logits(
    network: Network,
    ids: Sequence[int],
    *,
    positions: Sequence[int],
    attention: Attention,
    keep: Tensor | None = None,
) -> Tensor:
    """What may follow each token, or each of those at `keep`, as logits (tokens, vocabulary)."""
    device = network.norm.device
    if keep is not None:
        missing = max(0, FEWEST_ROWS - len(keep))
        kept = torch.cat((keep, keep[:1].expand(missing))).to(device)
    rotation = rotation_at(torch.tensor(positions, device=device), network.shape, dtype=network.norm.dtype)
    within = Pass(shape=network.shape, rotation=rotation, attention=attention)
    hidden = network.embedding[torch.tensor(ids, device=device)]
    last = len(network.layers) - 1
    for index, layer in enumerate(network.layers):
        leaving = kept if keep is not None and index == last else None
        hidden = run_layer(layer, hidden, index=index, within=within, keep=leaving)
    logits = network.head(normalise(hidden, network.norm, epsilon=network.shape.epsilon))
    return logits if keep is None else logits[: len(keep)]


def normalise(hidden: Tensor, weight: Tensor, *, epsilon: float) -> Tensor:
    """Root-mean-square norm over the last dimension."""
    return functional.rms_norm(hidden, weight.shape, weight, epsilon)


def causal_bias(queries: int, keys: int, *, like: Tensor) -> Tensor:
    """(queries, keys): 0 where a query may look, else -inf; the queries are the last of the keys' tokens."""
    bias = like.new_full((queries, keys), float("-inf"))
    return bias.triu_(keys - queries + 1)


def attend_causally(queries: Tensor, keys: Tensor, values: Tensor, *, bias: Tensor | None) -> Tensor:
    """Attention of one row's last tokens to the row, from (queries, heads, w) and (keys, kv_heads, w) to (queries, heads * w).

    `bias` is `causal_bias` for these lengths, or None to use the fused kernel (see `bias_for`).
    """
    count, heads, width = queries.shape
    total, kv_heads, _ = keys.shape
    group = heads // kv_heads
    if bias is None:
        mask = None
        if count != total:
            mask = torch.ones(count, total, dtype=torch.bool, device=queries.device).tril_(total - count)
        mixed = functional.scaled_dot_product_attention(
            queries.transpose(0, 1)[None],
            keys.transpose(0, 1)[None],
            values.transpose(0, 1)[None],
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=True,
        )
        return mixed[0].transpose(0, 1).reshape(count, heads * width)
    # The heads that share a key are rows of one product: three times fewer products than one for every head.
    grouped = (
        queries.view(count, kv_heads, group, width)
        .permute(1, 2, 0, 3)
        .reshape(kv_heads, group * count, width)
    )
    scores = (
        torch.matmul(grouped * width**-0.5, keys.permute(1, 2, 0)).view(kv_heads, group, count, total) + bias
    )
    shares = scores.softmax(dim=-1).view(kv_heads, group * count, total)
    mixed = torch.matmul(shares, values.transpose(0, 1)).view(kv_heads, group, count, width)
    return mixed.permute(2, 0, 1, 3).reshape(count, heads * width)


def bias_for(queries: int, keys: int, *, like: Tensor) -> Tensor | None:
    """The bias `attend_causally` wants for these lengths."""
    return causal_bias(queries, keys, like=like) if keys <= _FUSED_FROM_TOKENS else None
