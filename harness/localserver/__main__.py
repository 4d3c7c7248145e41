"""`python -m harness.localserver`: fetch the weights, listen, and tell a launcher about it on standard output.

Standard output carries one JSON object a line: `{"event": "weights", "done", "total"}` in bytes while the
weights are fetched, `{"event": "ready", "base_url", "model", "weights"}` once requests are answered,
`{"event": "error", "message", "remedy"}` before it ends with status 1. Standard error is for logs.
"""

import argparse
import asyncio
import ipaddress
import json
import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import uvicorn

from harness.errors import EndpointError, HarnessError, UsageError
from harness.localserver.inference import Engine
from harness.localserver.routes import create_app
from harness.localserver.services import EmbeddedModel
from harness.localserver.store import Store, open_store
from harness.localserver.trainer_process import TrainerSetup
from harness.localserver.weights import ensure_weights, weights_digest
from harness.serial import digest, file_digest

MODEL = "smollm2-135m-instruct"
# The day its weights were published.
MODEL_PUBLISHED = datetime(2024, 10, 31, tzinfo=timezone.utc)

# The modules that decide what is answered. Their bytes are part of the fingerprint, so that no version number
# has to be remembered when one of them changes.
_ANSWERING = ("adapters.py", "generation.py", "gguf_file.py", "network.py", "tokenizer.py")

# How often the server looks whether the process it serves still lives.
WATCH_S = 0.5
# How long open requests may still take when the server is told to stop.
DRAIN_S = 2
# Progress of the download is told at most this often, in bytes.
PROGRESS_STEP = 2**20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line says."""

    host: str
    port: int
    state: Path
    api_key: str | None
    parent_pid: int | None
    threads: int


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; 1 when it cannot begin."""
    settings = _settings(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    try:
        _check_exposure(settings)
        store = open_store(settings.state)
        try:
            with _bound(settings.host, settings.port) as listener:
                weights = ensure_weights(progress=_progress())
                asyncio.run(_serve(settings, store, listener, weights))
        finally:
            store.close()
    except HarnessError as error:
        _tell(event="error", message=error.problem, remedy=error.remedy)
        return 1
    except KeyboardInterrupt:
        pass  # uvicorn has shut down in order and only passes the signal on
    return 0


def _settings(arguments: list[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m harness.localserver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--state", type=Path, required=True, help="folder of files, jobs and models")
    parser.add_argument(
        "--api-key-env", metavar="NAME", help="environment variable with the key every request must bear"
    )
    parser.add_argument("--parent-pid", type=int, help="stop when this process is gone")
    parser.add_argument(
        "--threads", type=int, default=_cores(), help="processor threads of a training (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    key = os.environ.get(given.api_key_env) if given.api_key_env else None
    if given.api_key_env and not key:
        parser.error(f"--api-key-env {given.api_key_env}: the environment has no such variable")
    return Settings(
        host=given.host,
        port=given.port,
        state=given.state,
        api_key=key,
        parent_pid=given.parent_pid,
        threads=given.threads,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_exposure(settings: Settings) -> None:
    """A server that others can reach runs code-sized uploads and trainings for them: only with a key."""
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = settings.host == "localhost"
    if not loopback and settings.api_key is None:
        raise UsageError(
            f"--host {settings.host} can be reached from other machines, and no key is set",
            remedy="add --api-key-env NAME, or listen on 127.0.0.1",
        )


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise EndpointError(
            f"cannot listen on {host}:{port}: {error}", remedy="choose another port, or 0 for a free one"
        ) from None


async def _serve(settings: Settings, store: Store, listener: socket.socket, weights: Path) -> None:
    base = _embedded_model(weights)
    app = create_app(
        store,
        base=base,
        engine=_engine(weights),
        trainer=TrainerSetup(
            command=(sys.executable, "-m", "harness.localserver.trainer"),
            weights=weights,
            threads=settings.threads,
        ),
        api_key=settings.api_key,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=DRAIN_S
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        host, port = listener.getsockname()[:2]
        base_url = f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"
        _tell(event="ready", base_url=base_url, model=base.name, weights=base.digest)
    watching = asyncio.create_task(_watch(settings.parent_pid, server)) if settings.parent_pid else None
    await serving
    if watching:
        watching.cancel()


def _engine(weights: Path) -> Callable[[], Engine]:
    def load() -> Engine:
        # Imported here because it imports torch, which takes seconds: the server is ready without it, and a
        # server that only trains never needs it.
        from harness.localserver.generation import Engine as TorchEngine

        return TorchEngine(weights)

    return load


def _embedded_model(weights: Path) -> EmbeddedModel:
    found = weights_digest(weights)
    code = {name: file_digest(Path(__file__).with_name(name)) for name in _ANSWERING}
    return EmbeddedModel(
        name=MODEL,
        created_at=int(MODEL_PUBLISHED.timestamp()),
        digest=found,
        fingerprint="fp_" + digest({"weights": found, "torch": metadata.version("torch"), **code})[:10],
    )


async def _watch(parent: int, server: uvicorn.Server) -> None:
    """Stop the server when the process it was started for is gone."""
    ours = os.getppid() == parent
    while _lives(parent, ours=ours):
        await asyncio.sleep(WATCH_S)
    server.should_exit = True


def _lives(parent: int, *, ours: bool) -> bool:
    if ours:
        return os.getppid() == parent  # also right when the number is given to another process
    try:
        os.kill(parent, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _progress() -> Callable[[int, int], None]:
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done == total or done - told >= PROGRESS_STEP:
            told = done
            _tell(event="weights", done=done, total=total)

    return progress


def _tell(**event: str | int) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main())
