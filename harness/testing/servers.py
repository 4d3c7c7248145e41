"""The local fine-tuning server for a test: started on a free port, stopped at the end of the block."""

from pathlib import Path

from harness import localserver


def local_server(state: Path, *, model: Path | None = None) -> localserver.LocalServer:
    """A server whose files, jobs and models live under `state`; use it in a `with` block.

    It serves the model in a Hugging Face folder or GGUF file, by default the embedded one, whose weights (93 MB) the
    first start of all fetches into the user's cache.

    Raises:
        EndpointError: It could not start; the remedy is the server's own.
    """
    return localserver.start(state, model=model)
