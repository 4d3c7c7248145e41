"""Which job was made from which request: the digest of a request, and a file of digests and jobs.

The file is for providers that keep no metadata: a JSON object from request digest to job id. Lost or
damaged, a fine-tune is at worst paid for again, so nothing in it stops a job that is already running.
"""

import json
import logging
from pathlib import Path

from harness.errors import UsageError
from harness.records import Endpoint
from harness.serial import digest, file_digest, write_atomic
from harness.training.requests import TrainingRequest

log = logging.getLogger(__name__)


def request_digest(request: TrainingRequest, *, endpoint: Endpoint) -> str:
    """SHA-256 of all that decides what comes out: file bytes, model, settings, and the provider.

    Raises:
        UsageError: A file cannot be read.
    """
    files = (request.training_file, request.validation_file)
    try:
        digests = [file_digest(file) if file is not None else None for file in files]
    except OSError as error:
        raise unreadable(error) from error
    return digest(
        {
            "endpoint": endpoint.label,
            "model": request.model,
            "files": digests,
            "epochs": request.epochs,
            "batch_size": request.batch_size,
            "learning_rate_multiplier": request.learning_rate_multiplier,
            "seed": request.seed,
            "suffix": request.suffix,
        }
    )


def unreadable(error: OSError) -> UsageError:
    """A training file that cannot be opened."""
    return UsageError(f"{error.filename}: {error.strerror}", remedy="give the path of a JSONL file")


def recorded_job(ledger: Path, made_from: str) -> str | None:
    """The id of the job that was made from the request, or None."""
    return _entries(ledger).get(made_from)


def record_job(ledger: Path, made_from: str, job: str) -> None:
    """Remember the job of a request; a ledger that cannot be written is only warned about."""
    try:
        write_atomic(
            ledger, json.dumps({**_entries(ledger), made_from: job}, indent=1, sort_keys=True) + "\n"
        )
    except OSError as error:
        log.warning("the job %s could not be noted in %s (%s): it may be trained again", job, ledger, error)


def _entries(ledger: Path) -> dict[str, str]:
    try:
        data = json.loads(ledger.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("the job ledger %s cannot be read (%s)", ledger, error)
        return {}
    entries = data if isinstance(data, dict) else {}
    return {key: value for key, value in entries.items() if isinstance(value, str)}
