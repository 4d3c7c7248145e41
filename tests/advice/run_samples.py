"""Runs for the tests of this room: suites whose answers are given as words, with a job that trained three epochs."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from harness.evals import Plan, RunWriter, new_manifest, open_run
from harness.records import (
    Case,
    Completion,
    ModelFacts,
    Result,
    Role,
    Run,
    Score,
    ScorerSpec,
    Suite,
    SuiteRole,
    TrainingJob,
)

JOB = TrainingJob(id="ftjob-1", status="succeeded", model="m", hyperparameters={"n_epochs": 3})
ROLES: tuple[Role, ...] = ("base", "candidate")

SETTINGS: Mapping[str, Mapping[str, object]] = {
    "label": {"labels": ["yes", "billing", "bug"]},
    "rubric": {"criteria": [{"name": "warmth", "levels": {"1": "cold", "5": "warm"}}]},
    "regurgitation": {"file": "train.jsonl"},
}

Says = Callable[[Case, Role], tuple[str, Score]]
"""What a model answers to a case, and the score of it."""


def suite(
    name: str,
    *,
    scorer: str = "label",
    cases: Iterable[Case] = (),
    role: SuiteRole = "target",
    settings: Mapping[str, object] | None = None,
) -> Suite:
    return Suite(
        name=name,
        role=role,
        cases=tuple(cases) or cases_of(20),
        scorers=(ScorerSpec(type=scorer, name=scorer, settings=settings or SETTINGS.get(scorer, {})),),
    )


def cases_of(
    number: int, *, tags: Callable[[int], tuple[str, ...]] = lambda _: (), expected: str = "yes"
) -> tuple[Case, ...]:
    return tuple(
        Case(
            id=f"c{n}",
            messages=({"role": "user", "content": f"question {n}?"},),
            expected=expected,
            tags=tags(n),
        )
        for n in range(number)
    )


def store(
    reports: Path,
    suites: Mapping[str, tuple[Suite, Says]],
    *,
    job: TrainingJob | None = JOB,
    data: Mapping[str, str] | None = None,
) -> Run:
    """Write a run of suites, each with what both models answer, and open it."""
    plan = Plan(
        suites=tuple(one for one, _ in suites.values()),
        selected={name: one.cases for name, (one, _) in suites.items()},
        models={role: ModelFacts(model=f"model-{role}", endpoint="test") for role in ROLES},
    )
    writer = RunWriter(reports, new_manifest(plan, root=reports, skipped={}, job=job, data=data or {}))
    for one, says in suites.values():
        for case in one.cases:
            for role in ROLES:
                text, score = says(case, role)
                writer.append(_row(one, case, role, text=text, score=score))
    writer.finish("complete")
    return open_run(writer.path)


def _row(one: Suite, case: Case, role: Role, *, text: str, score: Score) -> Result:
    return Result(
        suite=one.name,
        case=case.id,
        role=role,
        model=role,
        trial=0,
        digest="00",
        outcome=Completion(text=text),
        scores={one.scorers[0].name: score},
    )


def scored(value: float, text: str = "yes", **measures: float) -> tuple[str, Score]:
    return text, Score(value=value, reason="compared", measures=measures)
