"""Starting the server as a child process that lives exactly as long as it is needed.

Standard library only: the pytest plugin imports this in every session of an environment.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from harness.errors import EndpointError
from harness.localserver.address import remove_address, write_address

# Ninety megabytes of weights over a slow line, on the first start of all.
START_TIMEOUT_S = 900.0
# The server gives its trainer five seconds to end.
STOP_TIMEOUT_S = 10.0

_LOG_LINES_SHOWN = 5


class LocalServer:
    """A running server. It ends with `stop`, at the end of a `with` block, or with this process."""

    def __init__(
        self, process: "subprocess.Popen[str]", ready: Mapping[str, object], *, state: Path | None = None
    ) -> None:
        self._process = process
        self._state = state
        self.base_url = str(ready["base_url"])
        self.model = str(ready["model"])
        self.weights = str(ready["weights"])

    def stop(self) -> None:
        """End the server and its trainer; safe to call twice."""
        if self._state is not None:
            remove_address(self._state, base_url=self.base_url)
        _stop(self._process)

    def __enter__(self) -> "LocalServer":
        """The server itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()


def start(
    state: Path,
    *,
    model: Path | None = None,
    on_event: Callable[[Mapping[str, object]], None] | None = None,
    timeout_s: float = START_TIMEOUT_S,
) -> LocalServer:
    """Start the server on a free loopback port and wait until it listens.

    Args:
        state: The folder of its files, jobs and models; made if it is not there.
        model: A Hugging Face folder or a GGUF file; the embedded model by default.
        on_event: Called here, in this thread, with `{"event": "weights", "done", "total"}` (bytes) while the
            weights are fetched, and with `{"event": "ready", "base_url", "model", "weights", ...}`.
        timeout_s: Seconds without any news from the server after which it is given up.

    Raises:
        EndpointError: It could not start; the remedy is the server's own.
    """
    state.mkdir(parents=True, exist_ok=True)
    command = (
        sys.executable,
        "-m",
        "harness.localserver",
        "--state",
        str(state),
        "--parent-pid",
        str(os.getpid()),
        *(("--model", str(model)) if model else ()),
    )
    return launch(command, log=state / "server.log", on_event=on_event, timeout_s=timeout_s, state=state)


def launch(
    command: Sequence[str],
    *,
    log: Path,
    on_event: Callable[[Mapping[str, object]], None] | None = None,
    timeout_s: float = START_TIMEOUT_S,
    state: Path | None = None,
) -> LocalServer:
    """Run a command that serves and tells about it as `python -m harness.localserver` does.

    Other commands find the server in its `state` folder, where one is given.

    Raises:
        EndpointError: It ended, complained, or said nothing for too long.
    """
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches this process, which then stops the server in order
        )
    try:
        ready = _wait_until_ready(process, log=log, on_event=on_event, timeout_s=timeout_s)
        if state is not None:
            write_address(state, ready, lasting=False)
        return LocalServer(process, ready, state=state)
    except BaseException:
        _stop(process)
        raise


def _wait_until_ready(
    process: "subprocess.Popen[str]",
    *,
    log: Path,
    on_event: Callable[[Mapping[str, object]], None] | None,
    timeout_s: float,
) -> Mapping[str, object]:
    assert process.stdout is not None
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=timeout_s)
        except queue.Empty:
            raise EndpointError(
                f"The local server has said nothing for {timeout_s:.0f} s", remedy=f"its log is {log}"
            ) from None
        if not line:
            raise EndpointError(f"The local server ended at once: {_tail(log)}", remedy=f"its log is {log}")
        event: Mapping[str, object] = json.loads(line)
        if event["event"] == "error":
            raise EndpointError(str(event["message"]), remedy=str(event["remedy"]))
        if on_event:
            on_event(event)
        if event["event"] == "ready":
            return event


def _read(stdout: IO[str], lines: "queue.SimpleQueue[str]") -> None:
    """Hand over every line, and at the end an empty one."""
    with stdout:
        for line in stdout:
            lines.put(line)
    lines.put("")


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return "\n".join(lines[-_LOG_LINES_SHOWN:]) or "it left no message"


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()  # its trainer notices by itself
        process.wait()
