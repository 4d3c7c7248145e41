"""The life of a batch: its input checked, its requests answered side by side, what was answered made files.

Interactive requests come first: the more of them there are, the fewer of a batch's are answered at the same time.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from harness.localserver.jobs.batch_input import (
    BatchRequest,
    check_input,
    missing_file_fault,
    read_requests,
    unknown_model_fault,
)
from harness.localserver.jobs.faults import reason_of
from harness.localserver.state.batches import ENDED, OK, BatchFault, BatchStatus, BatchStore, StoredBatch
from harness.localserver.state.identifiers import new_id, now
from harness.localserver.state.store import Store

# Answers written for batches at the same time. The engine writes 64 together at most: with these, half of its places are
# free for whoever comes.
MOST_AT_ONCE = 32
# Beside however many interactive requests, a batch goes on with this many.
FEWEST_AT_ONCE = 2

# What is written for a request that was not asked any more, by the status the batch ends with.
_UNASKED: Mapping[BatchStatus, tuple[str, str]] = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer to a request: what the HTTP route would have said."""

    status: int
    body: Mapping[str, object]


class Asker(Protocol):
    """The routes, without HTTP."""

    @property
    def in_flight(self) -> int:
        """Answers being written now, those for batches among them."""

    def model_of(self, name: str) -> str | None:
        """The full name of a model, None when there is none of this name."""

    def ask(self, endpoint: str, body: Mapping[str, object]) -> Awaitable[Reply]:
        """The answer to a request; whatever goes wrong is an answer too."""


