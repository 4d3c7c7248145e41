"""OpenAI's wire format: errors, and every object the server answers with.

The field names and their order follow the public OpenAPI document of the fine-tuning, files, models
and chat endpoints, and real answers where those say more (`status_details`, `shared_with_openai`).
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from starlette.responses import JSONResponse

from harness.localserver.state.objects import Checkpoint, Event, StoredFile, StoredJob, TrainingStep

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"

ORGANIZATION = "org-local"
OWNER = "local"


class ApiError(Exception):
    """A request that cannot be served, in the words and with the status code of OpenAI's API."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.kind = kind

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """The error as an answer."""
        return JSONResponse(self.envelope(), status_code=self.status, headers=headers)

    def envelope(self) -> JsonObject:
        """The error as JSON; all four keys are always there."""
        error: JsonObject = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


def unknown_file(file_id: str) -> ApiError:
    """404 for a file nobody uploaded, or that was deleted."""
    return ApiError(f"No such File object: {file_id}", status=404, param="id")


def unknown_job(job_id: str) -> ApiError:
    """404 for a fine-tuning job that never was."""
    return ApiError(
        f"Could not find fine tune: {job_id}", status=404, param="fine_tune_id", code="fine_tune_not_found"
    )


def unknown_model(name: str) -> ApiError:
    """404 for a model that is not served here."""
    return ApiError(
        f"The model `{name}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
    )


def model_of_another_base(name: str, *, base: str, served: str) -> ApiError:
    """404 for a fine-tune of a model that this server does not serve; it says which server would."""
    return ApiError(
        f"The model `{name}` was trained from `{base}`, but this server serves `{served}`. "
        f"Start the server with the model `{base}` to use it.",
        status=404,
        code="model_not_found",
    )


def listing(data: Sequence[JsonObject], *, has_more: bool) -> JsonObject:
    """One page of a list."""
    return {"object": "list", "data": data, "has_more": has_more}


def listing_with_ends(data: Sequence[JsonObject], *, has_more: bool) -> JsonObject:
    """One page of a list of the kind that names its first and last entry."""
    ends: JsonObject = {
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
    return {"object": "list", "data": data, **ends, "has_more": has_more}


def file_object(file: StoredFile) -> JsonObject:
    """A file. Its status is `processed` at once: what is wrong with it is said by the job that uses it."""
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.filename,
        "bytes": file.bytes,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "status": "processed",
        "status_details": None,
    }


def job_object(job: StoredJob, *, estimated_finish: int | None) -> JsonObject:
    """A fine-tuning job; the older `hyperparameters` are null unless it is a supervised one, as OpenAI's are."""
    hyperparameters = _hyperparameters(job)
    error: JsonObject | None = (
        {"code": job.error.code, "message": job.error.message, "param": job.error.param}
        if job.error
        else None
    )
    return {
        "object": "fine_tuning.job",
        "id": job.id,
        "model": job.model,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "fine_tuned_model": job.fine_tuned_model,
        "organization_id": ORGANIZATION,
        "result_files": list(job.result_files),
        "status": job.status,
        "validation_file": job.validation_file,
        "training_file": job.training_file,
        "hyperparameters": hyperparameters if job.method == "supervised" else None,
        "trained_tokens": job.trained_tokens,
        "error": error,
        "user_provided_suffix": job.suffix,
        "seed": job.seed,
        "estimated_finish": estimated_finish,
        "integrations": [],
        "metadata": job.metadata,
        "usage_metrics": None,
        "shared_with_openai": False,
        "eval_id": None,
        "method": {"type": job.method, job.method: {"hyperparameters": hyperparameters}},
    }


def _hyperparameters(job: StoredJob) -> JsonObject:
    chosen = job.hyperparameters
    shared: JsonObject = {
        "n_epochs": chosen.n_epochs,
        "batch_size": chosen.batch_size,
        "learning_rate_multiplier": chosen.learning_rate_multiplier,
    }
    return shared | {"beta": chosen.beta} if job.method == "dpo" else shared


def event_object(event: Event) -> JsonObject:
    """One event of a job."""
    return {
        "object": "fine_tuning.job.event",
        "id": event.id,
        "created_at": event.created_at,
        "level": event.level,
        "message": event.message,
        "data": event.data,
        "type": event.type,
    }


def checkpoint_object(job: StoredJob, checkpoint: Checkpoint, *, step: TrainingStep | None) -> JsonObject:
    """One checkpoint with what was measured at its step; what was not measured is left out."""
    metrics: JsonObject = {"step": checkpoint.step}
    if step:
        metrics.update({key: value for key, value in step.measures().items() if value is not None})
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": checkpoint.id,
        "created_at": checkpoint.created_at,
        "fine_tuned_model_checkpoint": checkpoint.model,
        "fine_tuning_job_id": job.id,
        "metrics": metrics,
        "step_number": checkpoint.step,
    }


def model_object(name: str, created_at: int) -> JsonObject:
    """A model; nothing served here has a date on which it is shut down."""
    return {
        "id": name,
        "object": "model",
        "created": created_at,
        "owned_by": OWNER,
        "shutdown_date": None,
    }


def deleted_object(kind: str, identifier: str) -> JsonObject:
    """The answer to a deletion."""
    return {"id": identifier, "object": kind, "deleted": True}
