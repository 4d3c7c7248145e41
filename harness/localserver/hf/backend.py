"""Any Hugging Face causal language model as the engine serves it, with its fine-tunes, on a GPU where there is one."""

import logging
import threading
from pathlib import Path

import torch

from harness.localserver.generation.decoder import Decoder
from harness.localserver.hf.chat_tokens import HfTokens
from harness.localserver.hf.decoders import Network, RowsApart, RowsTogether, bytes_per_token
from harness.localserver.hf.fine_tunes import FineTunes
from harness.localserver.hf.loading import context_of, count_numbers, load_config, load_network, load_tokens
from harness.localserver.hf.precision import free_memory, serving_precision
from harness.localserver.hf.recognition import ModelOnDisk
from harness.localserver.model.processors import available_processors

# The share of the memory that is free beside the weights that rows may fill; the rest is for computing with them.
_ROWS_SHARE = 0.3
# Tokens of all rows together where the memory is not known, or rows are not side by side.
_DEFAULT_ROOM = 32_768

_log = logging.getLogger(__name__)


class HfBackend:
    """A model and its fine-tunes; loads the network when it is first asked for.

    One worker computes with all threads: the network is in memory once, and its adapters are switched for whoever is answered.

    Args:
        model: What lies on the disk.
        threads: Processors to use; all this process may use by default.
        device: "cpu" or "cuda"; where there is a GPU it is used by itself.

    Raises:
        StorageError: The tokenizer or the configuration cannot be read.
        UsageError: The tokenizer or the chat template cannot be used.
    """

    def __init__(self, model: ModelOnDisk, *, threads: int | None = None, device: str | None = None) -> None:
        self._model = model
        self._threads = threads or available_processors()
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._config = load_config(model)
        self._tokens = load_tokens(model, self._config)
        self._loading = threading.Lock()
        self._network: Network | None = None
        self._fine_tunes: FineTunes | None = None
        self._bytes_per_token: int | None = None

    @property
    def tokens(self) -> HfTokens:
        """Its tokenizer."""
        return self._tokens

    @property
    def context(self) -> int:
        """Tokens a prompt and its answer may have together."""
        return context_of(self._config)

    @property
    def workers(self) -> int:
        """One: see the class."""
        return 1

    @property
    def threads_each(self) -> int:
        """Processor threads it computes with."""
        return self._threads

    def rest(self) -> None:
        """Nothing: fine-tunes are small beside the model, and are not merged into it."""

    def decoder(self, adapter: Path | None) -> Decoder:
        """A decoder of the fine-tune in this folder, or of the base model.

        Raises:
            StorageError: The model or the fine-tune cannot be read, or they do not fit each other.
            UsageError: There is not enough memory.
        """
        with self._loading:
            if self._network is None or self._fine_tunes is None:
                self._network = self._load()
                self._fine_tunes = FineTunes(self._network.model)
        fine_tunes = self._fine_tunes
        fine_tunes.activate(adapter)
        kind = RowsApart if self._bytes_per_token is None else RowsTogether
        return kind(self._network, room=self._room(), activate=lambda: fine_tunes.activate(adapter))

    def _load(self) -> Network:
        numbers = count_numbers(self._model)
        dtype = serving_precision(self._device, numbers=numbers)
        network = Network(load_network(self._model, self._config, dtype=dtype, device=self._device))
        self._bytes_per_token = bytes_per_token(network)
        manner = "one by one" if self._bytes_per_token is None else "side by side"
        _log.info(
            "%s: %.0f million weights in %s on %s, rows %s",
            self._model.path,
            numbers / 1e6,
            dtype,
            self._device,
            manner,
        )
        return network

    def _room(self) -> int:
        """Tokens that all rows may come to together."""
        free = free_memory(self._device)
        if not self._bytes_per_token or free is None:
            return _DEFAULT_ROOM
        return max(self.context, int(free * _ROWS_SHARE) // self._bytes_per_token)
