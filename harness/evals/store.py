"""Runs as folders of plain files: appended row by row, resumed after a crash, recomputable from the folder alone."""

import contextlib
import errno
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import StorageError
from harness.evals.bills import total_bill
from harness.evals.labels import read_labels
from harness.records import Bill, Completion, Failure, Json, Manifest, Result, Run, RunStatus
from harness.serial import ParseError, from_json, to_json, write_atomic

SCHEMA = 1
MANIFEST, RESULTS, CURVE, VERDICT, PAGE = (
    "manifest.json",
    "results.jsonl",
    "curve.csv",
    "verdict.json",
    "index.html",
)
LOCK = ".lock"


def now() -> str:
    """This moment, UTC, ISO 8601 to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_run_id(slug: str, created: str) -> str:
    """`20261122T175040Z-<slug>-<4 hex>`: sorts by time, readable, never taken twice."""
    safe = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in slug)[:40].strip("-.")
    return f"{created.replace('-', '').replace(':', '')}-{safe or 'run'}-{secrets.token_hex(2)}"


class RunWriter:
    """The one writer of a run's folder. Holds its lock until `finish` or `close`.

    Rows go to the file as they arrive, each flushed. What an earlier part of the same run wrote already is
    not written twice; an answer from then that is scored otherwise now is written with what it cost then.
    """

    def __init__(self, reports: Path, manifest: Manifest) -> None:
        self.path = reports / manifest.id
        self.manifest = manifest
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / LOCK, timeout=0)
            self._lock.acquire()
            self._answered = {_key(row): row for row in kept_rows(self.path / RESULTS) if _answered(row)}
            self._file = (self.path / RESULTS).open("a", encoding="utf-8", newline="\n")
            write_atomic(self.path / MANIFEST, to_json(manifest, indent=1))
        except Timeout:
            raise StorageError(
                f"{self.path} is being written by another process", remedy="wait for it, or use --reports DIR"
            ) from None
        except OSError as error:
            raise _storage_error(self.path, error) from None

    def append(self, result: Result) -> None:
        """Write one row.

        Raises:
            StorageError: The disk is full or the folder is gone; what was written before stays.
        """
        known = self._answered.get(_key(result))
        if known is not None:
            if not _answered(result) or (_said(known) == _said(result) and known.scores == result.scores):
                return
            if _said(known) == _said(result):
                bills = {**known.bills, **result.bills}
                both = {role: _both(known.bills.get(role), result.bills.get(role)) for role in bills}
                result = replace(result, outcome=known.outcome, bills=both)
        try:
            self._file.write(to_json(result) + "\n")
            self._file.flush()
        except OSError as error:
            raise _storage_error(self.path, error) from None
        if _answered(result):
            self._answered[_key(result)] = result

    def finish(
        self, status: RunStatus, *, reason: str | None = None, manifest: Manifest | None = None
    ) -> Run:
        """Note how the run ended and hand it over as it stands on disk."""
        self.manifest = replace(manifest or self.manifest, status=status, finished=now(), reason=reason)
        try:
            self._file.close()
            write_atomic(self.path / MANIFEST, to_json(self.manifest, indent=1))
        except OSError as error:
            raise _storage_error(self.path, error) from None
        finally:
            self.close()
        return open_run(self.path)

    def close(self) -> None:
        """Give the folder back; safe to call twice."""
        with contextlib.suppress(OSError):  # a row that could not be flushed was reported by `append`
            self._file.close()
        self._lock.release()
        (self.path / LOCK).unlink(missing_ok=True)


def open_run(path: Path | str) -> Run:
    """A stored run: its manifest and the newest row of each cell.

    Raises:
        StorageError: No run there, a newer schema, or a damaged manifest.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    rows: dict[tuple[str, str, str, int], Result] = {}
    for row in _read_rows(folder / RESULTS):
        key = _key(row)
        if key not in rows or _answered(row) or not _answered(rows[key]):
            rows[key] = row
    labels = read_labels(folder, run=manifest.id)
    return Run(manifest=manifest, results=tuple(rows.values()), path=folder, labels=labels)


def list_runs(reports: Path) -> list[Path]:
    """Folders of runs under a reports folder, newest first."""
    return sorted(
        (file.parent for file in reports.glob(f"*/{MANIFEST}")), key=lambda path: path.name, reverse=True
    )


def resumable(reports: Path, plan: str) -> Manifest | None:
    """The newest unfinished run of the same plan that no living process is writing."""
    for folder in list_runs(reports):
        try:
            manifest = read_manifest(folder)
        except StorageError:
            continue
        if manifest.plan == plan and manifest.status != "complete" and not _is_locked(folder):
            return manifest
    return None


def _is_locked(folder: Path) -> bool:
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a stored run.

    Raises:
        StorageError: As `open_run`.
    """
    file = folder / MANIFEST
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StorageError(
            f"{folder}: no run here", remedy="`harness runs` lists the runs there are"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{file} cannot be read: {error}") from None
    schema = _schema_of(text)
    if schema is not None and schema > SCHEMA:
        raise StorageError(
            f"{file} has schema {schema}, this version knows {SCHEMA}", remedy="upgrade finetune-harness"
        )
    try:
        return from_json(Manifest, text)
    except ParseError as error:
        raise StorageError(f"{file} is damaged: {error}", remedy="restore it or delete the folder") from None


def _schema_of(text: str) -> int | None:
    try:
        schema = from_json(dict, text).get("schema")
    except ParseError:
        return None  # what is wrong with it is told when the whole manifest is read
    return schema if isinstance(schema, int) else None


def kept_rows(file: Path) -> Iterator[Result]:
    """Cut a half-written last line off, then give the rows: what a crash left is mended before appending."""
    if file.exists():
        with file.open("rb+") as handle:
            data = handle.read()
            end = data.rfind(b"\n") + 1
            if end < len(data):
                handle.truncate(end)
    return _read_rows(file)


def _read_rows(file: Path) -> Iterator[Result]:
    if not file.exists():
        return
    with file.open("rb") as handle:
        for line in handle:
            if not line.endswith(b"\n"):
                return  # a row that was being written when the process died
            try:
                yield from_json(Result, line)
            except ParseError:
                continue  # a damaged line: its cell counts as not answered, and is asked again


def _key(row: Result) -> tuple[str, str, str, int]:
    return (row.suite, row.case, row.role, row.trial)


def _answered(row: Result) -> bool:
    return isinstance(row.outcome, Completion)


def _both(earlier: Bill | None, later: Bill | None) -> Bill:
    """What judging took, then and now; what was paid then comes from the cache now, and is told once."""
    if earlier is None or later is None:
        return later or earlier or Bill()
    again = max(0, later.from_cache - earlier.answered - earlier.from_cache)
    return total_bill((earlier, replace(later, from_cache=again)))


def _said(row: Result) -> tuple[Json, ...]:
    """What was answered, without what it cost and how it came."""
    answer = row.outcome
    if isinstance(answer, Failure):
        return (answer.message,)
    return answer.text, answer.refusal, answer.tool_calls, answer.finish_reason


def _storage_error(path: Path, error: OSError) -> StorageError:
    remedy = {
        errno.ENOSPC: "free some disk space and start again; answers received so far are kept",
        errno.EROFS: "choose a writable folder with --reports DIR",
        errno.EACCES: "choose a writable folder with --reports DIR",
    }.get(error.errno or 0, "see that the folder exists and can be written, then start again")
    return StorageError(f"{path}: {error.strerror or error}", remedy=remedy)
