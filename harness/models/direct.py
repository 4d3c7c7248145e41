"""Asking an endpoint over aiohttp: the official client's retries and errors at a tenth of its work per call.

Why there are two ways: docs/decisions/2026-11-23-two-ways-to-ask.md.
"""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from types import MappingProxyType

import aiohttp
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from harness.models.exchange import (
    BrokenConnectionError,
    ExchangeError,
    RefusedError,
    TimedOutError,
    UnreadableError,
)
from harness.models.failures import stops_all
from harness.models.pace import Pace
from harness.models.retries import LONGEST_RETRY_AFTER_S, delay_s, is_worth_retrying, retry_after_s
from harness.models.surroundings import CONNECT_TIMEOUT_S, Address, trusted_certificates
from harness.records import Endpoint, Json
from harness.redaction import MIN_KEY_LENGTH, MIN_SECRET_LENGTH, cut, public_url

LONGEST_ANSWER = 64 * 2**20
"""Bytes, after unpacking. A chat completion of the longest context there is has a few million."""
PATIENCE_WITH_NOBODY = 2
"""Times that an address is asked again at which nobody has ever answered."""
_TOO_MUCH = frozenset({429, 503})


class _AttemptError(Exception):
    """How one attempt failed, with the headers of a refusal."""

    def __init__(self, error: ExchangeError, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(str(error))
        self.error = error
        self.headers = headers


class DirectTransport:
    """Keeps connections to one endpoint. To be made in the event loop that uses it, and closed there.

    Raises:
        EndpointError: The certificates that the environment names cannot be read.
    """

    def __init__(self, endpoint: Endpoint, address: Address) -> None:
        self.key = address.key
        self._address = address
        self._max_retries = endpoint.max_retries
        self._pace = Pace()
        self._has_answered = False
        self._stopped_by: RefusedError | None = None
        # So many connections as there are requests under way: how many those are is decided above.
        trust = trusted_certificates() if address.base_url.startswith("https:") else False
        timeout_s = endpoint.timeout_s
        self._session = ClientSession(
            connector=TCPConnector(limit=0, ssl=trust),
            timeout=ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s)),
            headers=address.headers,
        )

    async def post(self, body: Mapping[str, Json], *, path: str) -> str:
        """POST the body to a path below the base URL; the text of the answer, whatever it is.

        Raises:
            ExchangeError: None came, after `max_retries` more attempts where these may help.
            UnicodeEncodeError: The body holds half a surrogate pair.
        """
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
        attempt = 0
        while True:
            try:
                return await self._attempt(self._address.url(path), data)
            except _AttemptError as failed:
                if attempt >= self._max_retries or not self._may_help(failed, attempt):
                    raise failed.error from failed.error.__cause__
                # No secret is drawn here; the jitter only keeps requests apart.
                pause = delay_s(attempt, failed.headers, now=time.time(), chance=random.random())  # noqa: S311
            await asyncio.sleep(pause)
            attempt += 1

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _attempt(self, url: str, data: bytes) -> str:
        await self._pace.enter()
        try:
            if self._stopped_by is not None:
                raise _AttemptError(self._stopped_by)
            status, headers, text = await self._exchange(url, data)
            self._has_answered = True
            if status < 300:
                self._pace.answered()
                return text
            raise _AttemptError(self._refused(status, headers, text), headers)
        finally:
            self._pace.leave()

    def _refused(self, status: int, headers: Mapping[str, str], text: str) -> RefusedError:
        error = RefusedError(status, text)
        if stops_all(error):
            # Whoever waits to ask again would be refused too, and every request may cost.
            self._stopped_by = error
        elif status in _TOO_MUCH:
            asked = retry_after_s(headers, now=time.time())
            in_bounds = asked is not None and 0 < asked <= LONGEST_RETRY_AFTER_S
            self._pace.refused(rest_s=asked if in_bounds else None)
        return error

    def _may_help(self, failed: "_AttemptError", attempt: int) -> bool:
        """Whether to ask again."""
        error = failed.error
        if isinstance(error, RefusedError):
            return error is not self._stopped_by and is_worth_retrying(
                error.status, failed.headers, now=time.time()
            )
        if isinstance(error, BrokenConnectionError) and error.is_unreachable and not self._has_answered:
            # A server that was there and is gone may come back; one that never was is most likely misspelt.
            return attempt < PATIENCE_WITH_NOBODY
        return isinstance(error, BrokenConnectionError | TimedOutError)

    async def _exchange(self, url: str, data: bytes) -> tuple[int, Mapping[str, str], str]:
        """Status, headers by lower-case name, and text of one attempt."""
        try:
            async with self._session.post(url, data=data) as response:
                parts, size = [], 0
                async for part in response.content.iter_any():
                    size += len(part)
                    if size > LONGEST_ANSWER:
                        what = f"the answer is longer than {LONGEST_ANSWER // 2**20} MB"
                        raise _AttemptError(UnreadableError(what))
                    parts.append(part)
                headers = {name.lower(): value for name, value in response.headers.items()}
                # An endpoint that repeats what it was sent must not bring the key into results and messages.
                shortest = MIN_KEY_LENGTH if response.ok else MIN_SECRET_LENGTH
                text = b"".join(parts).decode("utf-8", "replace")
                text = cut(text, self._address.secrets, shortest=shortest)
                return response.status, headers, text
        except asyncio.TimeoutError as error:
            raise _AttemptError(TimedOutError(str(error))) from error
        except aiohttp.InvalidURL as error:
            raise _AttemptError(
                BrokenConnectionError(f"{public_url(url)} is no URL", is_unreachable=True)
            ) from error
        except (ClientError, OSError) as error:
            broken = BrokenConnectionError(_words(error), is_unreachable=_nobody_is_there(error))
            raise _AttemptError(broken) from error


def _nobody_is_there(error: BaseException) -> bool:
    """A host that does not exist, or refuses, meets every request; a connection that broke may heal."""
    cause = getattr(error, "os_error", error)
    return isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(cause, ConnectionRefusedError)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
