"""A run's requests sent as batches: gathered, sent, waited for and collected, until all have an answer or none comes that way.

Why before the first case is judged: docs/decisions/2026-11-23-batches-before-the-cases.md.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from harness.errors import EndpointError
from harness.evals.batch_collecting import Flight, Harvest, collect
from harness.evals.batch_ledger import BatchLedger, BatchRecord
from harness.models import AnswerCache
from harness.models.batch_client import BatchClient, BatchState, LostReplyError, UnreachedError
from harness.models.batch_lines import MOST_BYTES, MOST_LINES, Unasked, in_files
from harness.records import Completion, Endpoint, Usage, record

FIRST_LOOK_S, LONGEST_LOOK_S = 0.2, 30.0
"""How long after one look at the batches the next one comes: half as long again each time."""
SHORT_PAUSE_S = 1.0
"""Before another command's lock, or a provider's list, is looked at again."""
PATIENCE_S = 600.0
"""How long an endpoint may be out of reach while its batches are waited for."""
MOST_SENDS = 3
"""How often a request is sent whose turn never came; then it is asked by itself."""
LOOKS = 4
"""How often a batch is looked for whose id never came: providers list a batch as soon as it exists."""
QUEUE_IS_FULL = "token_limit_exceeded"
"""OpenAI's code where more tokens wait in its queue than it allows the model."""
_FAULTS_TOLD = 3

Group = tuple[str, str]
"""Endpoint and model."""


