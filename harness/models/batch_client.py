"""Files and batches of one endpoint, through the official client: sent, created, found again, fetched."""

import contextlib
from collections.abc import Awaitable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import httpx2
from openai import (
    APIConnectionError,
    APIStatusError,
    BaseModel,
    NotFoundError,
    OpenAIError,
)

from harness.errors import EndpointError
from harness.models.batch_lines import URL
from harness.models.exchange import KeylessError, UnreadableError
from harness.models.failures import failure_of, short
from harness.models.official import connect, exchange_error
from harness.models.surroundings import address_of
from harness.records import Endpoint, FailureKind, Json, record
from harness.redaction import discreet_logs

NAME_KEY = "finetune_harness_batch"
"""The key of a batch's metadata under which our own name of it stands: by it a batch is found whose id never arrived."""
SCANNED = 300
"""How many of the newest batches are looked through for one of ours."""
ATTEMPTS = 3
"""How often a download that breaks off is begun."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_PAGE = 100
# What servers without a route say.
_NO_SUCH_ROUTE = frozenset({404, 405, 501})
# What a gateway may say although the request went through, and what is worth asking again.
_UNDECIDED = frozenset({408, 409, 429})
# Failures that pass: a laptop wakes up again, a provider mends its servers.
_PASSING: frozenset[FailureKind] = frozenset({"connection", "timeout", "server", "rate_limit"})

_T = TypeVar("_T")


class UnreachedError(EndpointError):
    """The endpoint cannot be reached, is in trouble or asked too much just now: later it may well answer."""


class LostReplyError(Exception):
    """The reply to a creation never came: there may be a batch, or none."""


@record
class BatchFault:
    """What a provider finds wrong with a batch as a whole, at a line of its input if it is one line's fault."""

    code: str
    message: str
    line: int | None = None


