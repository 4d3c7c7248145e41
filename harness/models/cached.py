"""Answers that were paid for once: a content-addressed store, and a model that looks there first.

An answer is written before anybody sees it, so a run killed at any moment and started again asks
only for what it never received. Failures are not stored: the next run asks again.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Generic, TypeVar

from filelock import FileLock, Timeout

from harness.errors import StorageError
from harness.protocols import Model
from harness.records import Completion, Embedding, Failure, Message, Sampling
from harness.serial import ParseError, digest, from_json, to_json, to_plain

log = logging.getLogger(__name__)

SCHEMA = 1
# Marks the file as ours in SQLite's header, so that we never write into somebody else's database.
APPLICATION_ID = 0x46544843  # "FTHC"
# Another process holds the file for the milliseconds of one insert; longer means it hangs.
BUSY_TIMEOUT_S = 30.0

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, model TEXT NOT NULL, answer TEXT NOT NULL, stored_at REAL NOT NULL
) WITHOUT ROWID
"""
NOTHING_KNOWN: Mapping[str, Completion] = MappingProxyType({})
_T = TypeVar("_T")
_Answer = TypeVar("_Answer", bound=Completion | Embedding)


class AnswerCache:
    """Completions on disk, by the digest of what was asked. Several processes may share the file.

    A damaged file is moved aside (`moved_aside` says where) and a new one begun.

    Raises:
        StorageError: The file cannot be read or written, or belongs to a newer harness.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moved_aside: Path | None = None
        # Questions being asked right now, so that two who ask the same share one request.
        self.pending: dict[str, asyncio.Future[Completion | Embedding | Failure]] = {}
        # The connection is made where the run is prepared and used in the event loop's thread.
        self._lock = threading.Lock()
        self._connection = self._open()

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was stored stays."""
        with self._lock:
            self._connection.close()

    def find(self, key: str, kind: type[_Answer]) -> _Answer | None:
        """The stored answer (a completion or an embedding), marked as cached, with the usage and latency it had when it came."""
        query = "SELECT answer FROM answers WHERE key = ?"
        row = self._try(lambda: self._connection.execute(query, (key,)).fetchone())
        if row is None:
            return None
        try:
            return replace(from_json(kind, row[0]), cached=True)
        except ParseError:
            return None  # not an answer as we write them: as good as none, and overwritten by the next

    def holds(self, key: str) -> bool:
        """Whether the question of this key has been paid for."""
        query = "SELECT 1 FROM answers WHERE key = ?"
        return bool(self._try(lambda: self._connection.execute(query, (key,)).fetchone() is not None))

    def store(self, key: str, answer: Completion | Embedding, *, endpoint: str, model: str) -> None:
        """Write one answer; it is on disk when this returns."""
        row = (key, endpoint, model, to_json(replace(answer, cached=False)), time.time())
        self._try(lambda: self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?)", row))

    def _try(self, act: Callable[[], _T]) -> _T:
        """Act on the connection; once, a damaged file is replaced by a new one."""
        with self._lock:
            try:
                return act()
            except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
                raise self._trouble(error) from error
            except sqlite3.DatabaseError:
                self._connection.close()
                self._connection = self._open()
            try:
                return act()
            except sqlite3.Error as error:
                raise self._trouble(error) from error

    # --- opening -------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Two processes that find the same damage must not move each other's new file aside.
            with FileLock(f"{self.path}.lock", timeout=BUSY_TIMEOUT_S):
                try:
                    return self._connect()
                except sqlite3.OperationalError:
                    raise
                except sqlite3.DatabaseError as error:
                    self._move_aside(error)
                    return self._connect()
        except Timeout as error:
            remedy = f"another process holds {self.path}.lock; end it, or use another cache"
            raise StorageError(f"the answer cache {self.path} is locked", remedy=remedy) from error
        except (OSError, sqlite3.Error) as error:
            raise self._trouble(error) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        owner, schema = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if owner != APPLICATION_ID and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise StorageError(
                f"{self.path} is another program's database",
                remedy="choose another path for the answer cache",
            )
        if schema > SCHEMA:
            raise StorageError(
                f"the answer cache {self.path} has schema {schema}, this harness reads up to {SCHEMA}",
                remedy="upgrade the harness, or delete the file: its answers are then paid for again",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing; only a power cut can take the last answers.
        connection.execute("PRAGMA synchronous = NORMAL")
        if schema < SCHEMA:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)

    def _move_aside(self, error: sqlite3.DatabaseError) -> None:
        self.moved_aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        self.path.replace(self.moved_aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).unlink()
        log.warning(
            "the answer cache %s is damaged (%s): moved to %s, a new one is begun and its answers are paid for again",
            self.path,
            error,
            self.moved_aside.name,
        )

    def _trouble(self, error: Exception) -> StorageError:
        remedy = "free space or permissions, or choose another path; what was stored before is kept"
        return StorageError(f"the answer cache {self.path} cannot be used: {error}", remedy=remedy)


