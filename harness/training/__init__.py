"""Fine-tuning: jobs at a provider, and the curves they leave.

The names are loaded when first used: the official client and pandas take a second, and a run that judges a model which is
there already needs neither.
"""

from typing import TYPE_CHECKING

from harness.doors import door

if TYPE_CHECKING:
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

__getattr__ = door(
    __name__,
    {
        "FINAL": "replies",
        "LOCAL_PLACE": "requests",
        "OPENAI_CLOSING_TOKENS": "curves",
        "CurveFault": "curve_faults",
        "Diagnosis": "diagnosis",
        "JobEvent": "progress",
        "JobFault": "remedies",
        "JobProgress": "requests",
        "JobRecord": "ledger",
        "OfferedModel": "jobs",
        "StartedJob": "jobs",
        "Terms": "requests",
        "TrainingCurve": "curves",
        "TrainingRequest": "requests",
        "cancel_job": "jobs",
        "checkpoints_of": "jobs",
        "corrected_accuracy": "closing_tokens",
        "curve_from_events": "curves",
        "curve_of": "jobs",
        "delete_model": "jobs",
        "diagnose": "diagnosis",
        "faults_of_failure": "remedies",
        "find_job": "jobs",
        "fine_tune": "jobs",
        "follow_job": "jobs",
        "job_events": "jobs",
        "latest_job": "jobs",
        "list_jobs": "jobs",
        "list_models": "jobs",
        "note_state": "jobs",
        "read_curve": "curves",
        "recorded_job": "ledger",
        "recorded_jobs": "ledger",
        "request_digest": "ledger",
        "retrieve_job": "jobs",
        "start_job": "jobs",
        "wait_until_served": "jobs",
        "write_curve": "curves",
    },
)