@record
class BatchState:
    """A batch as the provider tells of it."""

    id: str
    status: str
    name: str = ""
    total: int = 0
    done: int = 0
    output_file: str | None = None
    error_file: str | None = None
    faults: tuple[BatchFault, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ENDED


class BatchClient:
    """For one event loop, and closed there.

    Raises:
        EndpointError: No client can be made: the proxy, the certificates, the key.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        try:
            self._client = connect(endpoint)
        except KeylessError as error:
            failure = failure_of(error, model="batches", endpoint=endpoint)
            raise EndpointError(failure.message) from None
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(discreet_logs(address_of(endpoint).secrets))

    async def close(self) -> None:
        """Close the connections."""
        with self._stack:
            await self._client.close()

    async def check(self) -> None:
        """See whether the endpoint knows batches at all.

        Raises:
            EndpointError: It does not, or is in trouble.
        """
        try:
            await self._put(self._client.batches.list(limit=1))
        except APIStatusError as error:
            raise self._missing(error, "Batch API") from None

    async def upload(self, path: Path) -> str:
        """Send a file of requests; the provider's id of it.

        Raises:
            EndpointError: It was refused.
        """
        try:
            file = await self._put(self._client.files.create(file=path, purpose="batch"))
        except APIStatusError as error:
            raise self._missing(error, "Files API", f"the upload of {path.name} was refused") from None
        return self._text(file, "id")

    async def create(self, file: str, *, name: str, run: str) -> BatchState:
        """Begin a batch of an uploaded file. Asked for once: a second creation would be paid for, too.

        Raises:
            LostReplyError: Nobody knows whether there is one now.
            EndpointError: It was refused.
        """
        once = self._client.with_options(max_retries=0)
        metadata = {NAME_KEY: name, "run": run}
        try:
            batch = await once.batches.create(
                input_file_id=file, endpoint=URL, completion_window="24h", metadata=metadata
            )
        except (APIConnectionError, ValueError) as error:
            raise LostReplyError(str(error)) from error
        except APIStatusError as error:
            is_open = error.status_code in _UNDECIDED or error.status_code >= 500
            if is_open and error.code != "insufficient_quota":
                raise LostReplyError(str(error)) from error
            raise self._trouble(error, "the batch was refused") from error
        except OpenAIError as error:
            raise self._trouble(error, "the batch was refused") from error
        return self._state(_plain(batch))

    async def find(self, name: str) -> BatchState | None:
        """The batch that was created under a name of ours, if it is among the newest."""
        seen = 0
        try:
            async for batch in self._client.batches.list(limit=_PAGE):
                state = self._state(_plain(batch))
                if state.name == name:
                    return state
                seen += 1
                if seen >= SCANNED:
                    break
        except OpenAIError as error:
            raise self._trouble(error) from error
        return None

    async def state(self, batch: str) -> BatchState | None:
        """A batch as it is now; None where the provider does not know it any more.

        Raises:
            UnreachedError: Nobody can say now.
            EndpointError: The key is wrong, say.
        """
        try:
            return self._state(_plain(await self._put(self._client.batches.retrieve(batch))))
        except NotFoundError:
            return None
        except APIStatusError as error:
            raise self._trouble(error) from error

    async def fetch(self, file: str, *, to: Path) -> bool:
        """Download a file; False where the provider does not have it any more.

        Raises:
            EndpointError: It broke off again and again, or was refused.
        """
        last: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                async with self._client.files.with_streaming_response.content(file) as response:
                    await response.stream_to_file(to)
            except NotFoundError:
                return False
            except (httpx2.HTTPError, APIConnectionError) as error:
                last = error
            except OpenAIError as error:
                raise self._trouble(error) from error
            else:
                return True
        raise EndpointError(
            f"{self.endpoint.label}: the download of {file} broke off {ATTEMPTS} times: {short(str(last))}",
            remedy="run again to go on",
        ) from last

    # --- replies as plain data: the client hands over whatever came -----------------------------------

    def _state(self, data: Mapping[str, Json]) -> BatchState:
        counts, metadata = _mapping(data.get("request_counts")), _mapping(data.get("metadata"))
        return BatchState(
            id=self._text(data, "id"),
            status=self._text(data, "status"),
            name=str(metadata.get(NAME_KEY) or ""),
            total=_count(counts.get("total")),
            done=_count(counts.get("completed")) + _count(counts.get("failed")),
            output_file=_id(data.get("output_file_id")),
            error_file=_id(data.get("error_file_id")),
            faults=tuple(_faults(data, key=self.endpoint.api_key)),
        )

    def _text(self, data: object, name: str) -> str:
        value = _plain(data).get(name)
        if not isinstance(value, str) or not value:
            raise EndpointError(
                f"{self.endpoint.label}: the answer has no {name}",
                remedy="check that base_url is an OpenAI-compatible API; it usually ends in /v1",
            )
        return value

    async def _put(self, asked: Awaitable[_T]) -> _T:
        """What the client gives; an answer that is no JSON, and a connection that fails, are the endpoint's trouble."""
        try:
            return await asked
        except APIStatusError:
            raise
        except OpenAIError as error:
            raise self._trouble(error) from error
        except ValueError as error:
            failure = failure_of(UnreadableError(str(error)), model="batches", endpoint=self.endpoint)
            raise EndpointError(failure.message) from error

    def _missing(self, error: APIStatusError, what: str, refused: str = "") -> EndpointError:
        if error.status_code in _NO_SUCH_ROUTE:
            problem = f"{self.endpoint.label} has no {what} ({error.status_code})"
            return EndpointError(problem, remedy="run without --batch")
        return self._trouble(error, refused)

    def _trouble(self, error: OpenAIError, what: str = "") -> EndpointError:
        failure = failure_of(
            exchange_error(error), model="batches", endpoint=self.endpoint, key=self._client.api_key
        )
        kind = UnreachedError if failure.kind in _PASSING else EndpointError
        return kind(f"{what}: {failure.message}" if what else failure.message)


def _plain(reply: object) -> Mapping[str, Json]:
    if isinstance(reply, BaseModel):
        return reply.model_dump(warnings=False)
    return reply if isinstance(reply, Mapping) else {}


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _count(value: Json) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _id(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _faults(data: Mapping[str, Json], *, key: str | None) -> Iterator[BatchFault]:
    listed = _mapping(data.get("errors")).get("data")
    for fault in map(_mapping, listed if isinstance(listed, list) else []):
        line = fault.get("line")
        yield BatchFault(
            code=short(str(fault.get("code") or ""), key),
            message=short(str(fault.get("message") or ""), key),
            line=line if isinstance(line, int) else None,
        )
