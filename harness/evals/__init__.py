"""Suites asked of models: loading them, running them, storing what came back."""

from harness.evals.cells import Cell, cells_of, reference_of
from harness.evals.digests import case_digest, code_digest
from harness.evals.early_stopping import LookByLook, with_looks
from harness.evals.estimates import (
    Count,
    RoleEstimate,
    check_budget,
    estimate,
    estimate_lines,
    exact_tokens,
    most_tokens,
)
from harness.evals.judge_costs import Paid, estimate_judging
from harness.evals.judging import is_paired
from harness.evals.labels import LABELS, write_labels
from harness.evals.manifests import Plan, continued, new_manifest
from harness.evals.margins import margin_warnings
from harness.evals.pins import changes_since_last, judge_changes, judge_pins, role_needed, suites_asking
from harness.evals.prefetch import OpenEmbedder, OpenModels, Prefetcher, opened
from harness.evals.promotions import (
    PROMOTED,
    REUSED,
    Promotion,
    add_promotion,
    new_promotion,
    read_promotions,
    stored_answers,
)
from harness.evals.requests import Requests, Watch
from harness.evals.runner import ask, evaluate
from harness.evals.scoring import guarded
from harness.evals.store import (
    CURVE,
    PAGE,
    VERDICT,
    RunWriter,
    kept_rows,
    list_runs,
    open_run,
    resumable,
)
from harness.evals.studies import (
    CHECKPOINTS,
    SCALING,
    read_checkpoint_study,
    read_scaling_study,
    write_checkpoint_study,
    write_scaling_study,
)
from harness.evals.suites import SUFFIX, find_suites, load_suite, messages_for

__all__ = [
    "CHECKPOINTS",
    "CURVE",
    "LABELS",
    "PAGE",
    "PROMOTED",
    "REUSED",
    "SCALING",
    "SUFFIX",
    "VERDICT",
    "Cell",
    "Count",
    "LookByLook",
    "OpenEmbedder",
    "OpenModels",
    "Paid",
    "Plan",
    "Prefetcher",
    "Promotion",
    "Requests",
    "RoleEstimate",
    "RunWriter",
    "Watch",
    "add_promotion",
    "ask",
    "case_digest",
    "cells_of",
    "changes_since_last",
    "check_budget",
    "code_digest",
    "continued",
    "estimate",
    "estimate_judging",
    "estimate_lines",
    "evaluate",
    "exact_tokens",
    "find_suites",
    "guarded",
    "is_paired",
    "judge_changes",
    "judge_pins",
    "kept_rows",
    "list_runs",
    "load_suite",
    "margin_warnings",
    "messages_for",
    "most_tokens",
    "new_manifest",
    "new_promotion",
    "open_run",
    "opened",
    "read_checkpoint_study",
    "read_promotions",
    "read_scaling_study",
    "reference_of",
    "resumable",
    "role_needed",
    "stored_answers",
    "suites_asking",
    "with_looks",
    "write_checkpoint_study",
    "write_labels",
    "write_scaling_study",
]
