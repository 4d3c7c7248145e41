"""The server as a process of its own, as `python -m harness.localserver` but with the fakes: STATE [PARENT_PID]."""

import asyncio
import contextlib
import sys
from pathlib import Path

from harness.localserver.api.routes import create_app
from harness.localserver.serving import base_url, bound, end_on_sigterm, serve, tell
from harness.localserver.state.store import open_store
from tests.localserver.fakes import BASE, EchoEngine, trainer_setup


def main(state: Path, parent_pid: int | None) -> None:
    end_on_sigterm()
    with contextlib.closing(open_store(state)) as store, bound("127.0.0.1", 0) as listener:
        app = create_app(store, base=BASE, engine=EchoEngine, trainer=trainer_setup())

        def on_ready() -> None:
            tell(event="ready", base_url=base_url(listener), model=BASE.name, weights=BASE.digest)

        tell(event="weights", done=1, total=1)
        asyncio.run(serve(app, listener, parent_pid=parent_pid, on_ready=on_ready))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
