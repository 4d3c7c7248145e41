"""What the page is made from: a run, its verdict, its curve, and what follows from them."""

from collections.abc import Mapping
from dataclasses import field, replace
from statistics import fmean
from typing import TYPE_CHECKING

from harness.advice import DataSight
from harness.records import (
    Advice,
    CaseComparison,
    CheckpointStudy,
    Comparison,
    Result,
    Role,
    Run,
    ScalingStudy,
    Verdict,
    record,
)
from harness.report.history import NO_HISTORY, CaseKey, History
from harness.report.languages import ENGLISH, Language
from harness.verdict import compare, mean_score

if TYPE_CHECKING:
    from harness.report.trends import Trend
    from harness.training import TrainingCurve

ROLE_WORDS: Mapping[str, str] = {
    "base": "Base",
    "candidate": "Candidate",
    "promoted": "Promoted",
    "judge": "Judge",
    "embedding": "Embedding",
}
ANSWERING: tuple[Role, ...] = ("base", "promoted", "candidate")
"""Roles that answer cases, in the order in which the page sets them side by side."""


@record
class Material:
    """A run with its verdict, indexed the way the sections read it.

    `study` is the candidate's job at its checkpoints, if the suites were asked there, `scaling` its training on shares of the
    data, `data` what was noted of its training file, `trends` its suites over the runs before it. `roles` are the answering
    roles of the run in reading order; `scores` are means over trials. `language` is that of the page.
    """

    run: Run
    verdict: Verdict
    curve: "TrainingCurve | None" = None
    study: CheckpointStudy | None = None
    roles: tuple[Role, ...] = ()
    comparison: Comparison | None = None
    answers: Mapping[CaseKey, Mapping[Role, tuple[Result, ...]]] = field(default_factory=dict)
    scores: Mapping[CaseKey, Mapping[Role, float | None]] = field(default_factory=dict)
    history: History = NO_HISTORY
    advice: tuple[Advice, ...] = ()
    scaling: ScalingStudy | None = None
    data: DataSight | None = None
    trends: "tuple[Trend, ...]" = ()
    language: Language = ENGLISH

    @property
    def reference(self) -> Role | None:
        """The role that the candidate was compared with, if it is in the run."""
        return next((role for role in self.roles if role == self.verdict.reference), None)

    def changes(self) -> dict[CaseKey, CaseComparison]:
        """Each compared case's change."""
        compared = self.comparison.cases if self.comparison else ()
        return {(item.suite, item.case): item for item in compared}

    def rows(self, suite: str, role: Role) -> list[Result]:
        """A role's rows of a suite, trial by trial."""
        return [
            row
            for (name, _), by_role in self.answers.items()
            if name == suite
            for row in by_role.get(role, ())
        ]

    def mean_score(self, suite: str, role: Role) -> float | None:
        """A role's mean over the cases of a suite that it has a score for, 0..1."""
        known = [
            by_role[role]
            for (name, _), by_role in self.scores.items()
            if name == suite and by_role.get(role) is not None
        ]
        return fmean(score for score in known if score is not None) if known else None


def gather(
    run: Run,
    verdict: Verdict,
    *,
    curve: "TrainingCurve | None" = None,
    study: CheckpointStudy | None = None,
    history: History = NO_HISTORY,
) -> Material:
    """Index a run's rows by case and role, and compare them case by case."""
    answers = _answers(run)
    suites = {suite.name: suite for suite in run.manifest.suites}
    known = {*run.manifest.models, *(role for by_role in answers.values() for role in by_role)}
    material = Material(
        run=run,
        verdict=verdict,
        curve=curve,
        study=study,
        history=history,
        roles=tuple(role for role in ANSWERING if role in known),
        answers=answers,
        scores={
            key: {role: mean_score(suites[key[0]], results) for role, results in by_role.items()}
            for key, by_role in answers.items()
            if key[0] in suites
        },
    )
    if material.reference is None or "candidate" not in material.roles:
        return material
    comparison = compare(run, reference=material.reference)
    return replace(material, comparison=comparison, scores=_as_compared(material.scores, comparison))


def _as_compared(
    scores: Mapping[CaseKey, Mapping[Role, float | None]], comparison: Comparison
) -> dict[CaseKey, Mapping[Role, float | None]]:
    """The scores with those of the compared roles as the verdict counts them: a lost answer is a 0 there."""
    compared: dict[CaseKey, dict[Role, float | None]] = {
        (case.suite, case.case): {
            comparison.candidate: case.candidate,
            comparison.reference: case.reference,
        }
        for case in comparison.cases
    }
    return {key: {**by_role, **compared.get(key, {})} for key, by_role in scores.items()}


def _answers(run: Run) -> dict[CaseKey, dict[Role, tuple[Result, ...]]]:
    answers: dict[CaseKey, dict[Role, tuple[Result, ...]]] = {}
    for result in sorted(run.results, key=lambda row: row.trial):
        by_role = answers.setdefault((result.suite, result.case), {})
        by_role[result.role] = (*by_role.get(result.role, ()), result)
    return answers
