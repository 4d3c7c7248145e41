"""The server's memory on disk: uploaded files, jobs with their events, and the models jobs made.

    <root>/schema.json                   the layout's number, refused when it is newer than ours
    <root>/lock                          held while a server uses the folder
    <root>/files/<id>.json, <id>.bytes   an uploaded file; without its .json it does not exist
    <root>/jobs/<id>/record.json         a job, replaced in one step at every change
    <root>/jobs/<id>/events.jsonl        what happened to it, oldest first, appended
    <root>/jobs/<id>/attempt-<n>/        where the n-th start of the trainer works
    <root>/batches/                      see `state.batches`

Every change is on disk before it is answered, so a server killed at any moment loses nothing it confirmed.
Identifiers in requests are looked up in memory and never become part of a path.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from harness.errors import StorageError
from harness.localserver.state.identifiers import new_id, now
from harness.localserver.state.objects import Checkpoint, Event, StoredFile, StoredJob
from harness.serial import ParseError, from_json, to_json, write_atomic

_T = TypeVar("_T")

# 1: the first. 2: jobs can be paused and checkpoints lie in several attempts, which a version that knows 1 cannot find.
SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class _Layout:
    schema: int


@dataclass(frozen=True, kw_only=True)
class FineTune:
    """A model a job made: its name, when, the folder with its PEFT adapter, and what it was trained from."""

    name: str
    created_at: int
    job_id: str
    adapter: Path
    base: str
    base_digest: str


class Store:
    """Everything the server keeps. One process, one thread; `open_store` makes it."""

    def __init__(self, root: Path, lock: FileLock) -> None:
        self._root = root
        self._lock = lock
        self._files = {file.id: file for file in _load_files(root / "files")}
        self._jobs = {job.id: job for job in _load_jobs(root / "jobs")}
        self._events: dict[str, list[Event]] = {}
        stored: list[StoredFile | StoredJob] = [*self._files.values(), *self._jobs.values()]
        self._numbers = {item.id: item.number for item in stored}
        self._last = max(self._numbers.values(), default=0)
        self._drop_expired()

    def close(self) -> None:
        """Let another server use the folder."""
        self._lock.release()

    def next_number(self) -> int:
        """The next place in the order in which things were stored."""
        self._last += 1
        return self._last

    def number_of(self, identifier: str) -> int | None:
        """The place of a file or a job, also of one deleted while this server runs: a cursor may name it."""
        return self._numbers.get(identifier)

    @property
    def batches(self) -> Path:
        """The folder of batches."""
        return self._root / "batches"

    # --- files ---

    @property
    def uploads(self) -> Path:
        """Where files are written before they exist; emptied when a server starts."""
        return self._root / "uploads"

    def files(self) -> list[StoredFile]:
        """Every file, oldest first."""
        self._drop_expired()
        return sorted(self._files.values(), key=lambda file: file.number)

    def find_file(self, file_id: str) -> StoredFile | None:
        """The file, or None when it was never uploaded, is deleted or has expired."""
        file = self._files.get(file_id)
        if file is not None and _has_expired(file):
            self.remove_file(file)
            return None
        return file

    def content_of(self, file: StoredFile) -> Path:
        """Where the bytes of a file lie."""
        return self._root / "files" / f"{file.id}.bytes"

    def keep_upload(
        self, part: Path, *, filename: str, purpose: str, life_s: int | None = None
    ) -> StoredFile:
        """Turn a finished upload into a file that lives for `life_s` seconds; `part` is moved, not copied."""
        self._drop_expired()
        file = self._new_file(new_id("file-", 22), part.stat().st_size, filename=filename, purpose=purpose)
        if life_s is not None:
            file = replace(file, expires_at=file.created_at + life_s)
        part.replace(self.content_of(file))
        return self._keep_file(file)

    def keep_result(self, job: StoredJob, text: str) -> StoredFile:
        """Store the table of a job's steps. The id follows from the job's, so that doing it twice is once."""
        content = text.encode()
        file_id = "file-" + job.id.removeprefix("ftjob-")[:22]
        file = self._new_file(file_id, len(content), filename="step_metrics.csv", purpose="fine-tune-results")
        write_atomic(self.content_of(file), text)
        return self._keep_file(file)

    def keep_output(
        self, content: Path, *, file_id: str, filename: str, life_s: int | None = None
    ) -> StoredFile:
        """Store what a batch has written, under an id of the caller's, so that doing it twice is once; `content` stays."""
        kept = self._files.get(file_id)
        if kept is not None:
            return kept
        file = self._new_file(file_id, content.stat().st_size, filename=filename, purpose="batch_output")
        if life_s is not None:
            file = replace(file, expires_at=file.created_at + life_s)
        share_file(content, self.content_of(file))
        return self._keep_file(file)

    def remove_file(self, file: StoredFile) -> None:
        """Forget a file and its bytes."""
        content = self.content_of(file)
        content.with_suffix(".json").unlink(missing_ok=True)
        content.unlink(missing_ok=True)
        self._files.pop(file.id, None)

    def _drop_expired(self) -> None:
        for file in [file for file in self._files.values() if _has_expired(file)]:
            self.remove_file(file)

    def _new_file(self, file_id: str, size: int, *, filename: str, purpose: str) -> StoredFile:
        return StoredFile(
            id=file_id,
            number=self.next_number(),
            created_at=now(),
            filename=filename,
            purpose=purpose,
            bytes=size,
        )

    def _keep_file(self, file: StoredFile) -> StoredFile:
        write_atomic(self.content_of(file).with_suffix(".json"), to_json(file))
        self._files[file.id] = file
        self._numbers[file.id] = file.number
        return file

    # --- jobs ---

    def jobs(self) -> list[StoredJob]:
        """Every job, oldest first."""
        return sorted(self._jobs.values(), key=lambda job: job.number)

    def find_job(self, job_id: str) -> StoredJob | None:
        """The job, or None when there never was one."""
        return self._jobs.get(job_id)

    def job_folder(self, job: StoredJob) -> Path:
        """The folder of a job."""
        return _job_folder(self._root, job)

    def attempt_folder(self, job: StoredJob) -> Path:
        """The folder in which the current start of the job's trainer works."""
        return self.job_folder(job) / f"attempt-{job.attempt}"

    def keep_job(self, job: StoredJob) -> StoredJob:
        """Store a new job, or a job's new state."""
        write_atomic(self.job_folder(job) / "record.json", to_json(job))
        self._jobs[job.id] = job
        self._numbers[job.id] = job.number
        return job

    def show_job(self, job: StoredJob) -> None:
        """Answer with this state of a job although it cannot be stored; a restart goes back to the stored one."""
        self._jobs[job.id] = job

    def add_event(self, job: StoredJob, event: Event) -> None:
        """Append to what happened to a job."""
        self.events(job).append(event)
        path = self.job_folder(job) / "events.jsonl"
        with path.open("a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a killed server left half a line behind
                    file.write(b"\n")
            file.write(to_json(event).encode("utf-8", "surrogatepass") + b"\n")

    def events(self, job: StoredJob) -> list[Event]:
        """What happened to a job, oldest first."""
        if job.id not in self._events:
            self._events[job.id] = list(_load_events(self.job_folder(job) / "events.jsonl"))
        return self._events[job.id]

    # --- models ---

    def models(self) -> list[FineTune]:
        """Every model jobs have made and nobody has deleted, oldest first."""
        return _fine_tunes(self._root, self.jobs())

    def find_model(self, name: str) -> FineTune | None:
        """The fine-tuned model or checkpoint of that name."""
        return next((model for model in self.models() if model.name == name), None)

    def remove_model(self, model: FineTune) -> None:
        """Delete a model's weights; the job keeps its name, as a record of what was made."""
        job = self._jobs[model.job_id]
        checkpoints = tuple(
            replace(checkpoint, deleted=True) if checkpoint.model == model.name else checkpoint
            for checkpoint in job.checkpoints
        )
        self.keep_job(replace(job, checkpoints=checkpoints))
        shutil.rmtree(model.adapter, ignore_errors=True)


def open_store(root: Path) -> Store:
    """Open the folder, or make it.

    Raises:
        StorageError: Another server uses it, it was written by a newer version, it cannot be written, or a
            record in it is not readable.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise StorageError(
            f"{root}: another server uses this state folder",
            remedy="stop it, or give this one a folder of its own",
        ) from None
    except OSError as error:
        raise StorageError(
            f"{root}: the state folder cannot be written: {error.strerror}",
            remedy="choose another folder or free disk space",
        ) from error
    try:
        return _opened(root, lock)
    except BaseException:
        lock.release()
        raise


def _opened(root: Path, lock: FileLock) -> Store:
    if _check_layout(root) < SCHEMA:  # the fields that records of older layouts lack have defaults
        write_atomic(root / "schema.json", to_json(_Layout(schema=SCHEMA)))
    shutil.rmtree(root / "uploads", ignore_errors=True)
    for folder in ("uploads", "files", "jobs"):
        (root / folder).mkdir(exist_ok=True)
    return Store(root, lock)


def read_fine_tunes(root: Path) -> list[FineTune]:
    """The models in a state folder, oldest first, also while a server uses it; empty where there is no such folder.

    Raises:
        StorageError: It was written by a newer version, or a record in it is not readable.
    """
    if not root.is_dir():
        return []
    _check_layout(root)
    return _fine_tunes(root, sorted(_load_jobs(root / "jobs"), key=lambda job: job.number))


def _fine_tunes(root: Path, jobs: Iterable[StoredJob]) -> list[FineTune]:
    return [
        FineTune(
            name=checkpoint.model,
            created_at=checkpoint.created_at,
            job_id=job.id,
            adapter=checkpoint_folder(_job_folder(root, job), checkpoint, last_attempt=job.attempt),
            base=job.model,
            base_digest=job.base_digest,
        )
        for job in jobs
        for checkpoint in job.checkpoints
        if not checkpoint.deleted
    ]


def _job_folder(root: Path, job: StoredJob) -> Path:
    return root / "jobs" / job.id


def checkpoint_folder(job_folder: Path, checkpoint: Checkpoint, *, last_attempt: int) -> Path:
    """Where a checkpoint's adapter lies: in the folder of the start of the trainer that saved it."""
    attempt = last_attempt if checkpoint.attempt is None else checkpoint.attempt
    return job_folder / f"attempt-{attempt}" / "checkpoints" / f"step-{checkpoint.step}"


def _check_layout(root: Path) -> int:
    """The number of the folder's layout, one that this version knows; 0 for a new folder."""
    path = root / "schema.json"
    if not path.exists():
        return 0
    found = _read(_Layout, path).schema
    if found > SCHEMA:
        raise StorageError(
            f"{root}: written by a newer version (layout {found}, this version knows {SCHEMA})",
            remedy="upgrade the harness, or use another state folder",
        )
    return found


def _load_files(folder: Path) -> list[StoredFile]:
    files = [_read(StoredFile, path) for path in folder.glob("file-*.json")]
    known = {file.id for file in files}
    for content in folder.glob("*.bytes"):
        if content.stem not in known:  # its server was killed between the two steps of storing it
            content.unlink()
    return files


def _load_jobs(folder: Path) -> list[StoredJob]:
    return [_read(StoredJob, path) for path in folder.glob("ftjob-*/record.json")]


def _load_events(path: Path) -> Iterator[Event]:
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ParseError):  # the half line of a killed server
                yield from_json(Event, line)


def _read(cls: type[_T], path: Path) -> _T:
    try:
        return from_json(cls, path.read_bytes())
    except ParseError as error:
        raise StorageError(
            f"{path}: not a record this version can read: {error}",
            remedy="upgrade the harness, or move the file away",
        ) from None


def _has_expired(file: StoredFile) -> bool:
    return file.expires_at is not None and file.expires_at <= now()


def share_file(source: Path, target: Path) -> None:
    """Give a file a second name, without copying it where the file system can; neither is written to any more."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links, or a full disk, of which the copy will tell
        shutil.copyfile(source, target)


def upload_path(store: Store) -> Path:
    """An empty file for the bytes of an upload, on the file system where it will stay."""
    handle, name = tempfile.mkstemp(dir=store.uploads)
    os.close(handle)
    return Path(name)