@record
class BatchTerms:
    """How batches are sent.

    Attributes:
        ledger: Where they are written down.
        cache: Where their answers go.
        run: The run that they are for.
        say: Told what stays on the terminal.
        progress: Told how far they are.
        allow: Called with the requests that are about to be sent; it raises where they may cost too much.
        paid: Told what the answers of a model took, by their keys; the model by its endpoint and its name.
        sleep: Waits so many seconds.
        most_lines: Requests a file.
        most_bytes: Bytes a file.
    """

    ledger: BatchLedger
    cache: AnswerCache
    run: str
    say: Callable[[str], None]
    progress: Callable[[str], None]
    allow: Callable[[Sequence[Unasked]], None]
    paid: Callable[[Group, Mapping[str, Usage]], None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    most_lines: int = MOST_LINES
    most_bytes: int = MOST_BYTES


@dataclass
class Sent:
    """What has become of it: the providers' ids of the `batches` of the run, and how many requests are `left`, by the reason."""

    batches: set[str] = field(default_factory=set)
    left: Counter[str] = field(default_factory=Counter)


async def send_batches(
    find: Callable[[], Awaitable[Mapping[str, Unasked]]], terms: BatchTerms, *, sent: Sent
) -> None:
    """Have all answers that `find` misses answered by batches, also what it misses once it has those.

    Batches that earlier sessions sent are waited for and collected where they bring what is missing.

    Args:
        find: The requests that have no answer now, by the keys of their answers.
        terms: How they are sent.
        sent: Filled while it goes on.

    Raises:
        EndpointError: There is no Batch API, a batch was refused or cancelled. What was answered is kept.
        StorageError: What must be written down cannot be.
    """
    _close_books(terms)
    async with contextlib.AsyncExitStack() as stack:
        dispatch = _Dispatch(terms, sent, stack=stack)
        while wanted := dispatch.unsettled(await find()):
            await dispatch.answer(wanted)


def _close_books(terms: BatchTerms) -> None:
    """Note as collected what has brought all its answers: whoever collected it was killed before he could."""
    for entry in terms.ledger.records():
        if entry.step != "sent":
            continue
        answers = (terms.cache.find(key, Completion) for key in terms.ledger.keys(entry))
        batches = {answer.batch if answer is not None else None for answer in answers}
        if batches == {entry.batch}:
            terms.ledger.note(replace(entry, step="collected"))


class _Dispatch:
    """The batches of one session."""

    def __init__(self, terms: BatchTerms, sent: Sent, *, stack: contextlib.AsyncExitStack) -> None:
        self._terms = terms
        self._sent = sent
        self._stack = stack
        self._opened: dict[Endpoint, BatchClient] = {}
        self._clients: dict[Group, BatchClient] = {}
        self._sends: Counter[str] = Counter()
        self._wanted: frozenset[str] = frozenset()
        self._left: set[str] = set()
        self._without_logprobs: set[Group] = set()
        self._flights: list[Flight] = []
        self._told = ""
        # Where the provider's queue was full, one batch at a time, of at most so many requests.
        self._most_at_once: dict[Group, int] = {}

    def unsettled(self, wanted: Mapping[str, Unasked]) -> dict[str, Unasked]:
        """The requests that a batch may still answer."""
        return {key: request for key, request in wanted.items() if key not in self._left}

    async def answer(self, wanted: dict[str, Unasked]) -> None:
        """Send what is not under way, and wait until everything has ended."""
        self._wanted = frozenset(wanted)
        for request in wanted.values():
            await self._connect(request)
        while True:
            with self._terms.ledger.sending() as is_alone:
                if is_alone:
                    await self._begin(wanted)
                    break
            self._terms.progress("another command of this project is sending batches: waiting for it")
            await self._terms.sleep(SHORT_PAUSE_S)
        await self._wait()

    async def _begin(self, wanted: Mapping[str, Unasked]) -> None:
        """Join what is under way, and send the rest."""
        await self._join(wanted)
        covered = frozenset().union(*(flight.keys for flight in self._flights))
        missing = [request for key, request in wanted.items() if key not in covered]
        if missing:
            self._terms.allow(missing)
        for group in _groups(missing):
            await self._send(group)

    async def _connect(self, request: Unasked) -> None:
        """A client for the request's model: two tables may give one URL with different keys."""
        endpoint = request.endpoint
        if (endpoint.label, request.model) in self._clients:
            return
        if endpoint not in self._opened:
            client = BatchClient(endpoint)
            self._stack.push_async_callback(client.close)
            await client.check()
            self._opened[endpoint] = client
        self._clients[endpoint.label, request.model] = self._opened[endpoint]

    # --- joining what is under way ---------------------------------------------------------------------

    async def _join(self, wanted: Mapping[str, Unasked]) -> None:
        """Take up the batches of earlier sessions that bring something that is wanted."""
        for entry in self._terms.ledger.records():
            client = self._clients.get((entry.endpoint, entry.model))
            sent = await self._resumed(entry, client) if client is not None else None
            if client is None or sent is None:
                continue
            keys = self._terms.ledger.keys(sent)
            if keys & wanted.keys():
                self._terms.say(f"going on with {sent.batch} of {sent.at}: {sent.requests:,} requests")
                self._flights.append(Flight(entry=sent, keys=keys, client=client))

    async def _resumed(self, entry: BatchRecord, client: BatchClient) -> BatchRecord | None:
        """A batch as the ledger has it, if it is under way: whoever was about to send another is gone."""
        if entry.step == "written":
            self._terms.ledger.forget(entry)
        if entry.step == "asked" and (found := await self._found(entry, client)) is not None:
            return self._note_sent(entry, found)
        return entry if entry.step == "sent" else None

    async def _found(self, entry: BatchRecord, client: BatchClient) -> BatchState | None:
        """The batch whose creation was asked for and whose id never came, if there is one."""
        for look in range(LOOKS):
            if (state := await client.find(entry.name)) is not None:
                return state
            await self._terms.sleep(look * SHORT_PAUSE_S)
        self._terms.ledger.forget(entry)
        return None

    def _note_sent(self, entry: BatchRecord, state: BatchState) -> BatchRecord:
        return self._terms.ledger.note(replace(entry, step="sent", batch=state.id))

    # --- sending -----------------------------------------------------------------------------------------

    async def _send(self, requests: Sequence[Unasked]) -> None:
        """Requests of one endpoint and model, as few batches as its limits allow."""
        label, model = requests[0].endpoint.label, requests[0].model
        most = self._most_at_once.get((label, model))
        files = in_files(
            self._lines(requests),
            most_lines=min(self._terms.most_lines, most or self._terms.most_lines),
            most_bytes=self._terms.most_bytes,
        )
        for file in files if most is None else islice(files, 1):
            entry = self._terms.ledger.write(
                [line for _, line in file], endpoint=label, model=model, run=self._terms.run
            )
            client = self._clients[label, model]
            entry = await self._created(entry, client)
            keys = frozenset(key for key, _ in file)
            self._sends.update(keys)
            self._flights.append(Flight(entry=entry, keys=keys, client=client))
            self._terms.say(f"{entry.requests:,} requests to {model} at {label} are in {entry.batch}")

    def _lines(self, requests: Sequence[Unasked]) -> Iterator[tuple[str, bytes]]:
        """Each as a line; what no file can hold is asked by itself, which says what is wrong with it."""
        has_logprobs = (requests[0].endpoint.label, requests[0].model) not in self._without_logprobs
        for request in requests:
            try:
                line = request.line(has_logprobs=has_logprobs)
            except (UnicodeEncodeError, ValueError):
                self._leave({request.key: "not valid Unicode"})
                continue
            if len(line) > self._terms.most_bytes:
                self._leave({request.key: "too long for a batch"})
            else:
                yield request.key, line

    async def _created(self, entry: BatchRecord, client: BatchClient) -> BatchRecord:
        file = await client.upload(self._terms.ledger.requests_of(entry))
        entry = self._terms.ledger.note(replace(entry, step="asked", file=file))
        last: LostReplyError | None = None
        for attempt in range(MOST_SENDS):
            try:
                return self._note_sent(entry, await client.create(file, name=entry.name, run=entry.run))
            except LostReplyError as error:
                last = error
                await self._terms.sleep(SHORT_PAUSE_S * 5.0**attempt)
                if (state := await client.find(entry.name)) is not None:
                    return self._note_sent(entry, state)
            except EndpointError:
                self._terms.ledger.note(replace(entry, step="failed"))
                raise
        raise EndpointError(
            f"{entry.endpoint}: no answer to the creation of a batch: {last}",
            remedy="run again to go on: if there is a batch after all, it is found",
        )

    # --- waiting -----------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        pause_s, unreached_s, started = FIRST_LOOK_S, 0.0, list(self._flights)
        while self._flights:
            try:
                states = [(flight, await flight.client.state(flight.id)) for flight in self._flights]
            except UnreachedError as error:
                if unreached_s >= PATIENCE_S:
                    raise
                self._tell(f"{error}; looking again")
                unreached_s += pause_s
                pause_s = await self._pause(pause_s)
                continue
            unreached_s = 0.0
            self._tell(_progress(states, started))
            over = [(flight, state) for flight, state in states if state is None or state.has_ended]
            for flight, state in over:
                self._flights.remove(flight)
                await self._end(flight, state)
            if self._flights and not over:
                pause_s = await self._pause(pause_s)

    async def _pause(self, seconds: float) -> float:
        """Wait; how long to wait the next time."""
        await self._terms.sleep(seconds)
        return min(seconds * 1.5, LONGEST_LOOK_S)

    def _tell(self, text: str) -> None:
        """Say how far the batches are, where that has changed: a log is read to its end."""
        if text != self._told:
            self._terms.progress(text)
            self._told = text

    async def _end(self, flight: Flight, state: BatchState | None) -> None:
        harvest: Harvest | None = None
        if state is not None and state.status == "failed":
            self._refused(flight, state)
            return
        if state is not None:
            harvest = await collect(flight, state, ledger=self._terms.ledger, cache=self._terms.cache)
        if harvest is None:
            self._terms.ledger.note(replace(flight.entry, step="lost"))
            self._terms.say(
                f"{flight.entry.endpoint} does not have {flight.id} any more: its requests are sent again"
            )
            self._again(flight.keys)
            return
        self._book(flight)
        self._settle(flight, harvest)
        if state is not None and state.status == "cancelled":
            raise EndpointError(
                f"{flight.id} at {flight.entry.endpoint} was cancelled; the {len(harvest.answered):,} answers it had are kept",
                remedy="the same command sends the rest anew",
            )

    def _book(self, flight: Flight) -> None:
        """Note the batch as collected for this run, unless another command was there first: then it has paid."""
        entry = self._terms.ledger.current(flight.entry)
        if entry.step != "collected":
            entry = self._terms.ledger.note(replace(entry, step="collected", run=self._terms.run))
        if entry.run == self._terms.run:
            self._sent.batches.add(flight.id)

    def _settle(self, flight: Flight, harvest: Harvest) -> None:
        self._terms.paid(flight.group, harvest.answered)
        if harvest.refusing:
            self._without_logprobs.add(flight.group)
        self._again(harvest.unasked | harvest.refusing)
        self._leave(harvest.failed)
        if harvest.unasked:
            self._terms.say(
                f"{flight.id} ended with {len(harvest.unasked):,} of {len(flight.keys):,} requests not asked"
            )

    def _again(self, keys: Iterable[str]) -> None:
        """Leave those alone that were sent often enough; the others are found missing, and sent."""
        self._leave({key: "never answered" for key in keys if self._sends[key] >= MOST_SENDS})

    def _leave(self, reasons: Mapping[str, str]) -> None:
        """Send some requests no more. A batch that another command sent may have more than this one wants."""
        own = {key: reason for key, reason in reasons.items() if key in self._wanted}
        self._left |= own.keys()
        self._sent.left.update(own.values())

    # --- refusals ----------------------------------------------------------------------------------------

    def _refused(self, flight: Flight, state: BatchState) -> None:
        """A batch that never began: its requests wait where the queue was full, else somebody must look at it.

        Raises:
            EndpointError: What the provider finds wrong with it.
        """
        self._terms.ledger.note(replace(flight.entry, step="failed"))
        told = [
            f"line {fault.line}: {fault.message}" if fault.line else fault.message for fault in state.faults
        ]
        if any(fault.code == QUEUE_IS_FULL for fault in state.faults) and flight.entry.requests > 1:
            self._narrow(flight)
            return
        more = f", and {len(told) - _FAULTS_TOLD} more" if len(told) > _FAULTS_TOLD else ""
        raise EndpointError(
            f"{flight.id} at {flight.entry.endpoint} was refused: "
            f"{'; '.join(told[:_FAULTS_TOLD]) or 'no reason is given'}{more}",
            remedy="mend that, or run without --batch",
        )

    def _narrow(self, flight: Flight) -> None:
        """What found the queue full is found missing again, and sent in batches that follow each other, half as large if need be."""
        is_alone = all(other.group != flight.group for other in self._flights)
        most = flight.entry.requests // 2 if is_alone else flight.entry.requests
        self._most_at_once[flight.group] = most
        self._sends.subtract(flight.keys)
        self._terms.say(
            f"the queue of {flight.entry.model} at {flight.entry.endpoint} is full: on with batches of {most:,} at most, one by one"
        )


def _groups(requests: Iterable[Unasked]) -> list[list[Unasked]]:
    """By endpoint and model: providers demand one model a batch."""
    found: dict[Group, list[Unasked]] = defaultdict(list)
    for request in requests:
        found[request.endpoint.label, request.model].append(request)
    return list(found.values())


def _progress(states: Sequence[tuple[Flight, BatchState | None]], started: Sequence[Flight]) -> str:
    """`1,204 of 20,000 requests answered by 2 batches: 1 ended, 1 in progress`."""
    left = sum(flight.entry.requests for flight, _ in states)
    total = sum(flight.entry.requests for flight in started)
    done = total - left + sum(state.done for _, state in states if state is not None)
    words = Counter(
        state.status.replace("_", " ") for _, state in states if state is not None and not state.has_ended
    )
    words["ended"] = len(started) - words.total()
    told = ", ".join(f"{number} {status}" for status, number in sorted(words.items()) if number)
    batches = "1 batch" if len(started) == 1 else f"{len(started)} batches"
    return f"{done:,} of {total:,} requests answered by {batches}: {told}"
