"""For your own tests: conformance checks, and small real stand-ins for models and endpoints.

A `FaultyEndpoint` answers as it is told, and has the trouble it is told to have: a `Fault` of your own, an `Answer` of your
own, or one of those that have a name here, from `BUSY` to `FILTERED`. A `BatchEndpoint` has a Batch API too.
"""

from harness.testing.batch_endpoint import BatchEndpoint, BatchTrouble
from harness.testing.endpoints import (
    BROKEN,
    BUSY,
    BUSY_FOR_1_S,
    BUSY_FOR_20_MS,
    BUSY_UNTIL_A_DATE,
    DROPPED,
    FILTERED,
    HALF_SENT,
    LOADING,
    MISLABELLED,
    NO_CHOICES,
    NO_MONEY,
    NOT_JSON,
    SLOW_TAIL,
    WEB_PAGE,
    WRONG_KEY,
    Answer,
    Fault,
    FaultyEndpoint,
)
from harness.testing.models import ScriptedModel, check_model
from harness.testing.scorer_checks import check_scorer
from harness.testing.servers import local_server

__all__ = [
    "BROKEN",
    "BUSY",
    "BUSY_FOR_1_S",
    "BUSY_FOR_20_MS",
    "BUSY_UNTIL_A_DATE",
    "DROPPED",
    "FILTERED",
    "HALF_SENT",
    "LOADING",
    "MISLABELLED",
    "NOT_JSON",
    "NO_CHOICES",
    "NO_MONEY",
    "SLOW_TAIL",
    "WEB_PAGE",
    "WRONG_KEY",
    "Answer",
    "BatchEndpoint",
    "BatchTrouble",
    "Fault",
    "FaultyEndpoint",
    "ScriptedModel",
    "check_model",
    "check_scorer",
    "local_server",
]
