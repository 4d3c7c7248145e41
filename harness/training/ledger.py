"""Which jobs and uploads were made here: two append-only files of JSON lines, and the digest that names a request.

`jobs.jsonl` has a line for every state a job was seen in, the last of which counts, and one before each creation, so
that a job whose answer was lost is looked for before another one is made. `uploads.jsonl` has a line for every file.
A line is never changed or taken away: one that cannot be read is told and stays where it is.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from harness.errors import StorageError, UsageError
from harness.records import Endpoint, TrainingJob, record
from harness.serial import ParseError, digest, file_digest, from_json, read_json, to_json
from harness.training.requests import TrainingRequest

log = logging.getLogger(__name__)

SCHEMA = 1
UPLOADS, EARLIER = "uploads.jsonl", "jobs.json"
# Of a file that is no ledger, so many lines are told of one by one.
TOLD_LINES = 5
# Another process holds the lock for the milliseconds of one line; longer means it hangs.
BUSY_TIMEOUT_S = 30.0
# Another process creates a job: its files may be large and its provider slow.
CREATION_TIMEOUT_S = 1800.0
# The statuses of lines about a job that has no id: its creation was asked for, or refused.
ASKED, REFUSED = "asked", "refused"

_T = TypeVar("_T", "JobRecord", "UploadRecord")


@record
class JobRecord:
    """A job as it was last seen from here.

    Attributes:
        job: As the provider tells of it; without an id while its creation is only asked for, or was refused.
        endpoint: The provider's public name.
        place: What this project calls the provider: `local`, `openai`, a name under `models`, or a URL.
        files: SHA-256 of the files by `train` and `valid`, `paths` where they lay, `uploads` the provider's ids of them.
        estimate_usd: What it was expected to cost; None where no price is known.
        train_price: USD for 1M trained tokens, as configured or listed when the job was made.
        at: When this was written, UTC.
    """

    schema: int = SCHEMA
    job: TrainingJob
    endpoint: str
    place: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    uploads: Mapping[str, str] = field(default_factory=dict)
    estimate_usd: float | None = None
    train_price: float | None = None
    at: str = ""

    @property
    def cost_usd(self) -> float | None:
        """The billed tokens' price; None while they are not told, or where no price is known."""
        if self.job.trained_tokens is None or self.train_price is None:
            return None
        return self.job.trained_tokens * self.train_price / 1_000_000


@record
class UploadRecord:
    """A file that a provider has: the SHA-256 of its bytes, and the provider's id."""

    schema: int = SCHEMA
    endpoint: str
    digest: str
    file: str
    name: str = ""
    bytes: int = 0
    at: str = ""


def request_digest(request: TrainingRequest, *, endpoint: Endpoint) -> str:
    """SHA-256 of all that decides what comes out: file bytes, model, settings, and the provider.

    Raises:
        UsageError: A file cannot be read.
    """
    files = (request.training_file, request.validation_file)
    try:
        digests = [file_digest(file) if file is not None else None for file in files]
    except OSError as error:
        raise unreadable(error) from error
    method = {} if request.method == "supervised" else {"method": request.method}
    return digest(
        {
            "endpoint": endpoint.label,
            "model": request.model,
            "files": digests,
            "epochs": request.epochs,
            "batch_size": request.batch_size,
            "learning_rate_multiplier": request.learning_rate_multiplier,
            "seed": request.seed,
            "suffix": request.suffix,
            **method,
        }
    )


def unreadable(error: OSError) -> UsageError:
    """A training file that cannot be opened."""
    return UsageError(f"{error.filename}: {error.strerror}", remedy="give the path of a JSONL file")


