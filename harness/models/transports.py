"""Which way an endpoint is asked: directly, or through the official client where only that knows how."""

import importlib
from collections.abc import Mapping
from typing import Protocol

from harness.models.direct import DirectTransport
from harness.models.surroundings import address_of, is_plain
from harness.records import Endpoint, Json


class Transport(Protocol):
    """Posts to one endpoint and retries; lives in one event loop."""

    @property
    def key(self) -> str:
        """The key in use, for cutting it out of messages."""

    async def post(self, body: Mapping[str, Json], *, path: str) -> str:
        """POST the body to a path below the base URL; the text of the answer, whatever it is."""

    async def close(self) -> None:
        """Close the connections."""


def open_transport(endpoint: Endpoint) -> Transport:
    """The way to an endpoint, opened inside the event loop that will use it.

    Raises:
        EndpointError: The environment's proxy or certificate settings let no client be made.
        KeylessError: No key is given, and none in the environment.
    """
    address = address_of(endpoint)
    if is_plain(address):
        return DirectTransport(endpoint, address)
    # Not imported above: it takes the official client half a second to load, and few runs need it.
    official: Transport = importlib.import_module("harness.models.official").OfficialTransport(endpoint)
    return official
