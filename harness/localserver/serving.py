"""A process that serves an application: on which socket, for how long, and what it tells its launcher."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.errors import EndpointError, UsageError
from harness.localserver.api.connections import server_settings

_log = logging.getLogger(__name__)
# How often the server looks whether the process it serves still lives.
WATCH_S = 0.5


def tell(**event: str | int) -> None:
    """One line of JSON on standard output, for whoever started this process."""
    print(json.dumps(event), flush=True)


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        EndpointError: The port is taken, or the address is not this machine's.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise EndpointError(
            f"cannot listen on {host}:{port}: {error}", remedy="choose another port, or 0 for a free one"
        ) from None


def base_url(listener: socket.socket) -> str:
    """The URL clients are given."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    parent_pid: int | None,
    on_ready: Callable[[], None],
    verbose: bool = False,
) -> None:
    """Answer requests until SIGTERM or SIGINT, or until the parent is gone; `verbose` logs a line for each."""
    server = uvicorn.Server(server_settings(RequestLog(app) if verbose else app))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        on_ready()
    watching = asyncio.create_task(_watch(parent_pid, server)) if parent_pid else None
    await serving
    if watching:
        watching.cancel()


class RequestLog:
    """Logs what was asked, the status it was answered with, and how long that took; no headers, which bear keys, and no bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it when it has been answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            taken_ms = (time.monotonic() - started) * 1000
            # The path is the client's text: quoted, so that it cannot forge a line or steer a terminal.
            _log.info("%s %r %d %.0f ms", scope["method"], scope["path"], status, taken_ms)


async def _watch(parent_pid: int, server: uvicorn.Server) -> None:
    while lives(parent_pid):
        await asyncio.sleep(WATCH_S)
    server.should_exit = True


_PARENT_AT_START = os.getppid()


def lives(pid: int) -> bool:
    """Whether a process is there; our own parent is recognised even when its number has been given away."""
    if pid == _PARENT_AT_START:
        return os.getppid() == pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_on_sigterm() -> None:
    """Let SIGTERM unwind the program, so that what it has started is ended too, also before it serves."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def check_alive(parent_pid: int | None) -> None:
    """Stop a long preparation for a process that is gone.

    Raises:
        UsageError: It is gone.
    """
    if parent_pid and not lives(parent_pid):
        raise UsageError("The process this server was started for is gone")
