"""Runs as folders of plain files: appended row by row, resumed after a crash, recomputable from the folder alone.

A run is unfinished until all that follows from its rows is written too: a process killed while it wrote the page leaves a run that
the same command goes on with. Names of runs sort by the order in which they began, also where the clock was set back.
"""

import contextlib
import errno
import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import StorageError
from harness.evals.bills import total_bill
from harness.evals.labels import read_labels
from harness.evals.result_rows import kept_rows, read_rows
from harness.records import Bill, Completion, Failure, Json, Manifest, Result, Run, RunStatus
from harness.serial import ParseError, from_json, sweep, to_json, write_atomic

SCHEMA = 1
MANIFEST, RESULTS, CURVE, VERDICT, PAGE = (
    "manifest.json",
    "results.jsonl",
    "curve.csv",
    "verdict.json",
    "index.html",
)
LOCK = ".lock"
# There while what follows from a run's rows is still to be written.
UNSEALED = ".unsealed"
MOMENT, STAMP = "%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ"
_RUN_ID = re.compile(r"(\d{8}T\d{6}Z)-.")
# No file is being written for so long.
ABANDONED_S = 3600.0

log = logging.getLogger(__name__)


def now() -> str:
    """This moment, UTC, ISO 8601 to the second."""
    return datetime.now(timezone.utc).strftime(MOMENT)


def new_run_id(slug: str, created: str, *, reports: Path | None = None) -> str:
    """`20261122T175040Z-<slug>-<4 hex>`: readable, never taken twice, sorts behind every run there is.

    The newest run in `reports` may be of this second or, where the clock was set back, of a later one: then the id
    has the second after that one's, and `created` alone tells the time.
    """
    safe = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in slug)[:40].strip("-.")
    stamp = created.replace("-", "").replace(":", "")
    newest = _newest_stamp(reports) if reports is not None else None
    if newest is not None:
        stamp = max(stamp, (newest + timedelta(seconds=1)).strftime(STAMP))
    return f"{stamp}-{safe or 'run'}-{secrets.token_hex(2)}"


def _newest_stamp(reports: Path) -> datetime | None:
    """The latest time that the name of a run has; None without runs."""
    names = (path.name for path in reports.iterdir()) if reports.is_dir() else ()
    stamps = (_moment(found[1], STAMP) for found in map(_RUN_ID.match, names) if found)
    return max(filter(None, stamps), default=None)


def _moment(text: str, form: str) -> datetime | None:
    """The time a text tells; None where it tells none, as the 31st of a month that has 30 days."""
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


class RunWriter:
    """The one writer of a run's folder. Holds its lock until `close`.

    Rows go to the file as they arrive, each flushed. What an earlier part of the same run wrote already is
    not written twice; an answer from then that is scored otherwise now is written with what it cost then.

    Args:
        reports: The folder of all runs.
        manifest: The run's.
        tell: Told what was damaged and what became of it, in one sentence; by default it is logged.

    Raises:
        StorageError: The folder cannot be written, or another process is writing it.
    """

    def __init__(
        self, reports: Path, manifest: Manifest, *, tell: Callable[[str], None] = log.warning
    ) -> None:
        self.path = reports / manifest.id
        self.manifest = manifest
        self._began_s = time.monotonic()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / LOCK, timeout=0)
            self._lock.acquire()
            sweep(self.path)
            sweep(reports, older_than_s=ABANDONED_S)
            _sweep_stillborn(reports)
            rows = kept_rows(self.path / RESULTS, tell=tell)
            self._answered = {_key(row): row for row in rows if _answered(row)}
            write_atomic(self.path / MANIFEST, to_json(manifest, indent=1))
            self._file = (self.path / RESULTS).open("a", encoding="utf-8", newline="\n")
        except Timeout:
            raise StorageError(
                f"{self.path} is being written by another process", remedy="wait for it, or use --reports DIR"
            ) from None
        except OSError as error:
            raise storage_error(error, at=self.path) from None

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
            raise storage_error(error, at=self.path) from None
        if _answered(result):
            self._answered[_key(result)] = result

    def finish(
        self,
        status: RunStatus,
        *,
        reason: str | None = None,
        manifest: Manifest | None = None,
        seal: bool = True,
    ) -> Run:
        """Note how the run ended and hand it over as it stands on disk.

        Args:
            status: How it ended.
            reason: Why, where it did not come to its end.
            manifest: The manifest as it is now.
            seal: Off where the page and all else is still to be written: until `seal` is called the run can be resumed.
        """
        self.manifest = replace(
            manifest or self.manifest, status=status, finished=self._finished(), reason=reason
        )
        try:
            self._file.close()
            if not seal:
                (self.path / UNSEALED).touch()
            write_atomic(self.path / MANIFEST, to_json(self.manifest, indent=1))
        except OSError as error:
            self.close()
            raise storage_error(error, at=self.path) from None
        if seal:
            self.seal()
            self.close()
        return open_run(self.path)

    def _finished(self) -> str:
        """Now, and never before the run can have come so far: the clock may have been set back meanwhile."""
        began = _moment(self.manifest.created, MOMENT)
        if began is None:  # a manifest that was edited by hand
            return now()
        earliest = began + timedelta(seconds=int(time.monotonic() - self._began_s))
        return max(now(), earliest.strftime(MOMENT))

    def seal(self) -> None:
        """Note that all that follows from the rows is written: nothing is left to resume."""
        with contextlib.suppress(OSError):  # then the same command comes to its end once more
            (self.path / UNSEALED).unlink(missing_ok=True)

    def close(self) -> None:
        """Give the folder back; safe to call twice."""
        with contextlib.suppress(OSError):  # a row that could not be flushed was reported by `append`
            self._file.close()
        # The lock's file stays: were it taken away, two processes could hold locks on two files of one name.
        self._lock.release()


