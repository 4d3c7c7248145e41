"""Fine-tuning: jobs at a provider, and the curves they leave."""

from harness.training.closing_tokens import corrected_accuracy
from harness.training.curve_faults import CurveFault
from harness.training.curves import (
    OPENAI_CLOSING_TOKENS,
    TrainingCurve,
    curve_from_events,
    read_curve,
    write_curve,
)
from harness.training.diagnosis import Diagnosis, diagnose
from harness.training.jobs import (
    OfferedModel,
    StartedJob,
    cancel_job,
    checkpoints_of,
    curve_of,
    delete_model,
    find_job,
    fine_tune,
    follow_job,
    job_events,
    latest_job,
    list_jobs,
    list_models,
    note_state,
    retrieve_job,
    start_job,
    wait_until_served,
)
from harness.training.ledger import JobRecord, recorded_job, recorded_jobs, request_digest
from harness.training.progress import JobEvent
from harness.training.remedies import JobFault, faults_of_failure
from harness.training.replies import FINAL
from harness.training.requests import LOCAL_PLACE, JobProgress, Terms, TrainingRequest

__all__ = [
    "FINAL",
    "LOCAL_PLACE",
    "OPENAI_CLOSING_TOKENS",
    "CurveFault",
    "Diagnosis",
    "JobEvent",
    "JobFault",
    "JobProgress",
    "JobRecord",
    "OfferedModel",
    "StartedJob",
    "Terms",
    "TrainingCurve",
    "TrainingRequest",
    "cancel_job",
    "checkpoints_of",
    "corrected_accuracy",
    "curve_from_events",
    "curve_of",
    "delete_model",
    "diagnose",
    "faults_of_failure",
    "find_job",
    "fine_tune",
    "follow_job",
    "job_events",
    "latest_job",
    "list_jobs",
    "list_models",
    "note_state",
    "read_curve",
    "recorded_job",
    "recorded_jobs",
    "request_digest",
    "retrieve_job",
    "start_job",
    "wait_until_served",
    "write_curve",
]