def now() -> str:
    """UTC in ISO 8601, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- jobs ----------------------------------------------------------------------------------------------


def recorded_jobs(ledger: Path) -> tuple[JobRecord, ...]:
    """The last line of every job, in the order in which the jobs were first seen.

    Raises:
        StorageError: It cannot be read, or a newer version has written in it.
    """
    latest: dict[tuple[str, str], JobRecord] = {}
    for entry in (*_of_earlier_form(ledger), *_entries(ledger, JobRecord)):
        if entry.job.id:
            latest[entry.endpoint, entry.job.id] = entry
    return tuple(latest.values())


def recorded_job(ledger: Path, job: str, *, endpoint: str) -> JobRecord | None:
    """The last line of one job.

    Raises:
        StorageError: As of `recorded_jobs`.
    """
    known = (entry for entry in recorded_jobs(ledger) if (entry.job.id, entry.endpoint) == (job, endpoint))
    return next(known, None)


def jobs_made_from(ledger: Path, made_from: str, *, endpoint: str) -> list[JobRecord]:
    """The jobs of a request, the newest first.

    Raises:
        StorageError: As of `recorded_jobs`.
    """
    found = [entry for entry in recorded_jobs(ledger) if entry.job.digest == made_from]
    return [entry for entry in reversed(found) if entry.endpoint in {endpoint, ""}]


def open_question(ledger: Path, made_from: str, *, endpoint: str) -> JobRecord | None:
    """The creation of this request whose answer never came, if its last one was such.

    Raises:
        StorageError: As of `recorded_jobs`.
    """
    last: JobRecord | None = None
    for entry in _entries(ledger, JobRecord):
        if entry.job.digest == made_from and entry.endpoint == endpoint:
            last = entry
    return last if last is not None and not last.job.id and last.job.status == ASKED else None


def note_job(ledger: Path, entry: JobRecord) -> None:
    """Write a job's present state down, if it is not the last one written."""
    known = recorded_job(ledger, entry.job.id, endpoint=entry.endpoint)
    if known is None or known.job != entry.job or not entry.job.id:
        _append(ledger, to_json(replace(entry, at=now())))


# --- uploads -------------------------------------------------------------------------------------------


def recorded_upload(ledger: Path, made_from: str, *, endpoint: str) -> UploadRecord | None:
    """The last upload of these bytes to this endpoint.

    Raises:
        StorageError: As of `recorded_jobs`.
    """
    last = None
    for entry in _entries(ledger.with_name(UPLOADS), UploadRecord):
        if (entry.digest, entry.endpoint) == (made_from, endpoint):
            last = entry
    return last


def note_upload(ledger: Path, entry: UploadRecord) -> None:
    """Write an upload down."""
    _append(ledger.with_name(UPLOADS), to_json(entry))


# --- the files -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def creating(ledger: Path | None) -> Iterator[None]:
    """Inside, no other process of this ledger creates a job, so that two that ask for the same make one.

    Raises:
        StorageError: Another process has been creating one for too long.
    """
    if ledger is None:
        yield
        return
    lock = ledger.with_name(f".{ledger.name}.creating")
    with contextlib.ExitStack() as stack:
        try:
            ledger.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(lock, timeout=CREATION_TIMEOUT_S))
        except Timeout:
            raise StorageError(
                f"another process has been creating a fine-tuning job for {CREATION_TIMEOUT_S / 60:.0f} minutes",
                remedy=f"wait for it or end it; it holds {lock}",
            ) from None
        except OSError as error:
            log.warning("%s cannot be locked (%s): two processes may make the same job", lock, error)
        yield


def _append(file: Path, line: str) -> None:
    """Add a line; a ledger that cannot be written is only warned about, so that no running job is lost over it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(file.with_name(f".{file.name}.lock"), timeout=BUSY_TIMEOUT_S),
            file.open("a+b") as stream,
        ):
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # a killed process left half a line behind
                    stream.write(b"\n")
            stream.write(line.encode("utf-8", "surrogatepass") + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
    except (OSError, Timeout) as error:
        log.warning("%s cannot be written (%s): a job may be made, or a file uploaded, again", file, error)


def _entries(file: Path, cls: type[_T]) -> Iterator[_T]:
    """The lines of a ledger that can be read, oldest first."""
    try:
        lines = file.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        lines = []
    except OSError as error:
        raise StorageError(
            f"{file} cannot be read: {error.strerror}", remedy="make it readable, or move it away"
        ) from None
    broken = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield from_json(cls, line)
        except ParseError as error:
            _check_version(file, number, line)
            broken += 1
            if broken <= TOLD_LINES:
                log.warning("%s:%d cannot be read and is passed over: %s", file, number, error)
    if broken > TOLD_LINES:
        log.warning("%s: %d more lines cannot be read and are passed over", file, broken - TOLD_LINES)


def _of_earlier_form(ledger: Path) -> Iterator[JobRecord]:
    """What `jobs.json` has, the ledger's first form: an object from the digest of a request to the job's id."""
    try:
        data = read_json(ledger.with_name(EARLIER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    for made_from, job in data.items() if isinstance(data, dict) else ():
        if isinstance(job, str):
            seen = TrainingJob(id=job, status="unknown", model="", digest=made_from)
            yield JobRecord(job=seen, endpoint="")


def _check_version(file: Path, number: int, line: bytes) -> None:
    """A line of a newer version may be about a job under way, so nothing is made beside it."""
    with contextlib.suppress(ValueError, RecursionError):
        data = read_json(line.decode("utf-8"))
        schema = data.get("schema") if isinstance(data, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise StorageError(
                f"{file}:{number}: schema {schema}, this version knows {SCHEMA}",
                remedy="upgrade finetune-harness",
            )
