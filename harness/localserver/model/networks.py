"""Which network answers for a model? The base, or the base with a fine-tune's changes merged into the layers they touch."""

import ctypes
import sys
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from harness.errors import StorageError
from harness.localserver.model.adapters import CONFIG_NAME, load_adapter, merge
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import (
    Network,
    NetworkShape,
    freeze_layer,
    read_layer,
    read_network,
    read_shape,
)

_C_LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None
# Fine-tunes kept merged in memory, the most recently used: 140 MB each, and half a second to merge again.
_MERGED_KEPT = 3


class Networks:
    """Networks ready to answer, made when first asked for; safe to ask from several threads."""

    def __init__(self, gguf: GgufFile, *, dtype: torch.dtype, device: torch.device) -> None:
        self.shape: NetworkShape = read_shape(gguf)
        self._gguf = gguf
        self._dtype = dtype
        self._device = device
        self._making = threading.Lock()
        self._base: Network | None = None
        self._merged: OrderedDict[tuple[Path, int], Network] = OrderedDict()

    def network(self, adapter: Path | None) -> Network:
        """The network of the fine-tune in this folder, or of the base model.

        Raises:
            StorageError: the fine-tune cannot be read or does not fit.
        """
        with self._making:
            if self._base is None:
                self._base = self._read_base()
            if adapter is None:
                return self._base
            # The time is in the key so that a folder written anew is not answered for by the old one.
            key = (adapter, _written_at(adapter))
            if key not in self._merged:
                self._merged[key] = self._merge(self._base, adapter)
                if len(self._merged) > _MERGED_KEPT:
                    self._merged.popitem(last=False)
            self._merged.move_to_end(key)
            return self._merged[key]

    def rest(self) -> None:
        """Keep the base alone."""
        with self._making:
            self._merged.clear()
            self._gguf.release()
        release_memory()

    def _read_base(self) -> Network:
        network = read_network(self._gguf, dtype=self._dtype, device=self._device)
        if self._device.type == "cpu":
            # The head has the same matrix in a form of its own; the embedding needs few rows of it, and leaves it in the file.
            network = replace(network, embedding=_EmbeddingInFile(self._gguf, dtype=self._dtype))
        self._gguf.release()
        release_memory()
        return network

    def _merge(self, base: Network, folder: Path) -> Network:
        adapter = load_adapter(folder, self.shape)
        layers = list(base.layers)
        for index, changes in adapter.layers.items():
            weights = read_layer(self._gguf, self.shape, index=index)
            merged = merge(weights, changes, scale=adapter.alpha / adapter.rank)
            layers[index] = freeze_layer(merged, dtype=self._dtype, device=self._device)
        self._gguf.release()
        release_memory()
        return replace(base, layers=tuple(layers))


class _EmbeddingInFile:
    """The embedding, of which the file's own form is kept and rows are decoded when they are asked for."""

    def __init__(self, gguf: GgufFile, *, dtype: torch.dtype) -> None:
        self._gguf = gguf
        self._dtype = dtype

    def __getitem__(self, ids: Tensor, /) -> Tensor:
        return torch.from_numpy(self._gguf.rows("token_embd.weight", ids.numpy())).to(self._dtype)


def release_memory() -> None:
    """Give the system back what was freed: the C library keeps it otherwise (measured: 100 MB after loading)."""
    trim = getattr(_C_LIBRARY, "malloc_trim", None)
    if trim:
        trim(0)


def _written_at(folder: Path) -> int:
    try:
        return (folder / CONFIG_NAME).stat().st_mtime_ns
    except OSError as error:
        raise StorageError(
            f"{folder}: there is no fine-tuned model: {error.strerror}", remedy="train it again"
        ) from None
