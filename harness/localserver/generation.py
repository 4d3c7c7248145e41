"""How are prompts answered? In batches of whatever is waiting for the same model, row by row independent.

An answer is the same whether its request was alone or among sixty others: every matrix product keeps to sizes
whose result for a row does not depend on the other rows, each row attends to its own tokens at places
that do not depend on the others', and sampling draws from a generator of the request's own.
"""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import torch

from harness.errors import HarnessError, UsageError
from harness.localserver.adapters import load_adapter, merge
from harness.localserver.batch import Batch, Prompt
from harness.localserver.gguf_file import GgufFile
from harness.localserver.inference import GenerationRequest, GenerationResult
from harness.localserver.network import Network, freeze_layer, read_layer, read_network, read_shape
from harness.localserver.tokenizer import ChatTokenizer

# How long a worker waits for more requests of a burst before it begins.
_GATHER_S = 0.01
# Rows one worker advances together; more gain little speed and cost memory.
_MOST_ROWS = 32
# A request for another model waits no longer than this for the present batch to stop admitting.
_PATIENCE_S = 5.0
# Fine-tunes kept merged in memory: 140 MB each.
_MERGED_KEPT = 3


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    request: GenerationRequest
    prompt: Prompt
    future: "Future[GenerationResult]"
    since: float = field(default_factory=time.monotonic)


class Engine:
    """Answers requests on threads of its own; loads the model when the first request comes."""

    def __init__(self, weights: Path, *, threads: int | None = None, device: str | None = None) -> None:
        self._gguf = GgufFile(weights)
        self._shape = read_shape(self._gguf)
        self._tokenizer = ChatTokenizer(self._gguf)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        threads = threads or torch.get_num_threads()
        # Two threads that each own a batch outrun one batch on two threads, and do not stall each other on a busy machine.
        workers = 2 if self._device.type == "cpu" and threads > 1 else 1
        self._threads_each = max(1, threads // workers)
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._closing = False
        self._idle = 0
        self._loading = threading.Lock()
        self._base: Network | None = None
        self._merged: OrderedDict[tuple[Path, int], Network] = OrderedDict()
        self._workers = [
            threading.Thread(target=self._work, name=f"generation-{number}", daemon=True) for number in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    @property
    def context_length(self) -> int:
        """Tokens a prompt and its answer may have together."""
        return self._shape.context

    def count_prompt_tokens(self, messages: Sequence[Mapping[str, object]]) -> int:
        """Tokens the model reads before it answers these messages."""
        return len(self._tokenizer.encode_prompt(messages))

    def submit(self, request: GenerationRequest) -> "Future[GenerationResult]":
        """Queue a request; the future fails alone when its model or its prompt is at fault.

        Raises:
            UsageError: the messages cannot be read, or leave no room for an answer.
        """
        future: Future[GenerationResult] = Future()
        ids = self._tokenizer.encode_prompt(request.messages)
        room = self._shape.context - len(ids)
        if room < 1:
            raise UsageError(
                f"the prompt has {len(ids)} tokens and the context {self._shape.context}", remedy="shorten the prompt"
            )
        seed = random.SystemRandom().getrandbits(63) if request.seed is None else request.seed
        prompt = Prompt(
            ids=tuple(ids),
            max_tokens=min(request.max_tokens, room),
            temperature=request.temperature,
            top_p=request.top_p,
            seed=seed,
            stop=request.stop,
        )
        with self._changed:
            if self._closing:
                raise UsageError("the engine is closed")
            self._waiting.append(_Waiting(request=request, prompt=prompt, future=future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """End the threads after their current step; unanswered requests are cancelled."""
        with self._changed:
            self._closing = True
            dropped, self._waiting = self._waiting, []
            self._changed.notify_all()
        for waiting in dropped:
            waiting.future.cancel()
        for worker in self._workers:
            worker.join()

    def _work(self) -> None:
        torch.set_num_threads(self._threads_each)
        while (adapter := self._next_adapter()) is not False:
            self._serve(adapter)

    def _next_adapter(self) -> "Path | bool | None":
        with self._changed:
            self._idle += 1
            while not self._waiting and not self._closing:
                self._changed.wait()
            self._idle -= 1
            if self._closing:
                return False
            adapter = self._waiting[0].request.adapter
        seen = 0
        while (count := len(self._waiting)) != seen:
            seen = count
            time.sleep(_GATHER_S)
        return adapter

    def _admit(self, adapter: Path | None, room: int) -> list[_Waiting]:
        with self._changed:
            others = [waiting for waiting in self._waiting if waiting.request.adapter != adapter]
            if others and time.monotonic() - others[0].since > _PATIENCE_S:
                return []
            ours = [waiting for waiting in self._waiting if waiting.request.adapter == adapter]
            share = -(-len(ours) // (1 + self._idle)) if not others else len(ours)
            taken = ours[: min(room, share)]
            for waiting in taken:
                self._waiting.remove(waiting)
            if self._waiting:
                self._changed.notify()
        return [waiting for waiting in taken if waiting.future.set_running_or_notify_cancel()]

    def _serve(self, adapter: Path | None) -> None:
        running: dict[int, _Waiting] = {}
        try:
            network = self._network(adapter)
        except HarnessError as error:
            for waiting in self._admit(adapter, 1 << 30):
                waiting.future.set_exception(error)
            return
        with torch.inference_mode():
            batch = Batch(network, self._tokenizer)
            number = 0
            while not self._closing:
                admitted = self._admit(adapter, _MOST_ROWS - len(running))
                if admitted:
                    keys = list(range(number, number + len(admitted)))
                    number += len(admitted)
                    running |= zip(keys, admitted, strict=True)
                    batch.admit(dict(zip(keys, [waiting.prompt for waiting in admitted], strict=True)))
                if not running:
                    return
                for key, answer in batch.step():
                    waiting = running.pop(key)
                    waiting.future.set_result(
                        GenerationResult(
                            text=answer.text,
                            finish_reason=answer.ending,
                            prompt_tokens=len(waiting.prompt.ids),
                            completion_tokens=answer.tokens,
                        )
                    )

    def _network(self, adapter: Path | None) -> Network:
        with self._loading:
            dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
            if self._base is None:
                self._base = read_network(self._gguf, dtype=dtype, device=self._device)
            if adapter is None:
                return self._base
            key = (adapter, 0)
            if key not in self._merged:
                loaded = load_adapter(adapter, self._shape)
                layers = list(self._base.layers)
                for index, changes in loaded.layers.items():
                    weights = merge(read_layer(self._gguf, self._shape, index=index), changes, scale=loaded.alpha / loaded.rank)
                    layers[index] = freeze_layer(weights, dtype=dtype, device=self._device)
                self._merged[key] = Network(
                    shape=self._shape,
                    embedding=self._base.embedding,
                    layers=tuple(layers),
                    norm=self._base.norm,
                    head=self._base.head,
                )
                while len(self._merged) > _MERGED_KEPT:
                    self._merged.popitem(last=False)
            self._merged.move_to_end(key)
            return self._merged[key]
