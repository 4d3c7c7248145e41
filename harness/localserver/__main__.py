"""`python -m harness.localserver`: find the model, listen, and tell a launcher about it on standard output.

Standard output carries one JSON object a line: `{"event": "weights", "done", "total"}` in bytes while the embedded model's
weights are fetched, `{"event": "ready", "base_url", "model", "weights", "device", "threads", "state", "aliases"}` once requests
are answered, `{"event": "error", "message", "remedy"}` before it ends with status 1. Standard error is for logs.
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
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.localserver.api.models import OPENAI_BASES
from harness.localserver.api.routes import create_app
from harness.localserver.api.services import Terms
from harness.localserver.hf.recognition import ModelOnDisk, recognise
from harness.localserver.jobs.trainer_process import TrainerSetup
from harness.localserver.model.processors import available_processors
from harness.localserver.model.weights import ensure_weights
from harness.localserver.offering import (
    Names,
    check_memory,
    check_names,
    check_packages,
    engine_of,
    likely_device,
    served_model,
)
from harness.localserver.serving import base_url, bound, check_alive, end_on_sigterm, serve, tell
from harness.localserver.state.store import Store, open_store

_TRAINER = "harness.localserver.training.trainer"
# Progress of the download is told at most this often, in bytes.
PROGRESS_STEP = 2**20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line says; `model` None is the embedded one."""

    host: str
    port: int
    state: Path
    model: Path | None
    names: Names
    api_key: str | None
    parent_pid: int | None
    threads: int
    training_closed: bool
    verbose: bool


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; 1 when it cannot begin."""
    settings = _settings(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if settings.verbose else logging.WARNING,
        format="%(asctime)s %(name)s %(message)s",
    )
    end_on_sigterm()
    try:
        _check_exposure(settings)
        check_names([*settings.names.aliases, *([settings.names.name] if settings.names.name else [])])
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m harness.localserver", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port, 0 for a free one (default: %(default)s)")
    add("--state", type=Path, required=True, help="folder of files, jobs and models")
    add("--model", type=Path, help="a Hugging Face folder or GGUF file (default: the embedded model)")
    add("--name", help="the model's name in requests (default: that of its folder or file)")
    add("--alias", action="append", default=[], metavar="NAME", help="another name of the model; repeatable")
    add("--openai-names", action="store_true", help="also answer to the names of OpenAI's models")
    add("--no-training", action="store_true", help="refuse new jobs, as OpenAI does")
    add("--api-key-env", metavar="NAME", help="environment variable with the key every request must bear")
    add("--parent-pid", type=int, help="stop when this process is gone")
    add("--verbose", action="store_true", help="log every request")
    add(
        "--threads",
        type=_positive,
        default=available_processors(),
        help="processor threads a training, and the engine, may use (default: %(default)s)",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _settings(arguments: list[str] | None) -> Settings:
    parser = _parser()
    given = parser.parse_args(arguments)
    key = os.environ.get(given.api_key_env) if given.api_key_env else None
    if given.api_key_env and not key:
        parser.error(f"--api-key-env {given.api_key_env}: the environment has no such variable")
    aliases = frozenset(given.alias) | (OPENAI_BASES if given.openai_names else frozenset())
    return Settings(
        host=given.host,
        port=given.port,
        state=given.state,
        model=given.model,
        names=Names(name=given.name, aliases=aliases),
        api_key=key,
        parent_pid=given.parent_pid,
        threads=given.threads,
        training_closed=given.no_training,
        verbose=given.verbose,
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
    device = likely_device()
    model = _model(settings, device=device)
    base = served_model(model, settings.names, state=settings.state, embedded=settings.model is None)
    app = create_app(
        store,
        base=base,
        engine=engine_of(model, threads=settings.threads),
        trainer=TrainerSetup(
            command=(sys.executable, "-m", _TRAINER), weights=model.path, threads=settings.threads
        ),
        terms=Terms(api_key=settings.api_key, training_closed=settings.training_closed),
    )

    def on_ready() -> None:
        tell(
            event="ready",
            base_url=base_url(listener),
            model=base.name,
            weights=base.digest,
            device=device,
            threads=settings.threads,
            state=str(settings.state.resolve()),
            aliases=len(base.aliases),
        )

    serving = serve(
        app, listener, parent_pid=settings.parent_pid, on_ready=on_ready, verbose=settings.verbose
    )
    asyncio.run(serving)


def _model(settings: Settings, *, device: str) -> ModelOnDisk:
    if settings.model is None:
        return ModelOnDisk(path=ensure_weights(progress=_progress(settings.parent_pid)), lean=True)
    model = recognise(settings.model)
    check_packages(model)
    check_memory(model, device=device)
    return model


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