def _sweep_stillborn(reports: Path) -> None:
    """Take away folders whose run was killed before it had a manifest: it had asked nobody, and nothing else is in them."""
    for path in reports.iterdir():
        if not _RUN_ID.match(path.name) or (path / MANIFEST).exists():
            continue
        with contextlib.suppress(OSError):
            is_abandoned = time.time() - path.stat().st_mtime > ABANDONED_S
            left = list(path.iterdir())
            if is_abandoned and all(file.name.startswith(".") and file.is_file() for file in left):
                for file in left:
                    file.unlink()
                path.rmdir()


def open_run(path: Path | str) -> Run:
    """A stored run: its manifest and the newest row of each cell.

    Raises:
        StorageError: No run there, a newer schema, or a damaged manifest.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    rows: dict[tuple[str, str, str, int], Result] = {}
    for row in read_rows(folder / RESULTS):
        key = _key(row)
        if key not in rows or _answered(row) or not _answered(rows[key]):
            rows[key] = row
    labels = read_labels(folder, run=manifest.id)
    return Run(manifest=manifest, results=tuple(rows.values()), path=folder, labels=labels)


def list_runs(reports: Path) -> list[Path]:
    """Folders of runs under a reports folder, newest first; those that somebody renamed come last."""
    return sorted(
        (file.parent for file in reports.glob(f"*/{MANIFEST}")),
        key=lambda path: (_RUN_ID.match(path.name) is not None, path.name),
        reverse=True,
    )


def resumable(reports: Path, plan: str) -> Manifest | None:
    """The newest unfinished run of the same plan that no living process is writing."""
    for folder in list_runs(reports):
        try:
            if plan not in (folder / MANIFEST).read_text(encoding="utf-8"):
                continue  # most are of another plan, and to parse a manifest takes long: it holds whole suites
            manifest = read_manifest(folder)
        except (OSError, UnicodeDecodeError, StorageError):
            continue
        is_done = manifest.status == "complete" and not (folder / UNSEALED).exists()
        if manifest.plan == plan and not is_done and not _is_locked(folder):
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
        raise StorageError(
            f"{file} cannot be read: {error}", remedy="restore it or delete the folder"
        ) from None
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


def storage_error(error: OSError, *, at: Path) -> StorageError:
    """What the system says of a file, with what to do about it; `at` is where it was, if the system does not say."""
    full = "free some disk space and start again; answers received so far are kept"
    writable = "choose a writable folder with --reports DIR"
    remedies = {
        errno.ENOSPC: full,
        errno.EFBIG: full,
        errno.EDQUOT: full,
        errno.EROFS: writable,
        errno.EACCES: writable,
        errno.EPERM: writable,
    }
    remedy = remedies.get(error.errno or 0, "see that the folder exists and can be written, then start again")
    return StorageError(f"{error.filename or at}: {error.strerror or error}", remedy=remedy)
