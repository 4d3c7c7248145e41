"""`harness serve`: the local fine-tuning server, in the foreground."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from harness.errors import UsageError

STATE = Path(".harness/local-server")
CANNOT_SERVE = 3
# How the server's own parser ends: it has said what is wrong with the arguments.
WRONG_ARGUMENTS = 2


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `serve`."""
    parser = commands.add_parser("serve", help="the local fine-tuning server: OpenAI's API on this machine")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default 8000)")
    parser.add_argument("--state", type=Path, default=STATE, help=f"files, jobs and models (default {STATE})")
    parser.add_argument("--api-key-env", metavar="NAME", help="the variable with the key clients must send")
    parser.set_defaults(command=serve_command)


def serve_command(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; what the server tells a launcher is told to a person here."""
    from harness.config import process_environment

    key = options.api_key_env
    if key and not process_environment().get(key):
        raise UsageError(f"--api-key-env {key}: there is no such variable", remedy=f"export {key}=...")
    arguments = ["--host", options.host, "--port", str(options.port), "--state", str(options.state)]
    arguments += ["--parent-pid", str(os.getpid())]
    arguments += ["--api-key-env", key] if key else []
    try:
        options.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{options.state}: {error.strerror}", remedy="give another folder with --state"
        ) from None
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "harness.localserver", *arguments],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C comes here alone: a second one would cut the server's answers off
    ) as server:
        assert server.stdout is not None
        try:
            for line in server.stdout:
                _tell(json.loads(line), key_variable=key)
        except KeyboardInterrupt:
            server.terminate()
        status = server.wait()
    return status if status in {0, WRONG_ARGUMENTS} else CANNOT_SERVE


def _tell(event: dict[str, object], *, key_variable: str | None) -> None:
    if event["event"] == "weights":
        done, total = int(str(event["done"])), int(str(event["total"]))
        end = "\n" if done == total else ""
        print(
            f"\rfetching the model's weights: {done / 1e6:.0f} of {total / 1e6:.0f} MB", end=end, flush=True
        )
    elif event["event"] == "ready":
        print(f"serving {event['model']} at {event['base_url']}  (Ctrl-C stops)")
        key = f"os.environ[{key_variable!r}]" if key_variable else "'local'"
        print(f"  client = OpenAI(base_url={event['base_url']!r}, api_key={key})", flush=True)
    elif event["event"] == "error":
        print(f"harness: {event['message']}\n  {event['remedy']}", file=sys.stderr)
