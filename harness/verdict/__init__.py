"""Candidate against reference: what changed, whether chance explains it, and whether it ships."""

from typing import TYPE_CHECKING

from harness.doors import door

if TYPE_CHECKING:
    from harness.verdict.agreement import Agreement, agreements
    from harness.verdict.boundaries import Look
    from harness.verdict.calibration import (
        ENOUGH_LABELS,
        GOOD_KAPPA,
        HUMAN_KAPPA,
        USELESS_KAPPA,
        Calibration,
        calibrate,
    )
    from harness.verdict.checkpoints import (
        CheckpointScores,
        pick_checkpoint,
        read_elsewhere,
        takes_part,
    )
    from harness.verdict.comparison import case_score, change_of, is_good, mean_score
    from harness.verdict.corrections import FEWEST_LABELS, Corrected, Readings, correct, strata_of
    from harness.verdict.costs import usage_cost
    from harness.verdict.doubling import estimate_doubling
    from harness.verdict.foresight import Support, margin_support
    from harness.verdict.gates import describe_gate, judge_gate
    from harness.verdict.intervals import t_interval, wilson
    from harness.verdict.labelled import PREFERENCE, PeopleScores
    from harness.verdict.leanings import Leaning, describe_leaning, leanings_of
    from harness.verdict.looks import SHARES, look_sizes, stop_sentence, why_stop
    from harness.verdict.marks import mark_of, marks_of
    from harness.verdict.migration import role_under, word_of
    from harness.verdict.pairing import compare
    from harness.verdict.pooled import POOLED_MARGIN
    from harness.verdict.promotion import decide, judge_suite, reference_of, verdict_of
    from harness.verdict.rules import CRITICAL_MARGIN, GUARD_MARGIN
    from harness.verdict.scores import PairedScores, SuiteScores, families_of, pair_scores, scores_of
    from harness.verdict.settling import describe_reach

__all__ = [
    "CRITICAL_MARGIN",
    "ENOUGH_LABELS",
    "FEWEST_LABELS",
    "GOOD_KAPPA",
    "GUARD_MARGIN",
    "HUMAN_KAPPA",
    "POOLED_MARGIN",
    "PREFERENCE",
    "SHARES",
    "USELESS_KAPPA",
    "Agreement",
    "Calibration",
    "CheckpointScores",
    "Corrected",
    "Leaning",
    "Look",
    "PairedScores",
    "PeopleScores",
    "Readings",
    "SuiteScores",
    "Support",
    "agreements",
    "calibrate",
    "case_score",
    "change_of",
    "compare",
    "correct",
    "decide",
    "describe_gate",
    "describe_leaning",
    "describe_reach",
    "estimate_doubling",
    "families_of",
    "is_good",
    "judge_gate",
    "judge_suite",
    "leanings_of",
    "look_sizes",
    "margin_support",
    "mark_of",
    "marks_of",
    "mean_score",
    "pair_scores",
    "pick_checkpoint",
    "read_elsewhere",
    "reference_of",
    "role_under",
    "scores_of",
    "stop_sentence",
    "strata_of",
    "t_interval",
    "takes_part",
    "usage_cost",
    "verdict_of",
    "why_stop",
    "wilson",
    "word_of",
]

__getattr__ = door(
    __name__,
    {
        "CRITICAL_MARGIN": "rules",
        "ENOUGH_LABELS": "calibration",
        "FEWEST_LABELS": "corrections",
        "GOOD_KAPPA": "calibration",
        "GUARD_MARGIN": "rules",
        "HUMAN_KAPPA": "calibration",
        "POOLED_MARGIN": "pooled",
        "PREFERENCE": "labelled",
        "SHARES": "looks",
        "USELESS_KAPPA": "calibration",
        "Agreement": "agreement",
        "Calibration": "calibration",
        "CheckpointScores": "checkpoints",
        "Corrected": "corrections",
        "Leaning": "leanings",
        "Look": "boundaries",
        "PairedScores": "scores",
        "PeopleScores": "labelled",
        "Readings": "corrections",
        "SuiteScores": "scores",
        "Support": "foresight",
        "agreements": "agreement",
        "calibrate": "calibration",
        "case_score": "comparison",
        "change_of": "comparison",
        "compare": "pairing",
        "correct": "corrections",
        "decide": "promotion",
        "describe_gate": "gates",
        "describe_leaning": "leanings",
        "describe_reach": "settling",
        "estimate_doubling": "doubling",
        "families_of": "scores",
        "is_good": "comparison",
        "judge_gate": "gates",
        "judge_suite": "promotion",
        "leanings_of": "leanings",
        "look_sizes": "looks",
        "margin_support": "foresight",
        "mark_of": "marks",
        "marks_of": "marks",
        "mean_score": "comparison",
        "pair_scores": "scores",
        "pick_checkpoint": "checkpoints",
        "read_elsewhere": "checkpoints",
        "reference_of": "promotion",
        "role_under": "migration",
        "scores_of": "scores",
        "stop_sentence": "looks",
        "strata_of": "corrections",
        "t_interval": "intervals",
        "takes_part": "checkpoints",
        "usage_cost": "costs",
        "verdict_of": "promotion",
        "why_stop": "looks",
        "wilson": "intervals",
        "word_of": "migration",
    },
)
