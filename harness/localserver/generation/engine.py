"""How are requests answered? In batches of whatever is waiting for the same model, on threads of the engine's own.

An answer is the same whether its request was alone or among sixty others: every matrix product keeps to sizes
whose result for a row does not depend on the other rows, each row attends to its own tokens at places
that do not depend on the others', and sampling draws from a generator of the request's own.
"""

import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from itertools import count
from pathlib import Path

import torch

from harness.errors import EndpointError, HarnessError, UsageError
from harness.localserver.generation.batch import Answer, Batch, Prompt
from harness.localserver.generation.requests import GenerationRequest, GenerationResult
from harness.localserver.generation.waiting import Line, Waiting, closed
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.networks import Networks
from harness.localserver.model.processors import crew
from harness.localserver.model.tokenizer import ChatTokenizer


class Engine:
    """Answers requests; loads the model when the first one comes.

    Args:
        weights: The model file.
        threads: Processors to use; all this process may use by default.
        device: "cpu" or "cuda"; where there is a GPU it is used by itself, in bfloat16. On a processor all is float32.

    Raises:
        StorageError: the model file cannot be read.
    """

    def __init__(self, weights: Path, *, threads: int | None = None, device: str | None = None) -> None:
        gguf = GgufFile(weights)
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        on_cpu = place.type == "cpu"
        self._crew = crew(threads) if on_cpu else crew(threads, most_workers=1)
        self._tokenizer = ChatTokenizer(gguf)
        self._networks = Networks(gguf, dtype=torch.float32 if on_cpu else torch.bfloat16, device=place)
        self._line = Line(workers=self._crew.workers)
        self._workers = [
            threading.Thread(target=self._work, args=(number,), name=f"generation-{number}", daemon=True)
            for number in range(self._crew.workers)
        ]
        for worker in self._workers:
            worker.start()

    @property
    def context_length(self) -> int:
        """Tokens a prompt and its answer may have together."""
        return self._networks.shape.context

    def count_prompt_tokens(self, messages: Sequence[Mapping[str, object]]) -> int:
        """Tokens the model reads before it answers these messages."""
        return len(self._tokenizer.encode_prompt(messages))

    def submit(self, request: GenerationRequest) -> "Future[GenerationResult]":
        """Queue a request; if its model is at fault, the futures of that model's requests fail and no others.

        Raises:
            UsageError: the messages hold something other than text, or leave no room for an answer.
            EndpointError: the engine is closed.
        """
        future: Future[GenerationResult] = Future()
        self._line.join(Waiting(adapter=request.adapter, prompt=self._prompt(request), future=future))
        return future

    def close(self) -> None:
        """End the threads after their current step; requests without an answer fail."""
        _fail(self._line.close(), closed())
        for worker in self._workers:
            worker.join()

    def _prompt(self, request: GenerationRequest) -> Prompt:
        ids = tuple(self._tokenizer.encode_prompt(request.prompt))
        room = self.context_length - len(ids)
        if room < 1:
            raise UsageError(
                f"the prompt has {len(ids)} tokens; the model's context is {self.context_length}",
                remedy="shorten the prompt",
            )
        return Prompt(
            ids=ids,
            max_tokens=min(request.max_tokens, room),
            temperature=request.temperature,
            top_p=request.top_p,
            seed=random.SystemRandom().getrandbits(63) if request.seed is None else request.seed,
            stop=request.stop,
        )

    def _work(self, worker: int) -> None:
        torch.set_num_threads(self._crew.threads_each)
        batch: Batch | None = None
        while first := self._line.first(worker):
            try:
                network = self._networks.network(first.adapter)
            except HarnessError as error:
                _fail(self._line.withdraw(first.adapter), error)
                continue
            except Exception as error:  # noqa: BLE001 - the edge of these requests, as in _serve
                _fail(self._line.withdraw(first.adapter), _broken(error))
                continue
            if batch is None or batch.network is not network:
                # A batch used again still knows how its prompts begin.
                batch = Batch(network, self._tokenizer)
            if not self._serve(worker, batch, first.adapter):
                batch = None

    def _serve(self, worker: int, batch: Batch, adapter: Path | None) -> bool:
        """Answer what is waiting for a model until nothing is; False when the batch broke."""
        rows: dict[int, Waiting] = {}
        numbers = count()
        try:
            with torch.inference_mode():
                while not self._line.is_closed:
                    taken = self._line.take(worker, adapter, at_work=bool(rows), fits=batch.fits)
                    admitted = {next(numbers): waiting for waiting in taken}
                    rows |= admitted
                    if not rows:
                        return True
                    batch.admit({key: waiting.prompt for key, waiting in admitted.items()})
                    for key, answer in batch.step().items():
                        _answer(rows.pop(key), answer)
        except Exception as error:  # noqa: BLE001 - these requests' edge: whatever it was, they are told, others go on
            for waiting in rows.values():
                waiting.future.set_exception(_broken(error))
            return False
        for waiting in rows.values():
            waiting.future.set_exception(closed())
        return True


def _answer(waiting: Waiting, answer: Answer) -> None:
    waiting.future.set_result(
        GenerationResult(
            text=answer.text,
            finish_reason="stop" if answer.complete else "length",
            prompt_tokens=len(waiting.prompt.ids),
            completion_tokens=answer.tokens,
        )
    )


def _fail(requests: Iterable[Waiting], error: HarnessError) -> None:
    for waiting in requests:
        if waiting.future.set_running_or_notify_cancel():
            waiting.future.set_exception(error)


def _broken(error: Exception) -> EndpointError:
    return EndpointError(f"the local model failed: {type(error).__name__}: {error}", remedy="ask again")
