"""Batches on disk: each in a folder of its own, with what was answered in the form in which callers get it.

    <root>/batches/<id>/record.json    the batch, replaced in one step at every change of its status
    <root>/batches/<id>/input.jsonl    its requests, kept although the uploaded file may be deleted
    <root>/batches/<id>/output.jsonl   what was answered, appended line by line
    <root>/batches/<id>/errors.jsonl   what could not be, likewise

A line that is there is answered: a server that takes a batch up again asks for the others only. The three files go when the
batch has ended and its output is among the server's files.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from harness.errors import StorageError
from harness.localserver.state.identifiers import now
from harness.localserver.state.store import share_file
from harness.serial import ParseError, from_json, to_json, write_atomic

BatchStatus: TypeAlias = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]

# The status code of a request that was answered.
OK = 200

ENDED: frozenset[BatchStatus] = frozenset({"failed", "completed", "expired", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class BatchFault:
    """What is wrong with a batch, at a line of its input if it is one line's fault."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class TokenCounts:
    """Tokens of all answers of a batch."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def plus(self, other: "TokenCounts") -> "TokenCounts":
        """Both together."""
        return TokenCounts(
            prompt=self.prompt + other.prompt,
            cached=self.cached + other.cached,
            completion=self.completion + other.completion,
        )


@dataclass(frozen=True, kw_only=True)
class StoredBatch:
    """A batch of requests.

    Attributes:
        number: Its place in the order of creation.
        output_life_s: How long its output files are kept, None for good.
        reached: When each status was reached, Unix time.
        total: Requests in the input, 0 until it has been checked.
        completed: Requests answered; those answered with an error are `failed`. Of a batch at work they are behind what its
            files hold after a restart, until it is taken up.
    """

    id: str
    number: int
    created_at: int
    endpoint: str
    input_file_id: str
    expires_at: int
    metadata: Mapping[str, str] | None = None
    output_life_s: int | None = None
    status: BatchStatus = "validating"
    reached: Mapping[str, int] = field(default_factory=dict)
    model: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    tokens: TokenCounts = field(default_factory=TokenCounts)
    faults: tuple[BatchFault, ...] = ()
    output_file_id: str | None = None
    error_file_id: str | None = None

    def at(self, status: BatchStatus) -> "StoredBatch":
        """The batch as it enters a status now."""
        return replace(self, status=status, reached={**self.reached, status: now()})


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What is in a batch's output and errors: the ids of the requests, how many went well or not, their tokens."""

    custom_ids: set[str] = field(default_factory=set)
    completed: int = 0
    failed: int = 0
    tokens: TokenCounts = field(default_factory=TokenCounts)

    def of(self, batch: StoredBatch) -> StoredBatch:
        """The batch with these counts."""
        return replace(batch, completed=self.completed, failed=self.failed, tokens=self.tokens)


