"""Answers that were paid for once: a content-addressed store, and a model that looks there first.

What it promises, and every change to it must keep:

- An answer is stored before anybody sees it: it is used when its own row is committed, however rows are grouped.
- A process that is killed at any moment loses at most the requests that were under way; started again it asks for nothing else.
- A power cut may take the answers of the last moments (what the system had not yet written out), never older ones.
- Nothing that was damaged is taken for an answer: each has a checksum. A damaged file is set aside and told of, and what
  can be read of it is kept (`answer_files`).
- Several processes may share the file. Two that ask the same at the same moment may both pay; afterwards nobody does.
- Failures are not stored: the next run asks again.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Generic, TypeVar

from filelock import FileLock, Timeout

from harness.errors import StorageError
from harness.models.answer_files import BUSY_TIMEOUT_S, checksum, open_answers
from harness.protocols import Model
from harness.records import Completion, Embedding, Failure, Message, Sampling
from harness.serial import ParseError, digest, from_json, to_json, to_plain

log = logging.getLogger(__name__)

NOTHING_KNOWN: Mapping[str, Completion] = MappingProxyType({})
_T = TypeVar("_T")
_Answer = TypeVar("_Answer", bound=Completion | Embedding)


class AnswerCache:
    """Completions on disk, by the digest of what was asked. Several processes may share the file.

    Args:
        path: The file; made when it is not there.
        tell: Told what was damaged and what became of it, in one sentence; by default it is logged.

    Raises:
        StorageError: The file cannot be read or written, or belongs to a newer harness.
    """

    def __init__(self, path: Path, *, tell: Callable[[str], None] = log.warning) -> None:
        self.path = path
        # Questions being asked right now, so that two who ask the same share one request.
        self.pending: dict[str, asyncio.Future[Completion | Embedding | Failure]] = {}
        # Whether answers may be missing here that were stored once.
        self.was_mended = False
        self._tell = tell
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
            try:
                # The last one to close takes the log away, and who opens the file meanwhile may be told that it is
                # locked (https://www.sqlite.org/wal.html, section 10).
                with self._alone():
                    self._connection.close()
            except (OSError, Timeout):
                self._connection.close()

    def find(self, key: str, kind: type[_Answer]) -> _Answer | None:
        """The stored answer (a completion or an embedding), marked as cached, with the usage and latency it had when it came."""
        # As bytes: damage that is no UTF-8 would be an error of SQLite's, and is one of the row.
        query = "SELECT CAST(answer AS BLOB), checksum FROM answers WHERE key = ?"
        row = self._try(lambda: self._connection.execute(query, (key,)).fetchone())
        if row is None:
            return None
        answer, proof = row
        if proof is not None and proof != checksum(key, answer):
            self._tell(f"an answer in {self.path} is damaged, and is asked again")
            return None
        try:
            return replace(from_json(kind, answer), cached=True)
        except ParseError:
            return None  # not an answer as we write them: as good as none, and overwritten by the next

    def holds(self, key: str) -> bool:
        """Whether the question of this key has been paid for."""
        query = "SELECT 1 FROM answers WHERE key = ?"
        return bool(self._try(lambda: self._connection.execute(query, (key,)).fetchone() is not None))

    def store(self, key: str, answer: Completion | Embedding, *, endpoint: str, model: str) -> None:
        """Write one answer; it is with the operating system when this returns, and outlives this process."""
        text = to_json(replace(answer, cached=False))
        row = (key, endpoint, model, text, time.time(), checksum(key, text.encode()))
        self._try(
            lambda: self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?)", row)
        )

    def _try(self, act: Callable[[], _T]) -> _T:
        """Act on the connection; once, a damaged file is mended."""
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

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                return open_answers(self.path, tell=self._tell_of_mending)
        except Timeout as error:
            remedy = f"another process holds {self.path}.lock: end it"
            raise StorageError(f"the answer cache {self.path} is locked", remedy=remedy) from error
        except (OSError, sqlite3.Error) as error:
            raise self._trouble(error) from error

    def _tell_of_mending(self, sentence: str) -> None:
        self.was_mended = True
        self._tell(sentence)

    def _alone(self) -> FileLock:
        """Held while the file is opened, mended or closed; not while it is used."""
        return FileLock(f"{self.path}.lock", timeout=BUSY_TIMEOUT_S)

    def _trouble(self, error: Exception) -> StorageError:
        remedy = (
            f"free space on its disk, or make {self.path.parent} writable; what was stored before is kept"
        )
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
    from elsewhere, by `answer_key`, come before those of the cache, and do not enter it. Answers that came with one of
    the `batches` were asked for by this run: the first who wants one has paid for it.
    """

    def __init__(
        self,
        model: Model,
        cache: AnswerCache,
        *,
        endpoint: str,
        read: bool = True,
        known: Mapping[str, Completion] = NOTHING_KNOWN,
        batches: Collection[str] = (),
    ) -> None:
        self._model = model
        self._endpoint = endpoint
        self._known = known
        self._batches = batches
        self._handed_out: set[str] = set()
        self._cache = cache
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
        if self._batches and (own := self._from_batch(key)) is not None:
            return own
        return await self._stored.get(key, lambda: self._model.complete(messages, sampling, trial=trial))

    def _from_batch(self, key: str) -> Completion | None:
        found = self._cache.find(key, Completion)
        if found is None or found.batch not in self._batches:
            return None
        is_paid = key in self._handed_out
        self._handed_out.add(key)
        return replace(found, cached=is_paid)


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
