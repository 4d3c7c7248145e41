"""What the routes work with: one record, held by the application."""

from dataclasses import dataclass

from starlette.requests import Request

from harness.localserver.api.inference import Inference
from harness.localserver.jobs.queue import JobQueue
from harness.localserver.state.store import Store


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """The model that is served untuned and that jobs start from.

    Attributes:
        name: The name requests use.
        created_at: When it was published, Unix time.
        digest: A short digest of its weights.
        fingerprint: The `system_fingerprint` of completions: the same as long as the same request with the
            same seed is answered by the same weights and the same code.
    """

    name: str
    created_at: int
    digest: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Services:
    """The store, the queue of jobs, the engine and the base model of a server."""

    store: Store
    jobs: JobQueue
    inference: Inference
    base: ServedModel
    max_upload_bytes: int


def services_of(request: Request) -> Services:
    """The services of the application that got the request."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found