class BatchRunner:
    """Brings batches from `validating` to their end. Lives in the event loop of the server."""

    def __init__(
        self, store: Store, asker: Asker, *, batches: BatchStore, clock: Callable[[], int] = now
    ) -> None:
        self.batches = batches
        self._store = store
        self._asker = asker
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._asked = 0

    def start(self) -> None:
        """Take up the batches an earlier server left unfinished, oldest first."""
        for batch in self.batches.batches():
            if batch.status in ENDED:
                self.batches.drop_work(batch)  # a killed server may not have come to it
            else:
                self._start(batch)

    async def stop(self) -> None:
        """Ask nothing more; unfinished batches stay on disk, for the next server."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def submit(self, batch: StoredBatch) -> StoredBatch:
        """Store a new batch, with the input as it is now, and begin with it."""
        file = self._store.find_file(batch.input_file_id)
        batch = self.batches.create(batch, self._store.content_of(file) if file else None)
        self._start(batch)
        return batch

    def cancel(self, batch: StoredBatch) -> StoredBatch:
        """Ask nothing more for a batch that has not ended; what was answered stays."""
        batch = self.batches.keep(batch.at("cancelling"))
        at_work = self._tasks.get(batch.id)
        if at_work:
            at_work.cancel()
        self._start(batch, after=at_work)
        return batch

    # --- from state to state ---

    def _start(self, batch: StoredBatch, *, after: asyncio.Task[None] | None = None) -> None:
        task = asyncio.get_running_loop().create_task(self._run(batch.id, after))
        self._tasks[batch.id] = task
        task.add_done_callback(lambda _: self._ended(batch.id, task))

    def _ended(self, batch_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(batch_id) is task:
            del self._tasks[batch_id]

    async def _run(self, batch_id: str, after: asyncio.Task[None] | None) -> None:
        if after:
            await asyncio.wait((after,))
        try:
            if self._now(batch_id).status == "validating":
                await self._validate(batch_id)
            if self._now(batch_id).status == "in_progress":
                await self._answer(batch_id)
            if self._now(batch_id).status in {"finalizing", "cancelling"}:
                await self._conclude(batch_id)
        except Exception as error:  # noqa: BLE001 - the edge of a batch: the server and other batches live on
            _log.exception("batch %s", batch_id)
            self._fail(
                batch_id,
                BatchFault(code="server_error", message=f"The batch could not go on: {reason_of(error)}"),
            )

    def _now(self, batch_id: str) -> StoredBatch:
        batch = self.batches.find(batch_id)
        assert batch is not None  # batches are never deleted
        return batch

    async def _validate(self, batch_id: str) -> None:
        batch = self._now(batch_id)
        path = self.batches.input_of(batch)
        if not path.exists():
            self._fail(batch_id, missing_file_fault(batch.input_file_id))
            return
        checked = await asyncio.to_thread(check_input, path, batch.endpoint)
        faults = list(checked.faults)
        model = self._asker.model_of(checked.model) if checked.model else None
        if checked.model and model is None:
            faults.append(unknown_model_fault(checked.model, checked.model_line))
        if faults:
            self._fail(batch_id, *sorted(faults, key=lambda fault: fault.line or 0))
        else:
            self.batches.keep(replace(batch, total=checked.total, model=model).at("in_progress"))

    def _fail(self, batch_id: str, *faults: BatchFault) -> None:
        """End a batch that cannot go on; what was answered before is kept where that is still possible."""
        batch = replace(self._now(batch_id), faults=faults).at("failed")
        try:
            self._close(batch)
        except OSError:  # a full disk, most likely what the batch failed of
            _log.exception("batch %s", batch_id)
            self.batches.show(batch)

    # --- asking ---

    async def _answer(self, batch_id: str) -> None:
        """Ask whatever has no answer yet, until all have one or the time is over."""
        batch = self._now(batch_id)
        tally = await asyncio.to_thread(self.batches.tally, batch)
        self.batches.show(tally.of(batch))
        requests = read_requests(self.batches.input_of(batch))
        await self._ask_all(
            batch, (request for request in requests if request.custom_id not in tally.custom_ids)
        )
        self.batches.keep(self._now(batch_id).at("finalizing"))

    async def _ask_all(self, batch: StoredBatch, requests: Iterator[BatchRequest]) -> None:
        at_work: dict[asyncio.Task[None], int] = {}
        answered = 0
        upcoming = await asyncio.to_thread(next, requests, None)
        try:
            while (upcoming or at_work) and (left_s := batch.expires_at - self._clock()) > 0:
                while upcoming and self._has_place(upcoming, taken=sum(at_work.values()), answered=answered):
                    at_work[asyncio.create_task(self._ask(batch, upcoming))] = upcoming.answers
                    upcoming = await asyncio.to_thread(next, requests, None)
                done, _ = await asyncio.wait(at_work, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    answered += at_work.pop(task)
                    task.result()
        finally:
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    def _has_place(self, request: BatchRequest, *, taken: int, answered: int) -> bool:
        """Whether a batch may ask for more answers now, beside those it waits for."""
        interactive = max(0, self._asker.in_flight - self._asked)
        share = max(FEWEST_AT_ONCE, (MOST_AT_ONCE - interactive) // max(1, len(self._tasks)))
        # A batch begins with few and doubles: the engine reads all prompts that come at once before it goes on with anybody.
        return not taken or taken + request.answers <= min(share, FEWEST_AT_ONCE + answered)

    async def _ask(self, batch: StoredBatch, request: BatchRequest) -> None:
        self._asked += request.answers
        try:
            reply = await self._asker.ask(batch.endpoint, request.body)
        finally:
            self._asked -= request.answers
        response = {"status_code": reply.status, "request_id": secrets.token_hex(16), "body": reply.body}
        self.batches.add_line(batch, _line(request, response=response), failed=reply.status != OK)

    # --- ending ---

    async def _conclude(self, batch_id: str) -> None:
        batch = self._now(batch_id)
        tally = await asyncio.to_thread(self.batches.tally, batch)
        batch = tally.of(batch)
        if batch.status == "cancelling":
            status: BatchStatus = "cancelled"
        elif batch.completed + batch.failed < batch.total:
            status = "expired"
        else:
            status = "completed"
        if batch.total and status in _UNASKED:
            await asyncio.to_thread(self._tell_unasked, batch.at(status), tally.custom_ids)
        self._close(batch.at(status))

    def _tell_unasked(self, batch: StoredBatch, asked: set[str]) -> None:
        code, message = _UNASKED[batch.status]
        self.batches.add_unasked(
            batch,
            (
                _line(request, error={"code": code, "message": message})
                for request in read_requests(self.batches.input_of(batch))
                if request.custom_id not in asked
            ),
        )

    def _close(self, batch: StoredBatch) -> None:
        """Make files of what was written, and store the batch in its last state."""
        letters = batch.id.removeprefix("batch_")
        output = self._file_of(batch, "output", file_id=f"file-{letters[:22]}")
        errors = self._file_of(batch, "error", file_id=f"file-{letters[-22:]}")
        self.batches.keep(replace(batch, output_file_id=output, error_file_id=errors))
        self.batches.drop_work(batch)

    def _file_of(self, batch: StoredBatch, kind: Literal["output", "error"], *, file_id: str) -> str | None:
        path = self.batches.output_of(batch) if kind == "output" else self.batches.errors_of(batch)
        if not path.exists() or not path.stat().st_size:
            return None
        return self._store.keep_output(
            path, file_id=file_id, filename=f"{batch.id}_{kind}.jsonl", life_s=batch.output_life_s
        ).id


def _line(
    request: BatchRequest,
    *,
    response: Mapping[str, object] | None = None,
    error: Mapping[str, object] | None = None,
) -> Mapping[str, object]:
    """A line of the output or of the errors."""
    return {
        "id": new_id("batch_req_"),
        "custom_id": request.custom_id,
        "response": response,
        "error": error,
    }
