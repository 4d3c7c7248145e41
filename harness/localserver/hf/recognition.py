"""What lies at a path: a model that our own network runs, one for transformers, or none that can be served?

Only file names, `config.json` and the headers of weight files are read; transformers is not imported, so the answer comes at
once and without the extra `hf`.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from harness.errors import StorageError, UsageError
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.tokenizer import DEFAULT_SYSTEM

CONFIG = "config.json"
_GGUF_MAGIC = b"GGUF"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
# The longest header that the safetensors format allows, in bytes; a cut one is no JSON.
_LONGEST_HEADER = 100_000_000
# Classes that continue text are called so in `architectures`; models that read pictures besides are ConditionalGeneration.
_CAUSAL = ("CausalLM", "LMHead", "ConditionalGeneration")
_LAYER_TENSORS = (
    *("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output"),
    *("ffn_norm", "ffn_gate", "ffn_up", "ffn_down"),
)


@dataclass(frozen=True, kw_only=True)
class ModelOnDisk:
    """A model that can be served.

    Attributes:
        path: A GGUF file, or the folder of a Hugging Face model.
        lean: Whether our own network runs it; if not, transformers does, and the extra `hf` is needed.
    """

    path: Path
    lean: bool

    @property
    def is_gguf(self) -> bool:
        """Whether it is one GGUF file."""
        return self.path.is_file()

    @property
    def name(self) -> str:
        """The name it is served under unless another is given: that of the folder or file, as a model id."""
        stem = self.path.stem if self.is_gguf else self.path.name
        return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-.") or "model"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files its answers depend on, in order of their names."""
        if self.is_gguf:
            return (self.path,)
        kept = (".json", ".safetensors", ".jinja", ".model", ".txt")
        return tuple(sorted(file for file in self.path.iterdir() if file.suffix in kept and file.is_file()))


def recognise(path: Path) -> ModelOnDisk:
    """The model at a path.

    Raises:
        UsageError: Nothing is there, or nothing that can be served; the remedy says what to give instead.
        StorageError: A file of it cannot be read.
    """
    found = path.expanduser().resolve()
    if found.is_file():
        _check_gguf(found)
        return ModelOnDisk(path=found, lean=runs_lean(found))
    if not found.is_dir():
        raise UsageError(
            f"{path}: there is no such model folder or GGUF file",
            remedy="give the folder of a model on this machine, with its config.json; models are not downloaded",
        )
    _check_config(read_config(found), found)
    _check_weights(found)
    return ModelOnDisk(path=found, lean=False)


def runs_lean(path: Path) -> bool:
    """Whether our own network runs the model at a path, so that neither transformers nor peft is needed."""
    if not path.is_file():
        return False
    try:
        gguf = GgufFile(path)
    except StorageError:
        return False  # an encoding or version of GGUF that only transformers reads
    return _is_our_network(gguf) and _is_our_tokenizer(gguf)


def read_config(folder: Path) -> Mapping[str, object]:
    """The `config.json` of a model folder.

    Raises:
        UsageError: There is none, or it is not a JSON object.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        is_adapter = (folder / "adapter_config.json").exists()
        raise UsageError(
            f"{folder}: has no {CONFIG}, so it is not a model folder"
            + (" but an adapter" if is_adapter else ""),
            remedy="give the folder of the adapter's base model"
            if is_adapter
            else "give the folder that holds config.json and the weights, or a GGUF file",
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / CONFIG}: cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f"{folder / CONFIG}: is not a JSON object")
    return config


def weight_sizes(folder: Path) -> list[int]:
    """How many numbers each tensor of a model folder has.

    Raises:
        StorageError: A weight file is damaged.
    """
    return [size for file in sorted(folder.glob("*.safetensors")) for size in _tensor_sizes(file)]


def _is_our_network(gguf: GgufFile) -> bool:
    """A Llama with one matrix for embedding and head, no biases, and plain rotary embedding."""
    layers = gguf.settings.get("llama.block_count")
    if gguf.settings.get("general.architecture") != "llama" or not isinstance(layers, int):
        return False
    expected = {f"blk.{layer}.{tensor}.weight" for layer in range(layers) for tensor in _LAYER_TENSORS}
    scaled = any(key.startswith("llama.rope.scaling") for key in gguf.settings)
    width, heads = (gguf.settings.get(f"llama.{key}") for key in ("embedding_length", "attention.head_count"))
    if scaled or not (isinstance(width, int) and isinstance(heads, int)):
        return False
    head_widths = ("llama.rope.dimension_count", "llama.attention.key_length", "llama.attention.value_length")
    if any(gguf.settings.get(key, width // heads) != width // heads for key in head_widths):
        return False
    return gguf.tensor_names == expected | {"token_embd.weight", "output_norm.weight"}


def _is_our_tokenizer(gguf: GgufFile) -> bool:
    """SmolLM's vocabulary split as SmolLM's, and its chat form: the only ones our own tokenizer writes."""
    settings = gguf.settings
    return (
        settings.get("tokenizer.ggml.model") == "gpt2"
        and settings.get("tokenizer.ggml.pre") == "smollm"
        and DEFAULT_SYSTEM in str(settings.get("tokenizer.chat_template"))
    )


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            begins = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if begins != _GGUF_MAGIC:
        raise UsageError(
            f"{path}: is not a GGUF file", remedy="give a GGUF file, or the folder of a Hugging Face model"
        )


def _check_config(config: Mapping[str, object], folder: Path) -> None:
    named = config.get("architectures")
    architectures = [str(name) for name in named] if isinstance(named, list) else []
    causal = not architectures or any(word in name for name in architectures for word in _CAUSAL)
    if not causal or config.get("is_encoder_decoder") is True:
        raise UsageError(
            f"{folder}: {', '.join(architectures)} is not a causal language model",
            remedy="give a model that continues text, such as one of class ...ForCausalLM",
        )
    quantized = config.get("quantization_config")
    if quantized:
        method = quantized.get("quant_method", "unknown") if isinstance(quantized, dict) else "unknown"
        raise UsageError(
            f"{folder}: its weights are quantized ({method}), which is not supported",
            remedy="give the folder of the unquantized model, or a GGUF file of it",
        )


def _check_weights(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in _PICKLES)
    if pickles:
        raise UsageError(
            f"{folder}: its weights are pickles ({pickles[0]}); loading one runs whatever code is in it",
            remedy="take the model's safetensors files, or save it anew with "
            "save_pretrained(..., safe_serialization=True) where you trust it",
        )
    raise UsageError(f"{folder}: has no weights (*.safetensors)", remedy="copy the whole model folder")


def _tensor_sizes(file: Path) -> Sequence[int]:
    """The number of values of each tensor in a safetensors file: eight bytes of length, then a JSON header."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(min(length, _LONGEST_HEADER)))
        return [prod(entry["shape"]) for key, entry in header.items() if key != "__metadata__"]
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{file}: is damaged or cut off: {error}", remedy="copy the model folder again"
        ) from error
