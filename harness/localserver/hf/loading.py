"""Brings a model from the disk into memory with transformers: nothing is downloaded, and no code or pickle of the folder is run."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from gguf import GGUFReader
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from harness.errors import StorageError
from harness.localserver.hf.chat_tokens import HfTokens
from harness.localserver.hf.recognition import ModelOnDisk, weight_sizes

# What transformers and what it calls raise on a model that is not as it should be.
_FAULTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
    SafetensorError,
)
# Tokens a prompt and its answer may have together where a model does not say; the context of GPT-2.
_DEFAULT_CONTEXT = 1024
# transformers' way to say that a tokenizer has no limit is a number beyond this.
_NO_LIMIT = 10**9


def load_config(model: ModelOnDisk) -> PreTrainedConfig:
    """What a model's files say of its shape.

    Raises:
        StorageError: They cannot be read, or transformers does not know this kind of model.
    """
    try:
        return AutoConfig.from_pretrained(**_place(model))
    except _FAULTS as error:
        raise _unreadable(model.path, error) from error


def load_tokens(model: ModelOnDisk, config: PreTrainedConfig) -> HfTokens:
    """A model's tokenizer and chat form.

    Raises:
        StorageError: The tokenizer cannot be read.
        UsageError: It cannot be used.
    """
    return HfTokens(
        load_tokenizer(model), size=config.get_text_config().vocab_size, ends=_ends(model, config)
    )


def load_tokenizer(model: ModelOnDisk) -> PreTrainedTokenizerBase:
    """A model's tokenizer as transformers reads it.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        return AutoTokenizer.from_pretrained(**_place(model), use_fast=True)
    except _FAULTS as error:
        raise _unreadable(model.path, error) from error


def load_network(
    model: ModelOnDisk, config: PreTrainedConfig, *, dtype: torch.dtype, device: torch.device
) -> PreTrainedModel:
    """A model's network, ready to compute, its weights frozen and its chance drop-outs off.

    Raises:
        StorageError: The weights cannot be read, are not whole, or are not a causal language model's.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    try:
        network, report = AutoModelForCausalLM.from_pretrained(
            **_place(model),
            config=config,
            dtype=dtype,
            use_safetensors=None if model.is_gguf else True,
            output_loading_info=True,
        )
    except _FAULTS as error:
        raise _unreadable(model.path, error) from error
    lacking = sorted({*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])})
    if lacking:
        raise StorageError(
            f"{model.path}: {len(lacking)} weights are missing or of another shape, such as {lacking[0]}",
            remedy="copy the whole model folder again",
        )
    network.to(device)
    network.requires_grad_(requires_grad=False)
    network.eval()
    return network


@contextmanager
def old_names_allowed() -> Iterator[None]:
    """Inside, no warning is given that peft asks transformers for something by an earlier name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def count_numbers(model: ModelOnDisk) -> int:
    """How many weights a model has; only the headers of its files are read."""
    if model.is_gguf:
        return sum(int(tensor.n_elements) for tensor in GGUFReader(model.path).tensors)
    return sum(weight_sizes(model.path))


def context_of(config: PreTrainedConfig) -> int:
    """Tokens a prompt and its answer may have together."""
    declared = getattr(config.get_text_config(), "max_position_embeddings", None)
    return declared if isinstance(declared, int) and 0 < declared < _NO_LIMIT else _DEFAULT_CONTEXT


def _place(model: ModelOnDisk) -> dict[str, object]:
    place = {"local_files_only": True, "trust_remote_code": False}
    if model.is_gguf:
        return {
            "pretrained_model_name_or_path": str(model.path.parent),
            "gguf_file": model.path.name,
            **place,
        }
    return {"pretrained_model_name_or_path": str(model.path), **place}


def _ends(model: ModelOnDisk, config: PreTrainedConfig) -> Iterable[int]:
    """The ids that end a text, as the generation settings and the configuration say."""
    named = [config.get_text_config().eos_token_id]
    if not model.is_gguf and (model.path / "generation_config.json").exists():
        try:
            named.append(GenerationConfig.from_pretrained(model.path, local_files_only=True).eos_token_id)
        except _FAULTS as error:
            raise _unreadable(model.path, error) from error
    for ids in named:
        yield from [ids] if isinstance(ids, int) else ids or []


def _unreadable(path: Path, error: Exception) -> StorageError:
    first, _, _ = str(error).strip().partition("\n")
    remedy = "copy the whole model folder again"
    if "custom code" in str(error) or "trust_remote_code" in str(error):
        remedy = "code in a model folder is never run: give a model that transformers knows by itself"
    elif "Unrecognized configuration class" in str(error):
        remedy = "give a causal language model"
    return StorageError(
        f"{path}: transformers cannot load it: {type(error).__name__}: {first:.300}", remedy=remedy
    )
