"""The local fine-tuning server for a test: started on a free port, stopped at the end of the block."""

from pathlib import Path

from harness import localserver


def local_server(state: Path) -> localserver.LocalServer:
    """A server whose files, jobs and models live under `state`; use it in a `with` block.

    The first start of all fetches the model's weights (93 MB) into the user's cache.

    Raises:
        EndpointError: It could not start; the remedy is the server's own.
    """
    return localserver.start(state)
