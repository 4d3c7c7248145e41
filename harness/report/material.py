"""What the page is made from: a run, its verdict, its curve, and what follows from them."""

from collections.abc import Mapping
from dataclasses import field
from statistics import fmean

from harness.records import CaseComparison, Comparison, Failure, Result, Role, Run, Suite, Verdict, record
from harness.training import TrainingCurve
from harness.verdict import case_score, compare

CaseKey = tuple[str, str]
"""A suite's name and a case's id."""

ROLE_WORDS: Mapping[str, str] = {
    "base": "Base",
    "candidate": "Candidate",
    "promoted": "Promoted",
    "judge": "Judge",
}
ANSWERING: tuple[Role, ...] = ("base", "promoted", "candidate")
"""Roles that answer cases, in the order in which the page sets them side by side."""


@record
class Material:
    """A run with its verdict, indexed the way the sections read it."""

    run: Run
    verdict: Verdict
    curve: TrainingCurve | None = None
    comparison: Comparison | None = None
    answers: Mapping[CaseKey, Mapping[Role, tuple[Result, ...]]] = field(default_factory=dict)
    scores: Mapping[CaseKey, Mapping[Role, float | None]] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The answering roles that are in the run, in reading order."""
        models = self.run.manifest.models
        return tuple(
            role
            for role in ANSWERING
            if role in models or any(role in by_role for by_role in self.answers.values())
        )

    @property
    def reference(self) -> Role | None:
        """The role that the candidate was compared with, if it is in the run."""
        return next((role for role in self.roles if role == self.verdict.reference), None)

    def changes(self) -> dict[CaseKey, CaseComparison]:
        """Each compared case's change."""
        compared = self.comparison.cases if self.comparison else ()
        return {(item.suite, item.case): item for item in compared}

    def mean_score(self, suite: str, role: Role) -> float | None:
        """A role's mean over the cases of a suite that it has a score for, 0..1."""
        known = [
            by_role[role]
            for (name, _), by_role in self.scores.items()
            if name == suite and by_role.get(role) is not None
        ]
        return fmean(score for score in known if score is not None) if known else None

    def has_failure(self, key: CaseKey) -> bool:
        """Whether any answer to a case did not come."""
        return any(
            isinstance(result.outcome, Failure)
            for results in self.answers.get(key, {}).values()
            for result in results
        )


def gather(run: Run, verdict: Verdict, *, curve: TrainingCurve | None = None) -> Material:
    """Index a run's rows by case and role, and compare them case by case."""
    answers: dict[CaseKey, dict[Role, list[Result]]] = {}
    for result in run.results:
        answers.setdefault((result.suite, result.case), {}).setdefault(result.role, []).append(result)
    suites = {suite.name: suite for suite in run.manifest.suites}
    material = Material(
        run=run,
        verdict=verdict,
        curve=curve,
        answers={
            key: {
                role: tuple(sorted(results, key=lambda result: result.trial))
                for role, results in by_role.items()
            }
            for key, by_role in answers.items()
        },
        scores={
            key: {role: _mean_over_trials(suites.get(key[0]), results) for role, results in by_role.items()}
            for key, by_role in answers.items()
        },
    )
    return _with_comparison(material)


def _with_comparison(material: Material) -> Material:
    if material.reference is None or "candidate" not in material.roles:
        return material
    comparison = compare(material.run, candidate="candidate", reference=material.reference)
    return Material(
        run=material.run,
        verdict=material.verdict,
        curve=material.curve,
        comparison=comparison,
        answers=material.answers,
        scores=material.scores,
    )


def _mean_over_trials(suite: Suite | None, results: list[Result]) -> float | None:
    if suite is None:
        return None
    known = [score for result in results if (score := case_score(suite, result)) is not None]
    return fmean(known) if known else None
