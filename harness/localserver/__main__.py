"""`python -m harness.localserver`: fetch the weights, listen, and tell a launcher about it on standard output.

Standard output carries one JSON object a line: `{"event": "weights", "done", "total"}` in bytes while the
weights are fetched, `{"event": "ready", "base_url", "model", "weights"}` once requests are answered,
`{"event": "error", "message", "remedy"}` before it ends with status 1. Standard error is for logs.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.localserver.api.routes import create_app
from harness.localserver.api.services import ServedModel, Terms
from harness.localserver.generation.requests import Engine
from harness.localserver.jobs.trainer_process import TrainerSetup
from harness.localserver.model.processors import available_processors
from harness.localserver.model.weights import ensure_weights, weights_digest
from harness.localserver.serving import base_url, bound, check_alive, end_on_sigterm, serve, tell
from harness.localserver.state.store import Store, open_store
from harness.serial import digest, file_digest

MODEL = "smollm2-135m-instruct"
# The day its weights were published.
MODEL_PUBLISHED = datetime(2024, 10, 31, tzinfo=timezone.utc)
# The folders of the modules that decide what is answered. Their bytes are part of the fingerprint, so that no version number
# has to be remembered when one of them changes.
_ANSWERING = ("generation", "model")

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
    end_on_sigterm()
    try:
        _check_exposure(settings)
        with (
            contextlib.closing(open_store(settings.state)) as store,
            bound(settings.host, settings.port) as listener,
        ):
            _serve(settings, store, listener=listener)
    except HarnessError as error:
        tell(event="error", message=error.problem, remedy=error.remedy)
        return 1
    except KeyboardInterrupt:
        pass  # the server has shut down in order and only passes the signal on
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
        "--threads",
        type=int,
        default=available_processors(),
        help="processor threads a training, and the engine, may use (default: %(default)s)",
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


def _check_exposure(settings: Settings) -> None:
    """Whoever reaches the server may read its files and use its processor: others only with a key."""
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = settings.host == "localhost"
    if not loopback and settings.api_key is None:
        raise UsageError(
            f"--host {settings.host} can be reached from other machines, and no key is set",
            remedy="add --api-key-env NAME, or listen on 127.0.0.1",
        )


def _serve(settings: Settings, store: Store, *, listener: socket.socket) -> None:
    weights = ensure_weights(progress=_progress(settings.parent_pid))
    base = _embedded_model(weights)
    app = create_app(
        store,
        base=base,
        engine=_engine(weights, settings.threads),
        trainer=TrainerSetup(
            command=(sys.executable, "-m", "harness.localserver.training.trainer"),
            weights=weights,
            threads=settings.threads,
        ),
        terms=Terms(api_key=settings.api_key),
    )

    def on_ready() -> None:
        tell(event="ready", base_url=base_url(listener), model=base.name, weights=base.digest)

    asyncio.run(serve(app, listener, parent_pid=settings.parent_pid, on_ready=on_ready))


def _engine(weights: Path, threads: int) -> Callable[[], Engine]:
    def load() -> Engine:
        # Imported here because it imports torch, which takes seconds: the server is ready without it, and a
        # server that only trains never needs it.
        from harness.localserver.generation.engine import Engine as TorchEngine
        from harness.localserver.generation.lean import LeanBackend

        return TorchEngine(LeanBackend(weights, threads=threads))

    return load


def _embedded_model(weights: Path) -> ServedModel:
    found = weights_digest(weights)
    folders = [Path(__file__).with_name(name) for name in _ANSWERING]
    code = {path.name: file_digest(path) for folder in folders for path in sorted(folder.glob("*.py"))}
    return ServedModel(
        name=MODEL,
        created_at=int(MODEL_PUBLISHED.timestamp()),
        digest=found,
        fingerprint="fp_" + digest({"weights": found, "torch": metadata.version("torch"), **code})[:10],
    )


def _progress(parent_pid: int | None) -> Callable[[int, int], None]:
    told = -PROGRESS_STEP

    def progress(done: int, total: int) -> None:
        nonlocal told
        check_alive(parent_pid)
        if done == total or done - told >= PROGRESS_STEP:
            told = done
            tell(event="weights", done=done, total=total)

    return progress


if __name__ == "__main__":
    sys.exit(main())
