"""Asking an endpoint through the official client, which knows proxies and certificates of every kind and retries by itself."""

import contextlib
import socket
from collections.abc import Iterator, Mapping

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    OpenAIError,
    Timeout,
)

from harness.models.exchange import (
    BrokenConnectionError,
    ExchangeError,
    KeylessError,
    RefusedError,
    TimedOutError,
    UnreadableError,
)
from harness.models.surroundings import CONNECT_TIMEOUT_S, address_of, unconnectable
from harness.records import Endpoint, Json
from harness.redaction import MIN_KEY_LENGTH, cut, discreet_logs, public_url, secrets_of


class OfficialTransport:
    """One AsyncOpenAI. For one event loop, and closed there.

    Raises:
        EndpointError: The environment's proxy or certificate settings let no client be made.
        KeylessError: No key is given, and none in the environment.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._client = connect(endpoint)
        self._secrets = address_of(endpoint).secrets
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(discreet_logs(self._secrets))

    @property
    def key(self) -> str:
        """The key in use, for cutting it out of messages."""
        return self._client.api_key

    async def post(self, body: Mapping[str, Json], *, path: str) -> str:
        """POST the body to a path below the base URL; the text of the answer, whatever it is.

        Raises:
            ExchangeError: The client gave up.
            UnicodeEncodeError: The body holds half a surrogate pair.
        """
        try:
            text = await self._client.post(path, cast_to=str, body=body)
        except OpenAIError as error:
            raise exchange_error(error) from error
        return cut(text, self._secrets, shortest=MIN_KEY_LENGTH)

    async def close(self) -> None:
        """Close the connections."""
        with self._stack:
            await self._client.close()


def connect(endpoint: Endpoint) -> AsyncOpenAI:
    """The official client of an endpoint, with its own retries.

    Raises:
        EndpointError: The environment's proxy or certificate settings let no client be made.
        KeylessError: No key is given, and none in the environment.
    """
    timeout = Timeout(endpoint.timeout_s, connect=min(CONNECT_TIMEOUT_S, endpoint.timeout_s))
    address = address_of(endpoint)
    try:
        http_client = DefaultAsyncHttpxClient(timeout=timeout)
    except Exception as error:
        raise unconnectable(error) from error
    return AsyncOpenAI(
        api_key=address.key,
        # Apart: the client puts a path behind the query, and writes the user of a URL into its log.
        base_url=public_url(address.base_url),
        default_query=address.query,
        default_headers={"Authorization": address.headers["Authorization"]},
        timeout=timeout,
        max_retries=endpoint.max_retries,
        http_client=http_client,
    )


def exchange_error(error: OpenAIError) -> ExchangeError:
    """How an exchange through the official client ended without an answer."""
    if isinstance(error, APITimeoutError):
        return TimedOutError(str(error))
    if isinstance(error, APIConnectionError):
        causes = list(_causes(error))
        words = str(causes[-1]) if len(causes) > 1 else str(error)
        return BrokenConnectionError(_discreet(words, error), is_unreachable=any(map(_is_nobody, causes)))
    if isinstance(error, APIStatusError):
        return RefusedError(error.status_code, _discreet(error.response.text, error))
    if isinstance(error, APIError):
        return UnreadableError(_discreet(str(error), error))
    return KeylessError(str(error))


def _discreet(words: str, error: APIError) -> str:
    """Words without what the request they answer carried."""
    return cut(words, secrets_of(str(error.request.url), error.request.headers))


def _is_nobody(cause: BaseException) -> bool:
    is_unsupported = type(cause).__name__ == "UnsupportedProtocol"
    return isinstance(cause, ConnectionRefusedError | socket.gaierror) or is_unsupported


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
