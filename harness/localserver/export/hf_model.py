"""How does any other model leave the server? Through transformers and peft, as it came (extra `hf`)."""

from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import PreTrainedModel

from harness.errors import StorageError
from harness.localserver.export.fine_tunes import BYTES_EACH, TORCH_TYPES, Precision, Progress
from harness.localserver.hf.chat_form import ChatForm
from harness.localserver.hf.chat_tokens import HfTokens
from harness.localserver.hf.loading import (
    count_numbers,
    load_config,
    load_network,
    load_tokenizer,
    old_names_allowed,
)
from harness.localserver.hf.recognition import ModelOnDisk

# Beside the weights: vocabularies of a quarter of a million tokens take 35 MB.
_OTHER_BYTES = 2**26
_FAULTS = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)


class HfModel:
    """A Hugging Face folder or a GGUF file as something that can be exported.

    Raises:
        StorageError: The model cannot be read.
        UsageError: Its chat template cannot be used.
    """

    def __init__(self, model: ModelOnDisk) -> None:
        self._model = model
        self._tokenizer = load_tokenizer(model)
        self._has_form = bool(self._tokenizer.chat_template)
        # A model without a template was asked and trained in a plain form; elsewhere it is to be asked in the same.
        self._tokenizer.chat_template = ChatForm(self._tokenizer).template

    @property
    def folder(self) -> Path | None:
        """The model's own folder, unless it is a GGUF file or has no chat form of its own."""
        return None if self._model.is_gguf or not self._has_form else self._model.path

    @property
    def license(self) -> str | None:
        """None: model folders say it in prose."""
        return None

    def folder_bytes(self, precision: Precision) -> int:
        """How much room a folder of this model takes on disk, rounded up."""
        return count_numbers(self._model) * BYTES_EACH[precision] + _OTHER_BYTES

    def write(self, folder: Path, *, adapter: Path | None, precision: Precision, progress: Progress) -> None:
        """Write the model, with a fine-tune's changes merged into it by peft if there is one, as a folder.

        The model is loaded and merged in `precision`.

        Raises:
            StorageError: The model or the fine-tune cannot be read, or they do not fit.
            OSError: The folder cannot be written, or the disk is full.
        """
        total = count_numbers(self._model) * BYTES_EACH[precision]
        progress(0, total)
        config = load_config(self._model)
        network = load_network(self._model, config, dtype=TORCH_TYPES[precision], device=torch.device("cpu"))
        if adapter:
            network = _merged(network, adapter)
        self._end_answers(network)
        try:
            network.save_pretrained(folder)
            self._tokenizer.save_pretrained(folder)
        except _FAULTS as error:
            raise StorageError(f"{self._model.path}: transformers cannot write it: {error:.300}") from error
        progress(total, total)

    def _end_answers(self, network: PreTrainedModel) -> None:
        """Name the token that ends an answer here among those that end a text; some models forget it."""
        settings = network.generation_config
        if settings is None:
            return
        known = settings.eos_token_id
        ends = [known] if isinstance(known, int) else list(known or ())
        size = network.config.get_text_config().vocab_size
        end = HfTokens(self._tokenizer, size=size, ends=ends).end_id
        if end not in ends:
            settings.eos_token_id = [end, *ends]


def _merged(network: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    try:
        with old_names_allowed():
            tuned = PeftModel(network, PeftConfig.from_pretrained(str(adapter)))
            result = tuned.load_adapter(str(adapter), adapter_name="default")
        strange = [*result.unexpected_keys, *result.missing_keys]
        if strange:
            raise ValueError(f"{strange[0]} does not belong")
        merged: PreTrainedModel = tuned.merge_and_unload()
    except (OSError, *_FAULTS) as error:
        raise StorageError(
            f"{adapter}: cannot be read as a fine-tune of this model: {error}", remedy="train it again"
        ) from error
    return merged
