"""The local server as an endpoint: the one a person runs with `harness serve`, else one for as long as a command needs it."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness import localserver
from harness.errors import EndpointError, UsageError
from harness.lineup.telling import Teller, weights_line
from harness.records import Endpoint, Json, record

# The local server asks for no key on loopback; the client wants one.
LOCAL_KEY = "local"
FOLDER = "local-server"
# Another command's training is waited for, not joined: its server ends with it.
WAIT_S = 3600.0
# A server that is joined may be starting just now.
STARTING_S = 15.0
LOOK_S = 1.0
# What a server says that finds another one in its folder.
IN_USE = "another server uses this state folder"


@record
class LocalPlace:
    """A local server in use: its endpoint, the model it serves, and whether it was there before the command that asks."""

    endpoint: Endpoint
    model: str
    lasting: bool


@contextlib.contextmanager
def local_place(state: Path, teller: Teller, *, joins_any: bool = False) -> Iterator[LocalPlace]:
    """The server of a state folder: joined where one runs, else started for the block.

    A server that another command has started ends with that command: it is waited for, unless `joins_any` says that
    the block is short.

    Raises:
        EndpointError: It could not start, or another command keeps it for too long.
        UsageError: The server that runs there wants a key.
    """
    limit_s = STARTING_S if joins_any else WAIT_S
    give_up = time.monotonic() + limit_s
    while True:
        running = localserver.running_server(state)
        if running is not None and (running.lasting or joins_any):
            yield _joined(running)
            return
        try:
            if running is None:
                with _started(state, teller) as place:
                    yield place
                return
        except EndpointError as error:
            if IN_USE not in error.problem:
                raise
        if time.monotonic() > give_up:
            raise EndpointError(
                f"{state}: another command has been using the local server for {limit_s:.0f} s",
                remedy="wait for it or end it; `harness serve` runs one that commands share",
            )
        teller.progress("another command is using the local server: waiting for it to end")
        time.sleep(LOOK_S)


def _joined(running: localserver.Address) -> LocalPlace:
    if running.keyed:
        raise UsageError(
            f"the local server at {running.base_url} wants a key",
            remedy=f"give --base-url {running.base_url}, with the key in OPENAI_API_KEY",
        )
    endpoint = Endpoint(label=f"local:{running.weights}", base_url=running.base_url, api_key=LOCAL_KEY)
    return LocalPlace(endpoint=endpoint, model=running.model, lasting=True)


@contextlib.contextmanager
def _started(state: Path, teller: Teller) -> Iterator[LocalPlace]:
    def on_event(event: Mapping[str, Json]) -> None:
        if event.get("event") == "weights":
            teller.progress(weights_line(event))

    with localserver.start(state, on_event=on_event) as server:
        teller.say(f"local server: {server.model} at {server.base_url}")
        endpoint = Endpoint(label=f"local:{server.weights}", base_url=server.base_url, api_key=LOCAL_KEY)
        yield LocalPlace(endpoint=endpoint, model=server.model, lasting=False)
