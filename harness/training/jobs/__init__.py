"""Fine-tuning jobs at an OpenAI-compatible provider: found again or created, followed, read, ended.

A job carries the digest of what it was made from, so asking for the same training twice pays once.
"""

from harness.training.jobs.lifecycle import (
    StartedJob,
    find_job,
    fine_tune,
    follow_job,
    note_state,
    start_job,
)
from harness.training.jobs.models import OfferedModel, delete_model, list_models
from harness.training.jobs.pursuit import wait_until_served
from harness.training.jobs.reading import (
    cancel_job,
    checkpoints_of,
    curve_of,
    job_events,
    latest_job,
    list_jobs,
    retrieve_job,
)

__all__ = [
    "OfferedModel",
    "StartedJob",
    "cancel_job",
    "checkpoints_of",
    "curve_of",
    "delete_model",
    "find_job",
    "fine_tune",
    "follow_job",
    "job_events",
    "latest_job",
    "list_jobs",
    "list_models",
    "note_state",
    "retrieve_job",
    "start_job",
    "wait_until_served",
]
