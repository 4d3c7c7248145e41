"""A provider's fine-tuning objects as records: nothing is required, providers leave out what they like."""

from collections.abc import Mapping

from harness.records import Checkpoint, Json, TrainingJob
from harness.redaction import redact
from harness.serial import finite_number
from harness.training.progress import JobEvent

DIGEST_KEY = "harness_digest"
"""The key under which a job's metadata carries the digest of the request it was made from."""

# What servers that are almost compatible say for OpenAI's words.
_STATUSES = {
    "completed": "succeeded",
    "success": "succeeded",
    "error": "failed",
    "canceled": "cancelled",
    "user_error": "failed",
    "user_stopped": "cancelled",
}
# A float says every whole number up to it; nobody counts tokens or seconds beyond.
_HIGHEST = 2**53

FINAL = frozenset({"succeeded", "failed", "cancelled"})
"""Statuses that do not change any more; every other one, known or not, means wait."""


def job_from(data: Mapping[str, Json], *, digest: str | None = None) -> TrainingJob:
    """A `fine_tuning.job` as a record; `digest` is for providers that keep no metadata."""
    return TrainingJob(
        id=_text(data.get("id")) or "",
        status=_status(data),
        model=_text(data.get("model")) or "",
        fine_tuned_model=_text(data.get("fine_tuned_model")),
        hyperparameters=_hyperparameters(data),
        trained_tokens=_count(data.get("trained_tokens")),
        created_at=_count(data.get("created_at")),
        finished_at=_count(data.get("finished_at")),
        # A healthy job says null, {} or an object of nulls, depending on the year.
        error=redact(_text(_mapping(data.get("error")).get("message")) or "") or None,
        digest=_text(_mapping(data.get("metadata")).get(DIGEST_KEY)) or digest,
    )


def _status(data: Mapping[str, Json]) -> str:
    """OpenAI's word for the status, whatever the spelling."""
    said = (_text(data.get("status")) or "unknown").lower()
    return _STATUSES.get(said, said)


def estimated_finish(data: Mapping[str, Json]) -> float | None:
    """When the provider expects the job's end, in Unix seconds; null and 0 mean it does not say."""
    return _count(data.get("estimated_finish")) or None


def result_files(data: Mapping[str, Json]) -> list[str]:
    """The ids of a job's result files."""
    files = data.get("result_files")
    return [file for file in files if isinstance(file, str)] if isinstance(files, list) else []


def event_from(data: Mapping[str, Json]) -> JobEvent:
    """A `fine_tuning.job.event` as a record."""
    metrics = _mapping(data.get("data"))
    return JobEvent(
        id=_text(data.get("id")) or "",
        created_at=_count(data.get("created_at")) or 0,
        message=redact(_text(data.get("message")) or ""),
        level=_text(data.get("level")) or "info",
        metrics=metrics if data.get("type") == "metrics" or "step" in metrics else None,
    )


def checkpoint_from(data: Mapping[str, Json]) -> Checkpoint | None:
    """A `fine_tuning.job.checkpoint` as a record; None when it names no model or step."""
    model, step = _text(data.get("fine_tuned_model_checkpoint")), _count(data.get("step_number"))
    if model is None or step is None:
        return None
    metrics = _mapping(data.get("metrics"))
    found = {name: finite_number(value) for name, value in metrics.items()}
    numbers = {name: number for name, number in found.items() if number is not None}
    return Checkpoint(model=model, step=step, metrics=numbers)


def _hyperparameters(data: Mapping[str, Json]) -> Mapping[str, Json]:
    """Where the job keeps them: at the top, or under its method; null for some methods."""
    method = _mapping(data.get("method"))
    nested = _mapping(_mapping(method.get(_text(method.get("type")) or "")).get("hyperparameters"))
    given = {**nested, **_mapping(data.get("hyperparameters"))}
    return {name: value for name, value in given.items() if isinstance(value, str | int | float)}


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Json) -> int | None:
    number = finite_number(value)
    return int(number) if number is not None and abs(number) <= _HIGHEST else None
