"""How are requests answered? In batches of whatever is waiting for the same model, on threads of the engine's own.

An answer is the same whether its request was alone or among sixty others: every matrix product keeps to sizes
whose result for a row does not depend on the other rows, each row attends to its own tokens at places
that do not depend on the others', and sampling draws from a generator of the request's own.
"""

import logging
import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from weakref import WeakSet

import torch

from harness.errors import EndpointError, HarnessError, UsageError
from harness.localserver.generation.batch import Answer, Batch, Prompt
from harness.localserver.generation.constraints import Grammars
from harness.localserver.generation.decoder import Backend, Decoder, Ids
from harness.localserver.generation.requests import (
    Conversation,
    GenerationRequest,
    GenerationResult,
    Piece,
)
from harness.localserver.generation.sampling import Manner
from harness.localserver.generation.waiting import Line, Waiting, closed

_LOGGER = logging.getLogger(__name__)


class Engine:
    """Answers requests with a model and its fine-tunes, in batches, on as many threads as suit the model."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._grammars = Grammars(backend.tokens)
        self._line = Line(workers=backend.workers)
        self._abandoned: WeakSet[Future[GenerationResult]] = WeakSet()
        self._workers = [
            threading.Thread(target=self._work, args=(number,), name=f"generation-{number}", daemon=True)
            for number in range(backend.workers)
        ]
        for worker in self._workers:
            worker.start()

    @property
    def context_length(self) -> int:
        """Tokens a prompt and its answer may have together."""
        return self._backend.context

    def count_prompt_tokens(self, prompt: Conversation | str) -> int:
        """Tokens the model reads before it answers.

        Raises:
            UsageError: A message holds something other than text.
        """
        return len(self._ids(prompt))

    def submit(
        self, request: GenerationRequest, *, on_piece: Callable[[Piece], None] | None = None
    ) -> "Future[GenerationResult]":
        """Queue a request; if its model is at fault, the futures of that model's requests fail and no others.

        Raises:
            UsageError: The messages hold something other than text or leave no room for an answer, or the schema cannot be followed.
            EndpointError: The engine is closed.
        """
        future: Future[GenerationResult] = Future()
        prompt = self._prompt(request, self._guarded(on_piece, future) if on_piece else None)
        self._line.join(Waiting(adapter=request.adapter, prompt=prompt, future=future))
        return future

    def abandon(self, future: "Future[GenerationResult]") -> None:
        """Nobody waits for this answer any more: cancelled if it was not begun, else failed after the current step."""
        if not future.cancel():
            self._abandoned.add(future)

    def close(self) -> None:
        """End the threads after their current step; requests without an answer fail."""
        _fail(self._line.close(), closed())
        for worker in self._workers:
            worker.join()

    def _guarded(
        self, on_piece: Callable[[Piece], None], future: "Future[GenerationResult]"
    ) -> Callable[[Piece], None]:
        def give(piece: Piece) -> None:
            try:
                on_piece(piece)
            except Exception:  # a listener's fault must not end the answers of others
                _LOGGER.exception("an answer's listener failed; the answer is abandoned")
                self._abandoned.add(future)

        return give

    def _ids(self, prompt: Conversation | str) -> Ids:
        tokens = self._backend.tokens
        if isinstance(prompt, str):
            # An empty text is continued like the beginning of one: after the mark between two texts.
            return tuple(tokens.encode_opening(prompt)) or (tokens.end_id,)
        return tuple(tokens.encode_prompt(prompt))

    def _prompt(self, request: GenerationRequest, on_piece: Callable[[Piece], None] | None) -> Prompt:
        ids = self._ids(request.prompt)
        room = self.context_length - len(ids)
        if room < 1:
            raise UsageError(
                f"the prompt has {len(ids)} tokens; the model's context is {self.context_length}",
                remedy="shorten the prompt",
            )
        size = self._backend.tokens.size
        if unknown := [token for token in request.logit_bias if not 0 <= token < size]:
            raise UsageError(
                f"logit_bias names token {unknown[0]}; the model's tokens are 0 to {size - 1}",
                remedy="use the model's own token ids",
            )
        return Prompt(
            ids=ids,
            max_tokens=min(request.max_tokens, room),
            manner=Manner(
                temperature=request.temperature,
                top_p=request.top_p,
                seed=random.SystemRandom().getrandbits(63) if request.seed is None else request.seed,
                frequency_penalty=request.frequency_penalty,
                presence_penalty=request.presence_penalty,
                logit_bias=request.logit_bias,
            ),
            stop=request.stop,
            top_logprobs=request.top_logprobs,
            constraint=None if request.schema is None else self._grammars.constraint(request.schema),
            on_piece=on_piece,
            opening=b"" if isinstance(request.prompt, str) else self._backend.tokens.answer_opening,
        )

    def _work(self, worker: int) -> None:
        torch.set_num_threads(self._backend.threads_each)
        while first := self._line.first(worker, rest=self._backend.rest):
            try:
                # Kept in no variable: what a decoder holds is to be free when its last answer is given.
                self._serve(worker, self._backend.decoder(first.adapter), first.adapter)
            except HarnessError as error:
                _fail(self._line.withdraw(first.adapter), error)
            except Exception as error:  # noqa: BLE001 - the edge of these requests, as in _serve
                _fail(self._line.withdraw(first.adapter), _broken(error))

    def _serve(self, worker: int, decoder: Decoder, adapter: Path | None) -> None:
        """Answer what is waiting for a model until nothing is."""
        rows: dict[int, Waiting] = {}
        numbers = count()
        batch = Batch(decoder, self._backend.tokens)
        try:
            with torch.inference_mode():
                while not self._line.is_closed:
                    taken = self._line.take(worker, adapter, at_work=bool(rows), fits=batch.fits)
                    admitted = {next(numbers): waiting for waiting in taken}
                    rows |= admitted
                    batch.admit({key: waiting.prompt for key, waiting in admitted.items()})
                    for key in [key for key, waiting in rows.items() if waiting.future in self._abandoned]:
                        batch.abandon(key)
                        rows.pop(key).future.set_exception(_unwanted())
                    if not len(batch):
                        return
                    for key, end in batch.step().items():
                        _settle(rows.pop(key), end)
        except Exception as error:  # noqa: BLE001 - these requests' edge: whatever it was, they are told, others go on
            for waiting in rows.values():
                waiting.future.set_exception(_broken(error))
            return
        for waiting in rows.values():
            waiting.future.set_exception(closed())


def _settle(waiting: Waiting, end: Answer | HarnessError) -> None:
    if isinstance(end, HarnessError):
        waiting.future.set_exception(end)
        return
    waiting.future.set_result(
        GenerationResult(
            text=end.text,
            finish_reason="stop" if end.complete else "length",
            prompt_tokens=len(waiting.prompt.ids),
            completion_tokens=end.tokens,
            logprobs=end.logprobs,
            cached_tokens=end.cached_tokens,
        )
    )


def _fail(requests: Iterable[Waiting], error: HarnessError) -> None:
    for waiting in requests:
        if waiting.future.set_running_or_notify_cancel():
            waiting.future.set_exception(error)


def _broken(error: Exception) -> EndpointError:
    return EndpointError(f"the local model failed: {type(error).__name__}: {error}", remedy="ask again")


def _unwanted() -> EndpointError:
    return EndpointError("the request was abandoned", remedy="ask again")
