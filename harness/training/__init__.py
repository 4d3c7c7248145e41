"""Fine-tuning: jobs at a provider, and the curves they leave."""

from harness.training.curves import TrainingCurve, curve_from_events, read_curve, write_curve
from harness.training.jobs import (
    checkpoints_of,
    curve_of,
    fine_tune,
    latest_job,
    retrieve_job,
)
from harness.training.ledger import request_digest
from harness.training.requests import JobProgress, TrainingRequest

__all__ = [
    "JobProgress",
    "TrainingCurve",
    "TrainingRequest",
    "checkpoints_of",
    "curve_from_events",
    "curve_of",
    "fine_tune",
    "latest_job",
    "read_curve",
    "request_digest",
    "retrieve_job",
    "write_curve",
]
