"""One network in memory answers for the base model and for every fine-tune of it.

Adapters lie beside the weights and are added while computing, not merged: a fine-tune costs its own few megabytes instead of a
whole copy of the model. One is active at a time.
"""

from collections import OrderedDict
from pathlib import Path

from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import PreTrainedModel

from harness.errors import StorageError
from harness.localserver.hf.loading import old_names_allowed

# Fine-tunes kept in memory, the most recently used; another one is read again in well under a second.
_KEPT = 16
_CONFIG, _TENSORS = "adapter_config.json", "adapter_model.safetensors"
_FAULTS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)


class FineTunes:
    """The fine-tunes of a network; used by one thread."""

    def __init__(self, network: PreTrainedModel) -> None:
        self._network = network
        self._adapted: PeftModel | None = None
        self._names: OrderedDict[tuple[Path, int], str] = OrderedDict()
        self._active: str | None = None
        self._read = 0

    def activate(self, folder: Path | None) -> None:
        """From now on the network answers for the fine-tune in this folder, or for the base model.

        Raises:
            StorageError: The fine-tune cannot be read or does not fit.
        """
        name = self._name(folder) if folder else None
        if name == self._active or self._adapted is None:
            return
        if name is None:
            self._adapted.base_model.disable_adapter_layers()
        else:
            self._adapted.base_model.enable_adapter_layers()
            self._adapted.set_adapter(name)
        self._active = name

    def _name(self, folder: Path) -> str:
        try:
            # The time is in the key so that a folder written anew is not answered for by the old one.
            key = (folder, (folder / _CONFIG).stat().st_mtime_ns)
        except OSError as error:
            raise StorageError(
                f"{folder}: there is no fine-tuned model: {error.strerror}", remedy="train it again"
            ) from None
        if key not in self._names:
            self._names[key] = self._load(folder)
            self._forget_the_oldest()
        self._names.move_to_end(key)
        return self._names[key]

    def _load(self, folder: Path) -> str:
        if not (folder / _TENSORS).is_file():
            raise StorageError(f"{folder}: has no {_TENSORS}", remedy="train it again")
        self._read += 1
        name = f"fine-tune-{self._read}"
        # Whatever is active now is not when this has been read; when that fails, the base model is.
        self._active = None
        try:
            with old_names_allowed():
                self._add(name, folder)
        except _FAULTS as error:
            if self._adapted is not None:
                self._adapted.base_model.disable_adapter_layers()
            raise StorageError(
                f"{folder}: cannot be read as a fine-tune of this model: {error}", remedy="train it again"
            ) from error
        return name

    def _add(self, name: str, folder: Path) -> None:
        config = PeftConfig.from_pretrained(str(folder))
        if self._adapted is None:
            self._adapted = PeftModel(self._network, config, adapter_name=name)
        else:
            self._adapted.add_adapter(name, config)
        result = self._adapted.load_adapter(str(folder), adapter_name=name)
        self._adapted.set_adapter(name)
        self._adapted.eval()
        strange = [*result.unexpected_keys, *result.missing_keys]
        if strange:
            raise ValueError(f"{strange[0]} is of another model")

    def _forget_the_oldest(self) -> None:
        while len(self._names) > _KEPT:
            assert self._adapted is not None
            _, name = self._names.popitem(last=False)
            self._adapted.delete_adapter(name)
