"""The official client of a provider's fine-tuning routes: its trouble as errors with a remedy, its replies as plain data."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from openai import (
    APIConnectionError,
    APIError,
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
from harness.redaction import discreet_logs, public_url, redact, secrets_of, without_user
from harness.training.remedies import ENVIRONMENT, NO_KEY, NOT_AN_API, UNREACHABLE, remedy_of_status

CONNECT_TIMEOUT_S = 10.0
# The largest page that OpenAI's list calls give.
PAGE = 100
# No job has told a hundred thousand events; a server that goes on for ever must not be followed.
MOST_PAGES = 1000
# What the client must be given where the server wants no key.
KEYLESS = "none"
# Azure's older routes are told by it; those below /openai/v1 are OpenAI's own.
AZURE_VERSION = "api-version"


@contextlib.contextmanager
def connected(endpoint: Endpoint) -> Iterator[OpenAI]:
    """The official client, whose trouble leaves the block as an EndpointError."""
    try:
        with discreet_logs(secrets_of(endpoint.base_url or "", {})), _client(endpoint) as client:
            try:
                yield client
            except OpenAIError as error:
                raise trouble(error, endpoint, key=client.api_key) from error
            except (
                ValueError,
                RecursionError,
            ) as error:  # how the client stumbles over what it cannot decode
                raise EndpointError(f"{endpoint.label}: the answer is not JSON", remedy=NOT_AN_API) from error
    except OpenAIError as error:
        raise trouble(error, endpoint) from error


def _client(endpoint: Endpoint) -> OpenAI:
    timeout = Timeout(endpoint.timeout_s, connect=min(CONNECT_TIMEOUT_S, endpoint.timeout_s))
    try:
        http = DefaultHttpxClient(timeout=timeout)
    except Exception as error:  # of many kinds, all about the environment
        raise trouble(error, endpoint) from error
    url, user = without_user(endpoint.base_url or "")
    query = dict(parse_qsl(urlsplit(url).query))
    version = query.pop(AZURE_VERSION, None)
    connect = partial(
        OpenAI if version is None else partial(AzureOpenAI, api_version=version),
        # Apart: the client puts a path behind the query, and writes the user of a URL into its log.
        base_url=public_url(url) or None,
        default_query=query,
        default_headers={"Authorization": user} if user else None,
        timeout=timeout,
        max_retries=endpoint.max_retries,
        http_client=http,
    )
    try:
        return connect(api_key=endpoint.api_key)
    except OpenAIError:
        # No key given and none in OPENAI_API_KEY: fine for a server of one's own.
        if endpoint.base_url is None:
            raise
        return connect(api_key=KEYLESS)


def trouble(error: Exception, endpoint: Endpoint, *, key: str | None = None) -> EndpointError:
    """The client's exception as an error of ours, without any key in it."""
    return EndpointError(f"{endpoint.label}: {words_of(error, key)}", remedy=_remedy(error))


def words_of(error: Exception, key: str | None = None) -> str:
    """What an exception says, on one line and without anything that the request carried for the provider alone."""
    sent = secrets_of(str(error.request.url), error.request.headers) if isinstance(error, APIError) else ()
    return " ".join(redact(str(error), key, *sent).split())


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
    """The objects of pages until one has nothing new: a server that knows no `after` gives its first page for ever.

    Objects without an id cannot be told from those before, so a page of nothing else is the last.
    """
    known: set[str] = set()
    for page in islice(pages.iter_pages(), MOST_PAGES):
        objects = [(_id(item), item) for item in map(plain, getattr(page, "data", None) or ())]
        fresh = [(name, item) for name, item in objects if name not in known]
        if not fresh:
            return
        yield from (item for _, item in fresh)
        named = {name for name, _ in fresh if name is not None}
        if not named:
            return
        known |= named


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
