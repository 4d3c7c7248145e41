"""A run case by case, counted as the verdict counts it: what the candidate and its reference scored, and the change."""

import numpy as np

from harness.records import CaseComparison, Comparison, Role, Run, Suite
from harness.verdict.comparison import change_of
from harness.verdict.pairedtests import Floats
from harness.verdict.scores import SuiteScores, scores_of, trial_means


def compare(run: Run, *, candidate: Role = "candidate", reference: Role) -> Comparison:
    """Pair two roles case by case: every selected case, in the order of the suites.

    As in the verdict, an answer that never came counts as 0 where the other side has one.
    """
    suites = {suite.name: suite for suite in run.manifest.suites}
    cases = [
        case
        for scores in scores_of(run, candidate=candidate, reference=reference)
        for case in _compared(suites[scores.name], run.manifest.counted[scores.name], scores)
    ]
    return Comparison(candidate=candidate, reference=reference, cases=tuple(cases))


def _compared(suite: Suite, cases: tuple[str, ...], scores: SuiteScores) -> list[CaseComparison]:
    new, old = _known(trial_means(scores.candidate)), _known(trial_means(scores.reference))
    return [
        CaseComparison(
            suite=suite.name,
            case=case,
            candidate=candidate,
            reference=reference,
            change=change_of(suite, candidate=candidate, reference=reference),
        )
        for case, candidate, reference in zip(cases, new, old, strict=True)
    ]


def _known(means: Floats) -> list[float | None]:
    return [None if np.isnan(mean) else float(mean) for mean in means]
