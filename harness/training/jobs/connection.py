"""The official client of a provider's fine-tuning routes: its trouble as errors with a remedy, its replies as plain data."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Protocol
from urllib.parse import parse_qs, urlsplit, urlunsplit

from openai import (
    APIConnectionError,
    APIStatusError,
    AzureOpenAI,
    BaseModel,
    DefaultHttpxClient,
    OpenAI,
    OpenAIError,
    Timeout,
)

from harness.errors import EndpointError, UsageError
from harness.records import Endpoint, Json
from harness.redaction import redact
from harness.training.remedies import ENVIRONMENT, NO_KEY, NOT_AN_API, UNREACHABLE, remedy_of_status

CONNECT_TIMEOUT_S = 10.0
# The largest page that OpenAI's list calls give.
PAGE = 100
# What the client must be given where the server wants no key.
KEYLESS = "none"
# Azure's older routes are told by it; those below /openai/v1 are OpenAI's own.
AZURE_VERSION = "api-version"


@contextlib.contextmanager
def connected(endpoint: Endpoint) -> Iterator[OpenAI]:
    """The official client, whose trouble leaves the block as an EndpointError."""
    try:
        with _client(endpoint) as client:
            try:
                yield client
            except OpenAIError as error:
                raise trouble(error, endpoint, key=client.api_key) from error
            except json.JSONDecodeError as error:
                raise EndpointError(f"{endpoint.label}: the answer is not JSON", remedy=NOT_AN_API) from error
    except OpenAIError as error:
        raise trouble(error, endpoint) from error


def _client(endpoint: Endpoint) -> OpenAI:
    timeout = Timeout(endpoint.timeout_s, connect=min(CONNECT_TIMEOUT_S, endpoint.timeout_s))
    try:
        http = DefaultHttpxClient(timeout=timeout)
    except Exception as error:  # of many kinds, all about the environment
        raise trouble(error, endpoint) from error
    url, version = _without_version(endpoint.base_url)
    if url is not None and version is not None:
        return AzureOpenAI(
            base_url=url,
            api_version=version,
            api_key=endpoint.api_key,
            timeout=timeout,
            max_retries=endpoint.max_retries,
            http_client=http,
        )
    connect = partial(
        OpenAI, base_url=url, timeout=timeout, max_retries=endpoint.max_retries, http_client=http
    )
    try:
        return connect(api_key=endpoint.api_key)
    except OpenAIError:
        # No key given and none in OPENAI_API_KEY: fine for a server of one's own.
        if endpoint.base_url is None:
            raise
        return connect(api_key=KEYLESS)


def _without_version(url: str | None) -> tuple[str | None, str | None]:
    """A base URL without its query, and the `api-version` in it."""
    if url is None or AZURE_VERSION not in url:
        return url, None
    parts = urlsplit(url)
    version = parse_qs(parts.query).get(AZURE_VERSION, [None])[0]
    return urlunsplit(parts._replace(query="", fragment="")), version


def trouble(error: Exception, endpoint: Endpoint, *, key: str | None = None) -> EndpointError:
    """The client's exception as an error of ours, without any key in it."""
    return EndpointError(f"{endpoint.label}: {words_of(error, key)}", remedy=_remedy(error))


def words_of(error: Exception, key: str | None = None) -> str:
    """What an exception says, on one line and without any key."""
    return " ".join(redact(str(error), key).split())


def _remedy(error: Exception) -> str:
    if isinstance(error, APIConnectionError):
        return UNREACHABLE
    if isinstance(error, APIStatusError):
        return remedy_of_status(error.status_code, error.code)
    return NO_KEY if isinstance(error, OpenAIError) else ENVIRONMENT


# --- replies as plain data: the client hands over whatever came, also a web page's text ---------------------


def plain(reply: object) -> Mapping[str, Json]:
    """An object of the API as plain data.

    Raises:
        EndpointError: It is none.
    """
    if not isinstance(reply, BaseModel):
        raise EndpointError("the answer is not in OpenAI's format", remedy=NOT_AN_API)
    return reply.model_dump(warnings=False)


class Pages(Protocol):
    """What the client's list calls give."""

    def iter_pages(self) -> Iterator[Iterable[BaseModel]]:
        """Page after page, each asked for when it is reached."""


def listed(pages: Callable[[], Pages], *, at_most: int | None = None) -> Iterator[Mapping[str, Json]]:
    """The objects of a list, page after page.

    Raises:
        EndpointError: It is no list.
    """
    try:
        yield from islice(_objects(pages()), at_most)
    except (AttributeError, TypeError) as error:  # how the client stumbles over a page that is none
        raise EndpointError("the list is not in OpenAI's format", remedy=NOT_AN_API) from error


def _objects(pages: Pages) -> Iterator[Mapping[str, Json]]:
    """The objects of pages until one has nothing new: a server that knows no `after` gives its first page for ever."""
    known: set[str] = set()
    for page in pages.iter_pages():
        objects = [(_id(item), item) for item in map(plain, getattr(page, "data", None) or ())]
        fresh = [(name, item) for name, item in objects if name not in known]
        if not fresh:
            return
        known |= {name for name, _ in fresh if name is not None}
        yield from (item for _, item in fresh)


def _id(item: Mapping[str, Json]) -> str | None:
    name = item.get("id")
    return name if isinstance(name, str) else None


def job_data(client: OpenAI, job: str) -> Mapping[str, Json]:
    """One job as the provider tells of it.

    Raises:
        EndpointError: Not in OpenAI's format.
        UsageError: No id.
    """
    if not job:
        raise UsageError("a job's id is empty", remedy="`harness jobs` lists them")
    return plain(client.fine_tuning.jobs.retrieve(job))
