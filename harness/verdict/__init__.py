"""Candidate against reference: what changed, whether chance explains it, and whether it ships."""

from harness.verdict.comparison import case_score, change_of, is_good, mean_score
from harness.verdict.gates import describe_gate, judge_gate
from harness.verdict.intervals import wilson
from harness.verdict.pairing import compare
from harness.verdict.pooled import POOLED_MARGIN
from harness.verdict.promotion import decide, judge_suite, reference_of, verdict_of
from harness.verdict.rules import CRITICAL_MARGIN, GUARD_MARGIN
from harness.verdict.scores import SuiteScores, scores_of

__all__ = [
    "CRITICAL_MARGIN",
    "GUARD_MARGIN",
    "POOLED_MARGIN",
    "SuiteScores",
    "case_score",
    "change_of",
    "compare",
    "decide",
    "describe_gate",
    "is_good",
    "judge_gate",
    "judge_suite",
    "mean_score",
    "reference_of",
    "scores_of",
    "verdict_of",
    "wilson",
]
