"""How do other programs read this network? Its sizes and weights as the folder transformers, vLLM and llama.cpp's converter take."""

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from harness.localserver.export.fine_tunes import BYTES_EACH, TORCH_TYPES, Precision, Progress
from harness.localserver.export.tokenizer import tokenizer_files
from harness.localserver.model.adapters import ATTENTION_INPUT, FEED_INPUT, Adapter, load_adapter, merge
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import LayerWeights, NetworkShape, read_layer, read_shape
from harness.localserver.model.tokenizer import ChatTokenizer

WEIGHTS_NAME = "model.safetensors"
# Beside the weights: the tokenizer is by far the largest, 3.5 MB for a vocabulary of 49,152.
_OTHER_BYTES = 2**23


class GgufModel:
    """The embedded model as something that can be exported; its file needs no other library."""

    def __init__(self, path: Path) -> None:
        self._gguf = GgufFile(path)

    @property
    def folder(self) -> Path | None:
        """None: nothing but the local server reads it as it is."""
        return None

    @property
    def license(self) -> str | None:
        """The licence the file declares, by its SPDX name in lower case."""
        value = self._gguf.settings.get("general.license")
        return value if isinstance(value, str) else None

    def folder_bytes(self, precision: Precision) -> int:
        """How much room a folder of this model takes on disk, rounded up."""
        return _parameters(read_shape(self._gguf)) * BYTES_EACH[precision] + _OTHER_BYTES

    def write(self, folder: Path, *, adapter: Path | None, precision: Precision, progress: Progress) -> None:
        """Write the model, with a fine-tune's changes merged into it if there is one, as a Hugging Face folder.

        The changes are added in float32 and the sum is rounded to `precision` once.
        """
        shape = read_shape(self._gguf)
        changes = load_adapter(adapter, shape) if adapter else None
        total = _parameters(shape) * BYTES_EACH[precision]
        tensors: dict[str, Tensor] = {}
        done = 0
        for name, tensor in _tensors(self._gguf, shape, changes):
            # Copied, for a file of weights takes no two tensors that share memory, as the parts of a stack do.
            tensors[name] = tensor.to(TORCH_TYPES[precision], copy=True)
            done += tensor.numel() * BYTES_EACH[precision]
            progress(done, total)
        save_file(tensors, folder / WEIGHTS_NAME, metadata={"format": "pt"})
        files = {**tokenizer_files(self._gguf), **_config_files(self._gguf, shape, precision)}
        for name, content in files.items():
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (folder / name).write_text(text, encoding="utf-8")


def _parameters(shape: NetworkShape) -> int:
    width, feed = shape.width, shape.feed_forward
    matrices = [(width + 2 * shape.kv_width, width), (width, width), (3 * feed, width)]
    layer = sum(prod(size) for size in matrices) + 2 * width
    return shape.vocabulary * width + shape.layers * layer + width


def _tensors(gguf: GgufFile, shape: NetworkShape, adapter: Adapter | None) -> Iterator[tuple[str, Tensor]]:
    """Every tensor under its published name, in float32; embedding and head are one."""
    yield "model.embed_tokens.weight", torch.from_numpy(gguf.tensor("token_embd.weight"))
    for index in range(shape.layers):
        weights = read_layer(gguf, shape, index=index)
        changes = adapter.layers.get(index) if adapter else None
        if adapter and changes:
            weights = merge(weights, changes, scale=adapter.alpha / adapter.rank)
        for name, tensor in _published(weights, shape):
            yield f"model.layers.{index}.{name}.weight", tensor
    yield "model.norm.weight", torch.from_numpy(gguf.tensor("output_norm.weight"))


def _published(weights: LayerWeights, shape: NetworkShape) -> Iterator[tuple[str, Tensor]]:
    """A layer's matrices apart, as they are published."""
    yield "input_layernorm", weights.attention_norm
    yield "post_attention_layernorm", weights.feed_norm
    attention = torch.split(weights.qkv, [shape.width, shape.kv_width, shape.kv_width])
    yield from zip(ATTENTION_INPUT, attention, strict=True)
    yield "self_attn.o_proj", weights.output
    yield from zip(FEED_INPUT, torch.chunk(weights.gate_up, 2), strict=True)
    yield "mlp.down_proj", weights.down


def _config_files(gguf: GgufFile, shape: NetworkShape, precision: Precision) -> dict[str, dict[str, object]]:
    tokenizer = ChatTokenizer(gguf)
    ids: dict[str, object] = {
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.end_id,
    }
    config: dict[str, object] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": _written_short(shape.epsilon),
        # Under the name readers know, and under the one that replaced it in transformers 5.
        "rope_theta": shape.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_base},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": precision,
        **ids,
    }
    # The local server ends an answer at any mark; so do readers of a list.
    ends = [tokenizer.end_id, *sorted(tokenizer.control_ids - {tokenizer.end_id})]
    return {"config.json": config, "generation_config.json": {**ids, "eos_token_id": ends}}


def _written_short(value: float) -> float:
    """The shortest number that is the same in float32, in which the file keeps it: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(value)))
