"""Which parts of a network learn? Low-rank changes, by peft, to every matrix of its upper third.

The recipe is the one that was measured on the server's own network, in `training.lora`. The layers below get no gradient, so
nothing of them has to be remembered and the way back ends there.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from harness.errors import UsageError
from harness.localserver.hf.loading import old_names_allowed
from harness.localserver.training.examples import Taught
from harness.localserver.training.lora import ALPHA, RANK, TAUGHT_SHARE

# Matrices that choose an expert: to train them with few rows unbalances a mixture.
_ROUTERS = frozenset({"gate", "router", "shared_expert_gate"})
_SENSES = ("vision", "visual", "audio", "image")
# Beyond this many tokens in one pass the layers' inner states are computed again on the way back instead of kept.
_KEPT_TOKENS = 2048
# AdamW moves every weight of a step alike, so the change of a sum over more inputs is larger. The recipe's rate was measured at
# this width, and is lowered in proportion for wider networks.
_MEASURED_WIDTH = 576
_IGNORED = -1


class Student:
    """A network with low-rank changes.

    Args:
        network: Frozen; it is changed in place.
        base: Where it came from, for the adapter's own record.
        seed: Of the first values of the changes.

    Raises:
        UsageError: Its layers cannot be found.
    """

    def __init__(self, network: PreTrainedModel, *, base: Path, seed: int) -> None:
        self._network = network
        self._recompute = False
        prefix, layers = _layers(network)
        first = len(layers) - max(1, round(len(layers) * TAUGHT_SHARE))
        targets = {
            name: module
            for layer in layers[first:]
            for name, module in layer.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and name.rpartition(".")[2] not in _ROUTERS
        }
        for layer in layers[first:]:
            layer.forward = self._recomputed(layer.forward)
        torch.manual_seed(seed)
        config = LoraConfig(
            r=RANK,
            lora_alpha=int(ALPHA),
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
            **_addresses(network, prefix, layers=range(first, len(layers)), targets=sorted(targets)),
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in targets.values()),
        )
        with old_names_allowed():
            self._adapted: PeftModel = get_peft_model(network, config)
        # peft would name the folder of a GGUF file, which is no model.
        self._adapted.peft_config["default"].base_model_name_or_path = str(base)
        self.learned: dict[str, nn.Parameter] = {
            name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad
        }
        width = network.config.get_text_config().hidden_size
        self.rate_scale: float = min(1.0, _MEASURED_WIDTH / width)
        self._picks_logits = "logits_to_keep" in signature(network.forward).parameters

    def answer_losses(self, rows: Sequence[Taught]) -> list[tuple[Tensor, Tensor]]:
        """For each row, of its learned tokens: the cross-entropy (answers,) in float32, and whether it was the likeliest (answers,)."""
        width = max(len(row.ids) for row in rows) - 1
        self._recompute = width * len(rows) > _KEPT_TOKENS and torch.is_grad_enabled()
        tokens, labels = (_padded(part, width) for part in _shifted(rows))
        device = self._network.device
        asked = labels != _IGNORED
        places = asked.any(dim=0).nonzero()[:, 0]
        given: dict[str, object] = {"logits_to_keep": places.to(device)} if self._picks_logits else {}
        lengths = torch.tensor([len(row.ids) - 1 for row in rows])[:, None]
        output = self._network(
            input_ids=tokens.clamp(min=0).to(device),
            attention_mask=(torch.arange(width) < lengths).long().to(device),
            use_cache=False,
            return_dict=True,
            **given,
        )
        logits = output.logits if self._picks_logits else output.logits[:, places.to(device)]
        wanted = labels[:, places]
        return [
            _judged(row[mask.to(device)].float(), label[mask].to(device))
            for row, label, mask in zip(logits, wanted, asked[:, places], strict=True)
        ]

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Inside, the network is as it was before anything was learned."""
        with self._adapted.disable_adapter(), torch.no_grad():
            yield

    def save(self, folder: Path) -> None:
        """Write the changes under a passing name and then move them to `folder`, which so is whole or not there."""
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        self._adapted.save_pretrained(str(part), save_embedding_layers=False)
        (part / "README.md").unlink(missing_ok=True)  # a form to fill in, for publishing
        _write_in_order(part / "adapter_config.json")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)

    def _recomputed(self, forward: Callable[..., object]) -> Callable[..., object]:
        def either(*arguments: object, **named: object) -> object:
            if not self._recompute:
                return forward(*arguments, **named)
            again: object = checkpoint(partial(forward, **named), *arguments, use_reentrant=False)
            return again

        return either


def _addresses(
    network: PreTrainedModel, prefix: str, *, layers: range, targets: Sequence[str]
) -> dict[str, object]:
    """How peft is told which matrices: by their last names and the layers' numbers, as every tool that reads adapters expects.

    Beside eyes or ears, whose layers are called alike, by their whole names.
    """
    if any(sense in name for name, _ in network.named_modules() for sense in _SENSES):
        return {"target_modules": [f"{prefix}.{layer}.{target}" for layer in layers for target in targets]}
    return {
        "target_modules": sorted({target.rpartition(".")[2] for target in targets}),
        "layers_to_transform": list(layers),
        "layers_pattern": prefix.rpartition(".")[2],
    }


def _write_in_order(config: Path) -> None:
    """The same adapter shall be the same files; peft writes its sets in whatever order they have."""
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["target_modules"] = sorted(settings["target_modules"])
    config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _layers(network: PreTrainedModel) -> tuple[str, Sequence[nn.Module]]:
    """The list of a network's layers, and its name."""
    depth = network.config.get_text_config().num_hidden_layers
    for name, module in network.named_modules():
        is_sense = any(sense in name for sense in _SENSES)
        if isinstance(module, nn.ModuleList) and len(module) == depth and not is_sense:
            return name, list(module)
    raise UsageError(
        f"{type(network).__name__}: its layers cannot be found, so it cannot be fine-tuned here",
        remedy="serve it with --no-training",
    )


def _shifted(rows: Sequence[Taught]) -> tuple[list[list[int]], list[list[int]]]:
    """What is read, and what should follow each token of it where that is learned."""
    read = [list(row.ids[:-1]) for row in rows]
    labels = [
        [token if learned else _IGNORED for token, learned in zip(row.ids[1:], row.mask[1:], strict=True)]
        for row in rows
    ]
    return read, labels


def _padded(rows: list[list[int]], width: int) -> Tensor:
    return torch.tensor([row + [_IGNORED] * (width - len(row)) for row in rows])


def _judged(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return functional.cross_entropy(logits, labels, reduction="none"), logits.argmax(dim=-1) == labels
