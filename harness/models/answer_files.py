"""The file of an answer cache: opened, proved, and mended where it is damaged.

It is an SQLite database in WAL mode: a row that was committed is with the operating system, so no killed process can take it
away, and a power cut takes at most what the system had not written out yet. Every row has a checksum. A file that is damaged
nevertheless is set aside, and what its pages still hold goes into a new one. That takes several steps, and a process
killed between any two of them leaves what the next one needs to go on:

1. `NAME.mending` is filled from the damaged file, which stays as it is; left behind, it is begun anew.
2. It becomes `NAME.mended` in one step. From here on the damaged file is not needed any more.
3. The damaged file and its log become `NAME.damaged-1` (2, 3, ...), and `NAME.mended` becomes `NAME`.
"""

import contextlib
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from harness.errors import StorageError
from harness.models.salvage import PAGE_BYTES, Value, salvaged_rows
from harness.records import Completion, Embedding
from harness.serial import ParseError, from_json

SCHEMA = 2
# Marks the file as ours in SQLite's header, so that we never write into somebody else's database.
APPLICATION_ID = 0x46544843  # "FTHC"
# Another process holds the file for the milliseconds of one insert; longer means it hangs.
BUSY_TIMEOUT_S = 30.0
LOG, SHARED = "-wal", "-shm"

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, model TEXT NOT NULL, answer TEXT NOT NULL, stored_at REAL NOT NULL,
    checksum INTEGER
) WITHOUT ROWID
"""
# Of two rows of one question, which only a damaged file has, the later one counts.
_KEEP = """
INSERT INTO answers VALUES (?,?,?,?,?,?)
ON CONFLICT (key) DO UPDATE SET answer = excluded.answer, stored_at = excluded.stored_at, checksum = excluded.checksum
WHERE excluded.stored_at > stored_at
"""
# A key is a SHA-256 digest in hex.
_KEY_LETTERS = 64


def checksum(key: str, answer: bytes) -> int:
    """What is stored beside an answer, and proves that both are as they were written (CRC-32)."""
    return zlib.crc32(answer, zlib.crc32(key.encode()))


def open_answers(path: Path, *, tell: Callable[[str], None]) -> sqlite3.Connection:
    """A connection to the file, which is made where there is none, and mended where it is damaged.

    To be called under a lock: two processes that find the same damage must not mend it both.

    Args:
        path: The file.
        tell: Told in one sentence what was damaged, where that is now, and how many answers could be kept.

    Raises:
        StorageError: It is another program's database, or a newer harness's.
        sqlite3.Error: It cannot be opened.
        OSError: The folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if _beside(path, ".mended").exists():
        _put_in_place(path)
    try:
        _check_size(path)
        return _connected(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        kept = _mend(path)
        aside = _put_in_place(path)
        tell(
            f"the answer cache {path} was damaged ({error}): it is now {aside.name}, and its {kept} answers that could "
            "be read are kept; what it lost is asked again"
        )
        return _connected(path)


def _check_size(path: Path) -> None:
    """Refuse an empty file with a log beside it: SQLite takes it for a new one and deletes the log, which may hold every answer."""
    log = _beside(path, LOG)
    if path.exists() and path.stat().st_size == 0 and log.exists() and log.stat().st_size > 0:
        raise sqlite3.DatabaseError("the file is empty, and the log beside it is not")


def _connected(path: Path) -> sqlite3.Connection:
    # The connection is made where a run is prepared, and used in the thread of the event loop.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
        _check_pages(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    owner, schema = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if owner != APPLICATION_ID and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise StorageError(
            f"{path} is another program's database",
            remedy="move it away: the harness keeps its answers under this name",
        )
    if schema > SCHEMA:
        raise StorageError(
            f"the answer cache {path} has schema {schema}, this harness reads up to {SCHEMA}",
            remedy="upgrade the harness, or delete the file: its answers are then paid for again",
        )
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    # A killed process loses nothing; a power cut can take the last answers, and leaves the others whole.
    connection.execute("PRAGMA synchronous = NORMAL")
    if schema < SCHEMA or not _has_table(connection):
        with _transaction(connection):
            if schema == 1 and _has_table(connection):
                connection.execute("ALTER TABLE answers ADD COLUMN checksum INTEGER")
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _check_pages(connection: sqlite3.Connection) -> None:
    """Read every page once: 3 ms for 1,000 answers."""
    damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise sqlite3.DatabaseError(" ".join(damage.split()))


def _has_table(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchone() is not None


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, whenever the process is killed."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


# --- mending ---------------------------------------------------------------------------------------------


def _mend(path: Path) -> int:
    """Fill a new file with what the damaged one still holds; how many answers that is."""
    mending = _beside(path, ".mending")
    for name in ("", LOG, SHARED):
        _beside(mending, name).unlink(missing_ok=True)
    with contextlib.closing(_connected(mending)) as connection:
        with _transaction(connection):
            for row in salvaged_rows(path):
                if _is_sound(row):
                    connection.execute(_KEEP, row if len(row) == 6 else (*row, None))
        kept = int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])
    mending.replace(_beside(path, ".mended"))
    return kept


def _is_sound(row: tuple[Value, ...]) -> bool:
    """Whether a salvaged row is an answer as it was written. Those of schema 1 have no checksum, and must at least be read."""
    if len(row) not in {5, 6}:
        return False
    key, endpoint, model, answer, stored_at = row[:5]
    is_row = isinstance(endpoint, str) and isinstance(model, str) and isinstance(stored_at, float | int)
    if not (isinstance(key, str) and isinstance(answer, str) and is_row):
        return False
    if len(row) == 6 and row[5] is not None:
        return row[5] == checksum(key, answer.encode())
    return len(key) == _KEY_LETTERS and any(_is_readable(answer, kind) for kind in (Completion, Embedding))


def _is_readable(answer: str, kind: type[Completion] | type[Embedding]) -> bool:
    try:
        from_json(kind, answer)
    except ParseError:
        return False
    return True


def _put_in_place(path: Path) -> Path:
    """Set the damaged file and its log aside and put the mended one in its place; where the damaged one is now."""
    aside = next(
        aside
        for number in count(1)
        if not (aside := _beside(path, f".damaged-{number}")).exists() and not _beside(aside, LOG).exists()
    )
    _beside(path, SHARED).unlink(missing_ok=True)
    # The log first: beside the mended file SQLite would take it for that one's.
    for name in (LOG, ""):
        if _beside(path, name).exists():
            _beside(path, name).replace(_beside(aside, name))
    _beside(path, ".mended").replace(path)
    return aside


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")