class BatchStore:
    """All batches. One process, one thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._batches = {batch.id: batch for batch in _load(folder)}

    def batches(self) -> list[StoredBatch]:
        """Every batch, oldest first."""
        return sorted(self._batches.values(), key=lambda batch: batch.number)

    def find(self, batch_id: str) -> StoredBatch | None:
        """The batch, or None when there never was one."""
        return self._batches.get(batch_id)

    def next_number(self) -> int:
        """The place of the next batch."""
        return max((batch.number for batch in self._batches.values()), default=0) + 1

    def create(self, batch: StoredBatch, content: Path | None) -> StoredBatch:
        """Store a new batch with its requests, None where there are none to be had."""
        folder = self._folder / batch.id
        folder.mkdir()
        if content is not None:
            share_file(content, self.input_of(batch))
        return self.keep(batch)

    def keep(self, batch: StoredBatch) -> StoredBatch:
        """Store a batch's new state."""
        write_atomic(self._folder / batch.id / "record.json", to_json(batch))
        return self.show(batch)

    def show(self, batch: StoredBatch) -> StoredBatch:
        """Answer with this state of a batch; a restart goes back to the stored one."""
        self._batches[batch.id] = batch
        return batch

    def add_line(self, batch: StoredBatch, line: Mapping[str, object], *, failed: bool) -> None:
        """Append to what was answered, or could not be; it is counted at once."""
        with self._written(batch, failed=failed).open("ab") as file:
            file.write(_encoded(line))
        one = _counts(line)
        found = self._batches[batch.id]
        self.show(
            replace(
                found,
                completed=found.completed + one.completed,
                failed=found.failed + one.failed,
                tokens=found.tokens.plus(one.tokens),
            )
        )

    def add_unasked(self, batch: StoredBatch, lines: Iterable[Mapping[str, object]]) -> None:
        """Append to what could not be answered; these requests count neither way. May run on any thread."""
        with self.errors_of(batch).open("ab") as file:
            file.writelines(_encoded(line) for line in lines)

    def input_of(self, batch: StoredBatch) -> Path:
        """The requests."""
        return self._folder / batch.id / "input.jsonl"

    def output_of(self, batch: StoredBatch) -> Path:
        """What was answered."""
        return self._written(batch, failed=False)

    def errors_of(self, batch: StoredBatch) -> Path:
        """What could not be answered."""
        return self._written(batch, failed=True)

    def tally(self, batch: StoredBatch) -> Tally:
        """Count what is answered; from a broken line on, which a killed server left behind, all is cut off. May run on any thread."""
        custom_ids: set[str] = set()
        completed = failed = 0
        tokens = TokenCounts()
        for path in (self.output_of(batch), self.errors_of(batch)):
            for line in _complete_lines(path):
                one = _counts(line)
                custom_ids.add(str(line["custom_id"]))
                completed += one.completed
                failed += one.failed
                tokens = tokens.plus(one.tokens)
        return Tally(custom_ids=custom_ids, completed=completed, failed=failed, tokens=tokens)

    def drop_work(self, batch: StoredBatch) -> None:
        """Remove what only a batch at work needs."""
        for path in (self.input_of(batch), self.output_of(batch), self.errors_of(batch)):
            path.unlink(missing_ok=True)

    def _written(self, batch: StoredBatch, *, failed: bool) -> Path:
        return self._folder / batch.id / ("errors.jsonl" if failed else "output.jsonl")


def _load(folder: Path) -> Iterator[StoredBatch]:
    for path in folder.glob("batch_*"):
        record = path / "record.json"
        if not record.exists():  # its server was killed before it had confirmed the batch
            shutil.rmtree(path, ignore_errors=True)
            continue
        try:
            yield from_json(StoredBatch, record.read_bytes())
        except ParseError as error:
            raise StorageError(
                f"{record}: not a record this version can read: {error}",
                remedy="upgrade the harness, or move the folder away",
            ) from None


def _encoded(line: Mapping[str, object]) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _complete_lines(path: Path) -> Iterator[Mapping[str, object]]:
    if not path.exists():
        return
    with path.open("r+b") as file:
        complete = 0
        for line in file:
            row = _row(line)
            if row is None:
                break
            complete += len(line)
            yield row
        file.truncate(complete)
        os.fsync(file.fileno())


def _row(line: bytes) -> Mapping[str, object] | None:
    """A line as it was written, None for what a killed server or a cut of power has left of one."""
    try:
        row: object = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _counts(line: Mapping[str, object]) -> Tally:
    """What one line of output or errors adds. A request that was never asked counts neither way."""
    response = line["response"]
    if not isinstance(response, Mapping):
        return Tally()
    if response["status_code"] != OK:
        return Tally(failed=1)
    usage = response["body"]["usage"]
    tokens = TokenCounts(
        prompt=usage["prompt_tokens"],
        cached=usage["prompt_tokens_details"]["cached_tokens"],
        completion=usage["completion_tokens"],
    )
    return Tally(completed=1, tokens=tokens)
