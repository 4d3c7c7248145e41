"""Batches that were sent from here, each in a file of its own, so that whatever breaks off, none is paid for twice.

    <folder>/<name>.json    the batch: where it is, how far it got, which run its answers belong to
    <folder>/<name>.jsonl   its requests, as they are uploaded; gone when its answers are in the cache

A batch is written down before it is created, and again when its id is known. A batch that was asked for and whose id never
came is looked for by its name, which is in its metadata.
"""

import contextlib
import json
import logging
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from harness.errors import StorageError
from harness.evals.store import now
from harness.records import record
from harness.serial import ParseError, from_json, to_json, write_atomic

log = logging.getLogger(__name__)

SCHEMA = 1
LOCK = ".lock"

BatchStep = Literal["written", "asked", "sent", "collected", "failed", "lost"]
"""Its requests are on disk; its creation was asked for; its id is known; its answers are in the cache; it was refused; it is gone."""


@record
class BatchRecord:
    """One batch.

    Attributes:
        name: Ours; the names of its two files.
        endpoint: The public label of the endpoint.
        model: The one model that it asks.
        requests: How many.
        step: How far it got.
        run: The run that its answers belong to, once they are collected; before, the run that sent it.
        batch: The provider's id of it, `file` that of its requests.
        at: When its requests were written, UTC.
    """

    schema: int = SCHEMA
    name: str
    endpoint: str
    model: str
    requests: int
    step: BatchStep
    run: str
    batch: str | None = None
    file: str | None = None
    at: str = ""


class BatchLedger:
    """The batches of a project. Several processes may share it.

    Raises:
        StorageError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._trouble(error) from error

    def records(self) -> list[BatchRecord]:
        """All of them, oldest first; one that cannot be read is told of and passed over.

        Raises:
            StorageError: A newer version has written one.
        """
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                text = path.read_bytes()
                found.append(from_json(BatchRecord, text))
            except (OSError, ParseError) as error:
                _check_version(path)
                log.warning("%s cannot be read and is passed over: %s", path, error)
        return sorted(found, key=lambda entry: (entry.at, entry.name))

    def current(self, entry: BatchRecord) -> BatchRecord:
        """A batch as it stands now: another command may have gone on with it."""
        return next((one for one in self.records() if one.name == entry.name), entry)

    def batches_of(self, run: str) -> set[str]:
        """The providers' ids of the batches whose answers belong to a run.

        One that is not collected yet counts too: who was killed at it may have stored some of its answers.
        """
        return {
            entry.batch
            for entry in self.records()
            if entry.run == run and entry.step in {"sent", "collected"} and entry.batch is not None
        }

    def write(self, lines: Sequence[bytes], *, endpoint: str, model: str, run: str) -> BatchRecord:
        """Note the requests of a new batch, under a name of its own.

        Raises:
            StorageError: The disk is full, or the folder read-only.
        """
        made = now()
        place = sum(1 for _ in self.folder.glob("*.json"))
        name = f"{made.replace('-', '').replace(':', '')}-{place:04}-{secrets.token_hex(4)}"
        entry = BatchRecord(
            name=name, endpoint=endpoint, model=model, requests=len(lines), step="written", run=run, at=made
        )
        try:
            with self.requests_of(entry).open("xb") as file:
                file.writelines(lines)
        except OSError as error:
            self.requests_of(entry).unlink(missing_ok=True)
            raise self._trouble(error) from error
        return self.note(entry)

    def note(self, entry: BatchRecord) -> BatchRecord:
        """Write down how far a batch got; the requests of one that is over are removed.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            write_atomic(self.folder / f"{entry.name}.json", to_json(entry, indent=1))
            if entry.step in {"collected", "failed", "lost"}:
                self.requests_of(entry).unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(error) from error
        return entry

    def forget(self, entry: BatchRecord) -> None:
        """Remove a batch that was never created."""
        with contextlib.suppress(OSError):
            self.requests_of(entry).unlink(missing_ok=True)
            (self.folder / f"{entry.name}.json").unlink(missing_ok=True)

    def requests_of(self, entry: BatchRecord) -> Path:
        """The file of a batch's requests."""
        return self.folder / f"{entry.name}.jsonl"

    def keys(self, entry: BatchRecord) -> frozenset[str]:
        """The keys of the answers that a batch will bring; none where the file of its requests is gone."""
        try:
            with self.requests_of(entry).open("rb") as file:
                return frozenset(str(json.loads(line)["custom_id"]) for line in file)
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("%s cannot be read (%s): the batch is passed over", self.requests_of(entry), error)
            return frozenset()

    @contextlib.contextmanager
    def sending(self) -> Iterator[bool]:
        """Inside, no other process of this project creates batches; False where another one is at it."""
        try:
            with FileLock(self.folder / LOCK, timeout=0):
                yield True
        except Timeout:
            yield False

    def _trouble(self, error: OSError) -> StorageError:
        remedy = "free some disk space, or make the folder writable; what was sent is not lost"
        return StorageError(f"{self.folder}: {error.strerror or error}", remedy=remedy)


def _check_version(path: Path) -> None:
    """A record of a newer version may be about a batch under way, so nothing is sent beside it."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        data = json.loads(path.read_bytes())
        schema = data.get("schema") if isinstance(data, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise StorageError(
                f"{path}: schema {schema}, this version knows {SCHEMA}", remedy="upgrade finetune-harness"
            )
