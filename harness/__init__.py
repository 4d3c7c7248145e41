"""Decides whether a fine-tuned chat model ships.

The public names. They are loaded when first used: the pytest plugin lives in this package too, and
every pytest session of an environment imports it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.dataset import DatasetReport
    from harness.errors import HarnessError
    from harness.evals import evaluate, load_suite, open_run
    from harness.protocols import Model
    from harness.records import (
        Case,
        Comparison,
        Completion,
        Failure,
        Result,
        Run,
        Score,
        Suite,
        Verdict,
        record,
    )
    from harness.report import render
    from harness.texts import read_refusal
    from harness.training import Diagnosis, TrainingCurve, diagnose, read_curve
    from harness.verdict import SuiteScores, compare, decide, estimate_doubling, verdict_of
    from harness.vetting import check_dataset

__all__ = [
    "Case",
    "Comparison",
    "Completion",
    "DatasetReport",
    "Diagnosis",
    "Failure",
    "HarnessError",
    "Model",
    "Result",
    "Run",
    "Score",
    "Suite",
    "SuiteScores",
    "TrainingCurve",
    "Verdict",
    "check_dataset",
    "compare",
    "decide",
    "diagnose",
    "estimate_doubling",
    "evaluate",
    "load_suite",
    "open_run",
    "read_curve",
    "read_refusal",
    "record",
    "render",
    "verdict_of",
]

_HOMES = {
    "DatasetReport": "dataset",
    "Diagnosis": "training",
    "HarnessError": "errors",
    "Model": "protocols",
    "SuiteScores": "verdict",
    "TrainingCurve": "training",
    "check_dataset": "vetting",
    "compare": "verdict",
    "decide": "verdict",
    "diagnose": "training",
    "estimate_doubling": "verdict",
    "evaluate": "evals",
    "load_suite": "evals",
    "open_run": "evals",
    "read_curve": "training",
    "read_refusal": "texts",
    "render": "report",
    "verdict_of": "verdict",
}


def __getattr__(name: str) -> object:
    """A public name, from its room."""
    if name not in __all__:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(importlib.import_module(f"harness.{_HOMES.get(name, 'records')}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