class Stored(Generic[_Answer]):
    """Outcomes of one model, each asked for once: looked up, or asked and stored before anybody sees it.

    With `read` off what earlier sessions stored is not looked at, and replaced; what this one asked is.

    Args:
        cache: Where they are kept.
        kind: What is kept: completions or embeddings.
        endpoint: The endpoint's public label.
        model: The model's id.
        read: Whether earlier sessions' outcomes count.
    """

    def __init__(
        self, cache: AnswerCache, kind: type[_Answer], *, endpoint: str, model: str, read: bool = True
    ) -> None:
        self._cache = cache
        self._kind = kind
        self._endpoint = endpoint
        self._model = model
        self._read = read
        self._asked: set[str] = set()

    async def get(self, key: str, ask: Callable[[], Awaitable[_Answer | Failure]]) -> _Answer | Failure:
        """The stored outcome of a key, or a new one.

        Raises:
            StorageError: The answer came but could not be written.
        """
        while (shared := self._cache.pending.get(key)) is not None:
            await asyncio.wait((shared,))
            if not shared.cancelled():
                outcome = shared.result()
                if isinstance(outcome, self._kind):
                    return replace(outcome, cached=True)
                assert isinstance(outcome, Failure), "one key has outcomes of one kind"
                return outcome
        if self._read or key in self._asked:
            found = self._cache.find(key, self._kind)
            if found is not None:
                return found
        return await self._ask(key, ask)

    async def _ask(self, key: str, ask: Callable[[], Awaitable[_Answer | Failure]]) -> _Answer | Failure:
        pending: asyncio.Future[Completion | Embedding | Failure] = asyncio.get_running_loop().create_future()
        self._cache.pending[key] = pending
        try:
            outcome = await ask()
            if not isinstance(outcome, Failure):
                self._cache.store(key, outcome, endpoint=self._endpoint, model=self._model)
                self._asked.add(key)
            pending.set_result(outcome)
            return outcome
        finally:
            # Whoever waits for an asker that was cancelled or broke asks for himself.
            pending.cancel()
            del self._cache.pending[key]


class CachedModel:
    """A model whose answers are kept in an AnswerCache; `endpoint` is the endpoint's public label.

    With `read` off every question is asked anew, once, and its answer replaces the stored one. Answers `known`
    from elsewhere, by `answer_key`, come before those of the cache, and do not enter it.
    """

    def __init__(
        self,
        model: Model,
        cache: AnswerCache,
        *,
        endpoint: str,
        read: bool = True,
        known: Mapping[str, Completion] = NOTHING_KNOWN,
    ) -> None:
        self._model = model
        self._endpoint = endpoint
        self._known = known
        self._stored = Stored(cache, Completion, endpoint=endpoint, model=model.name, read=read)

    @property
    def name(self) -> str:
        """The model id."""
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        """The stored answer, or a new one, stored before it is returned.

        Raises:
            StorageError: The answer came but could not be written.
        """
        key = answer_key(messages, sampling, endpoint=self._endpoint, model=self.name, trial=trial)
        if key in self._known:
            return replace(self._known[key], cached=True)
        return await self._stored.get(key, lambda: self._model.complete(messages, sampling, trial=trial))


def answer_key(
    messages: Sequence[Message], sampling: Sampling, *, endpoint: str, model: str, trial: int = 0
) -> str:
    """The digest an answer is stored under: everything that decides what the endpoint is asked."""
    drawn = to_plain(sampling)
    if drawn["top_logprobs"] is None:  # answers from before there was such a setting are still found
        del drawn["top_logprobs"]
    return digest(
        {
            "endpoint": endpoint,
            "model": model,
            "messages": [dict(message) for message in messages],
            "sampling": drawn,
            "trial": trial,
        }
    )
