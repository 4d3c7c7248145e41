"""`harness serve`: the local fine-tuning server, in the foreground."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UsageError

STATE = Path(".harness/local-server")
CANNOT_SERVE = 3
# How the server's own parser ends: it has said what is wrong with the arguments.
WRONG_ARGUMENTS = 2


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `serve`."""
    parser = commands.add_parser("serve", help="the local fine-tuning server: OpenAI's API on this machine")
    add = parser.add_argument
    add("--model", type=Path, metavar="DIR_OR_GGUF", help="a Hugging Face folder or GGUF (default: embedded)")
    add("--name", help="the model's name in requests (default: that of its folder or file)")
    add("--alias", action="append", default=[], metavar="NAME", help="another name of the model; repeatable")
    add("--no-openai-names", action="store_true", help="do not answer to the names of OpenAI's models")
    add(
        "--no-training",
        action="store_true",
        help="refuse new jobs, as OpenAI does since it closed fine-tuning",
    )
    add("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1)")
    add("--port", type=int, default=8000, help="0 takes a free one (default 8000)")
    add("--state", type=Path, default=STATE, help=f"files, jobs and models (default {STATE})")
    add("--api-key-env", metavar="NAME", help="the variable with the key clients must send")
    add("--threads", type=int, metavar="N", help="processor threads to use (default: all there are)")
    add("--verbose", action="store_true", help="log every request")
    add("--json", action="store_true", help="tell what happens in JSON, an object a line")
    parser.set_defaults(command=serve_command)


def serve_command(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; what the server tells a launcher is told to a person here."""
    from harness.config import process_environment
    from harness.localserver import remove_address, write_address

    key = options.api_key_env
    if key and not process_environment().get(key):
        raise UsageError(f"--api-key-env {key}: there is no such variable", remedy=f"export {key}=...")
    try:
        options.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{options.state}: {error.strerror}", remedy="give another folder with --state"
        ) from None
    with (
        _stopped_like_ctrl_c(),
        subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "harness.localserver", *_arguments(options)],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C comes here alone: a second one would cut the server's answers off
        ) as server,
    ):
        assert server.stdout is not None
        base_url = ""
        try:
            for line in server.stdout:
                event = json.loads(line)
                if event["event"] == "ready":
                    base_url = str(event["base_url"])
                    write_address(options.state, event, lasting=True, keyed=bool(key))
                if options.json:
                    print(line, end="", flush=True)
                else:
                    _tell(event, key_variable=key)
        except KeyboardInterrupt:
            server.terminate()
        status = server.wait()
        remove_address(options.state, base_url=base_url)
    return status if status in {0, WRONG_ARGUMENTS} else CANNOT_SERVE


@contextmanager
def _stopped_like_ctrl_c() -> Iterator[None]:
    """Inside, SIGTERM, as service managers send it, ends the server in order too."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _arguments(options: argparse.Namespace) -> list[str]:
    """The same wishes as the server's own command line says them."""
    given = {
        "--host": options.host,
        "--port": options.port,
        "--state": options.state,
        "--parent-pid": os.getpid(),
        "--model": options.model,
        "--name": options.name,
        "--threads": options.threads,
        "--api-key-env": options.api_key_env,
    }
    flags = {
        "--openai-names": not options.no_openai_names,
        "--no-training": options.no_training,
        "--verbose": options.verbose,
    }
    return [
        *(part for name, value in given.items() if value is not None for part in (name, str(value))),
        *(part for alias in options.alias for part in ("--alias", alias)),
        *(name for name, is_wanted in flags.items() if is_wanted),
    ]


def _tell(event: dict[str, object], *, key_variable: str | None) -> None:
    if event["event"] == "weights":
        done, total = int(str(event["done"])), int(str(event["total"]))
        end = "\n" if done == total else ""
        print(
            f"\rfetching the model's weights: {done / 1e6:.0f} of {total / 1e6:.0f} MB", end=end, flush=True
        )
    elif event["event"] == "ready":
        print("\n".join(_greeting(event, key_variable=key_variable)), flush=True)
    elif event["event"] == "error":
        print(f"harness: {event['message']}\n  {event['remedy']}", file=sys.stderr)


def _greeting(event: dict[str, object], *, key_variable: str | None) -> Iterator[str]:
    """What a person wants to know of a server, and the lines a script needs to use it."""
    url = event["base_url"]
    yield f"serving {event['model']} at {url}  (Ctrl-C stops)"
    threads = f"{event['threads']} thread{'' if event['threads'] == 1 else 's'}"
    device = "a GPU" if event["device"] == "cuda" else f"the processor, {threads}"
    yield f"  weights {event['weights']} on {device}; files, jobs and fine-tunes in {event['state']}"
    if event["aliases"]:
        yield f"  also answers to {event['aliases']} other names, so that scripts need not change theirs"
    yield f"  client = OpenAI(base_url={url!r}, api_key={f'os.environ[{key_variable!r}]' if key_variable else repr('local')})"
    yield f"  export OPENAI_BASE_URL={url} OPENAI_API_KEY={f'${key_variable}' if key_variable else 'local'}"
