"""What has a fine-tune learned? Low-rank changes to layers, stored as the PEFT library stores them.

A folder holds `adapter_config.json` and `adapter_model.safetensors`; PEFT and vLLM load it onto
HuggingFaceTB/SmolLM2-135M-Instruct as it is. For each changed matrix there are two factors, `lora_A` (rank, inputs)
and `lora_B` (outputs, rank); the matrix becomes `W + alpha / rank * B @ A`.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.errors import StorageError
from harness.localserver.model.network import LayerWeights, NetworkShape

PUBLISHED_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"

CONFIG_NAME = "adapter_config.json"
TENSORS_NAME = "adapter_model.safetensors"
_KEY = "base_model.model.model.layers.{layer}.{module}.lora_{factor}.weight"

ATTENTION_INPUT = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
ATTENTION_OUTPUT = ("self_attn.o_proj",)
FEED_INPUT = ("mlp.gate_proj", "mlp.up_proj")
FEED_OUTPUT = ("mlp.down_proj",)
MODULES = (*ATTENTION_INPUT, *ATTENTION_OUTPUT, *FEED_INPUT, *FEED_OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Factors:
    """One low-rank change: `down` (rank, inputs) and `up` (outputs, rank)."""

    down: Tensor
    up: Tensor


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """All changes of a fine-tune, by layer and then by PEFT's module name; their product is scaled by `alpha / rank`."""

    rank: int
    alpha: float
    layers: Mapping[int, Mapping[str, Factors]]


def module_widths(shape: NetworkShape) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of each module an adapter may change."""
    width, feed = shape.width, shape.feed_forward
    return {
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (shape.kv_width, width),
        "self_attn.v_proj": (shape.kv_width, width),
        "self_attn.o_proj": (width, width),
        "mlp.gate_proj": (feed, width),
        "mlp.up_proj": (feed, width),
        "mlp.down_proj": (width, feed),
    }


def save_adapter(adapter: Adapter, folder: Path, *, base: str = PUBLISHED_NAME) -> None:
    """Write the adapter under a passing name and then move it to `folder`, which so is whole or not there.

    `base` is the name or path of the model it belongs to, as PEFT is to find it.
    """
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    tensors = {
        _KEY.format(layer=layer, module=module, factor=letter): tensor.detach()
        .to("cpu", torch.float32)
        .contiguous()
        for layer, modules in adapter.layers.items()
        for module, factors in modules.items()
        for letter, tensor in (("A", factors.down), ("B", factors.up))
    }
    save_file(tensors, part / TENSORS_NAME, metadata={"format": "pt"})
    (part / CONFIG_NAME).write_text(
        json.dumps(_peft_config(adapter, base), indent=2) + "\n", encoding="utf-8"
    )
    # What an earlier start of the same job left there is replaced.
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


def _peft_config(adapter: Adapter, base: str) -> dict[str, object]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": [module.rpartition(".")[2] for module in MODULES],
        "layers_to_transform": sorted(adapter.layers),
        "layers_pattern": "layers",
    }


def load_adapter(folder: Path, shape: NetworkShape) -> Adapter:
    """Read an adapter made for a network of this shape.

    Raises:
        StorageError: the folder is missing, unreadable, or holds changes that do not fit the network.
    """
    try:
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        tensors = load_file(folder / TENSORS_NAME)
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StorageError(
            f"{folder}: cannot be read as a fine-tuned model: {error}", remedy="train it again"
        ) from error
    widths = module_widths(shape)
    layers: dict[int, dict[str, Factors]] = {}
    for layer in range(shape.layers):
        for module in MODULES:
            down = tensors.pop(_KEY.format(layer=layer, module=module, factor="A"), None)
            up = tensors.pop(_KEY.format(layer=layer, module=module, factor="B"), None)
            if down is None and up is None:
                continue
            outputs, inputs = widths[module]
            if down is None or up is None or down.shape != (rank, inputs) or up.shape != (outputs, rank):
                raise StorageError(
                    f"{folder}: {module} of layer {layer} does not fit the model", remedy="train it again"
                )
            layers.setdefault(layer, {})[module] = Factors(down=down.float(), up=up.float())
    if tensors or not layers:
        what = f"holds {min(tensors)}, which the model does not have" if tensors else "changes nothing"
        raise StorageError(f"{folder}: {what}", remedy="train it again")
    return Adapter(rank=rank, alpha=alpha, layers=layers)


def merge(weights: LayerWeights, changes: Mapping[str, Factors], *, scale: float) -> LayerWeights:
    """The layer's weights with the changes added, `scale` being `alpha / rank`."""
    width = weights.output.shape[0]
    key_end = (width + weights.qkv.shape[0]) // 2

    def changed(modules: tuple[str, ...], parts: Sequence[Tensor]) -> Tensor:
        merged = []
        for module, part in zip(modules, parts, strict=True):
            factors = changes.get(module)
            merged.append(torch.addmm(part, factors.up, factors.down, alpha=scale) if factors else part)
        return torch.cat(merged)

    return replace(
        weights,
        qkv=changed(ATTENTION_INPUT, torch.tensor_split(weights.qkv, (width, key_end))),
        output=changed(ATTENTION_OUTPUT, (weights.output,)),
        gate_up=changed(FEED_INPUT, torch.tensor_split(weights.gate_up, 2)),
        down=changed(FEED_OUTPUT, (weights.down,)),
    )
