"""What an ended batch brought, line by line: answers into the cache, and what is to become of the requests without one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.evals.batch_ledger import BatchLedger, BatchRecord
from harness.models import AnswerCache
from harness.models.batch_client import BatchClient, BatchState
from harness.models.batch_lines import LineAnswer, read_line
from harness.records import Failure, Usage, record

MISSING = "missing"
"""What is said of a request that a batch has no line for."""


@record
class Flight:
    """A batch under way, with the keys of the answers it will bring and the client that watches it."""

    entry: BatchRecord
    keys: frozenset[str]
    client: BatchClient

    @property
    def id(self) -> str:
        """The provider's id."""
        assert self.entry.batch is not None, "only what was sent is under way"
        return self.entry.batch

    @property
    def group(self) -> tuple[str, str]:
        """Endpoint and model: what a provider's queue is counted by."""
        return self.entry.endpoint, self.entry.model


@dataclass
class Harvest:
    """The keys of a batch by what became of them.

    `answered` has what each answer took. `unasked` may be sent again, `refusing` too, without log-probabilities; `failed` says of
    the others why, by kind.
    """

    answered: dict[str, Usage] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


async def collect(
    flight: Flight, state: BatchState, *, ledger: BatchLedger, cache: AnswerCache
) -> Harvest | None:
    """Store what an ended batch answered; None where its output is not to be had any more.

    Lines come in any order. Of two about one request the first answer counts; what is about none of ours is passed over.

    Raises:
        EndpointError: The output cannot be fetched.
        StorageError: It cannot be kept.
    """
    harvest = Harvest()
    place = ledger.requests_of(flight.entry).with_suffix(".answers")
    try:
        for file in (state.output_file, state.error_file):
            if file is None:
                continue
            if not await flight.client.fetch(file, to=place):
                return None
            for line in _lines(place, flight):
                if line.key in flight.keys and line.key not in harvest.answered:
                    _take(line, harvest, flight=flight, cache=cache)
    finally:
        place.unlink(missing_ok=True)
    told = harvest.answered.keys() | harvest.unasked | harvest.refusing | harvest.failed.keys()
    if state.status == "completed":
        harvest.failed |= dict.fromkeys(flight.keys - told, MISSING)
    else:  # it ended before their turn
        harvest.unasked |= flight.keys - told
    return harvest


def _lines(path: Path, flight: Flight) -> Iterator[LineAnswer]:
    with path.open("rb") as file:
        for line in file:
            found = read_line(
                line, endpoint=flight.client.endpoint, model=flight.entry.model, batch=flight.id
            )
            if found is not None:
                yield found


def _take(line: LineAnswer, harvest: Harvest, *, flight: Flight, cache: AnswerCache) -> None:
    if isinstance(line.outcome, Failure):
        if line.is_unasked:
            harvest.unasked.add(line.key)
        elif line.refuses_logprobs:
            harvest.refusing.add(line.key)
        else:
            harvest.failed[line.key] = line.outcome.kind
        return
    cache.store(line.key, line.outcome, endpoint=flight.entry.endpoint, model=flight.entry.model)
    harvest.answered[line.key] = line.outcome.usage
    for others in (harvest.unasked, harvest.refusing):
        others.discard(line.key)
    harvest.failed.pop(line.key, None)
