"""What the routes work with: one record, held by the application."""

from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from harness.localserver.api.inference import Inference
from harness.localserver.api.uploads import MAX_UPLOAD_BYTES
from harness.localserver.api.wire import model_of_another_base, unknown_model
from harness.localserver.jobs.queue import JobQueue
from harness.localserver.state.store import FineTune, Store


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """The model that is served untuned and that jobs start from.

    Attributes:
        name: The name requests use.
        created_at: When it was published, Unix time.
        digest: A short digest of its weights. Fine-tunes of other weights are not served.
        fingerprint: The `system_fingerprint` of completions: the same as long as the same request with the
            same seed is answered by the same weights and the same code.
        aliases: Other names it answers to, so that scripts written for another model need not be changed.
            Answers and jobs show its own name, as OpenAI's show the snapshot behind an alias.
    """

    name: str
    created_at: int
    digest: str
    fingerprint: str
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On which terms requests are served.

    Attributes:
        api_key: Demanded of every request when given.
        max_upload_bytes: The largest file taken.
        training_closed: New jobs are refused, as OpenAI refuses them since it closed fine-tuning.
    """

    api_key: str | None = None
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    training_closed: bool = False


@dataclass(frozen=True, kw_only=True)
class ResolvedModel:
    """The model a name stands for; `adapter` is the PEFT folder of a fine-tune, None for the base model."""

    name: str
    created_at: int
    adapter: Path | None


@dataclass(frozen=True, kw_only=True)
class Services:
    """The store, the queue of jobs, the engine and the base model of a server, and its terms."""

    store: Store
    jobs: JobQueue
    inference: Inference
    base: ServedModel
    max_upload_bytes: int
    training_closed: bool = False

    def is_base(self, name: str) -> bool:
        """Whether a name, or an alias, is the base model's."""
        return name == self.base.name or name in self.base.aliases

    def fine_tunes(self) -> list[FineTune]:
        """The fine-tunes that can be asked, those of the base model, oldest first."""
        return [model for model in self.store.models() if model.base_digest == self.base.digest]

    def find_fine_tune(self, name: str) -> FineTune:
        """The fine-tune, or checkpoint, of that name.

        Raises:
            ApiError: 404, there is none, or it is one of another base model.
        """
        model = self.store.find_model(name)
        if model is None:
            raise unknown_model(name)
        if model.base_digest != self.base.digest:
            raise model_of_another_base(name, base=model.base, served=self.base.name)
        return model

    def resolve(self, name: str) -> ResolvedModel:
        """The model a request asks for by name: the base, one of its aliases, a fine-tune or a checkpoint.

        Raises:
            ApiError: 404, there is none, or it is a fine-tune of another base model.
        """
        if self.is_base(name):
            return ResolvedModel(name=self.base.name, created_at=self.base.created_at, adapter=None)
        model = self.find_fine_tune(name)
        return ResolvedModel(name=model.name, created_at=model.created_at, adapter=model.adapter)


def services_of(request: Request) -> Services:
    """The services of the application that got the request."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found
