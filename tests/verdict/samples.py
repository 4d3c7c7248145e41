"""Small suites, results and runs to judge."""

from collections.abc import Mapping, Sequence

import numpy as np

from harness.records import (
    Case,
    Completion,
    Failure,
    FailureKind,
    Gate,
    Manifest,
    ModelFacts,
    Result,
    Role,
    Run,
    Score,
    ScorerSpec,
    Suite,
    SuiteRole,
    Usage,
)
from harness.verdict import SuiteScores

LABEL = ScorerSpec(type="label", name="label")


def suite_of(
    cases: int,
    *,
    name: str = "routing",
    role: SuiteRole = "target",
    gates: Sequence[Gate] = (),
    scorers: Sequence[ScorerSpec] = (LABEL,),
    trials: int = 1,
) -> Suite:
    """A suite of `cases` one-turn cases named case-0, case-1, ..."""
    return Suite(
        name=name,
        role=role,
        cases=tuple(
            Case(id=f"case-{n}", messages=({"role": "user", "content": f"{n}?"},)) for n in range(cases)
        ),
        scorers=tuple(scorers),
        gates=tuple(gates),
        trials=trials,
    )


def answer(
    suite: Suite,
    case: int,
    *,
    role: Role = "candidate",
    value: float | None = 1.0,
    trial: int = 0,
    scores: Mapping[str, Score] | None = None,
    usage: Usage | None = None,
) -> Result:
    """One answer with `value` from the label scorer, or with the given scores."""
    return Result(
        suite=suite.name,
        case=f"case-{case}",
        role=role,
        model=f"{role}-model",
        trial=trial,
        digest=f"digest-{case}",
        outcome=Completion(text="billing", usage=usage or Usage(), latency_s=0.5),
        scores={"label": Score(value=value, reason="as told")} if scores is None else scores,
    )


def failure(
    suite: Suite, case: int, *, role: Role = "candidate", kind: FailureKind = "timeout", trial: int = 0
) -> Result:
    """An answer that never came."""
    return Result(
        suite=suite.name,
        case=f"case-{case}",
        role=role,
        model=f"{role}-model",
        trial=trial,
        digest=f"digest-{case}",
        outcome=Failure(kind=kind, message="no answer"),
    )


def answers(suite: Suite, values: Sequence[float | None], *, role: Role = "candidate") -> list[Result]:
    """One answer per case, in order, with these values."""
    return [answer(suite, case, role=role, value=value) for case, value in enumerate(values)]


def run_of(
    *suites: Suite, results: Sequence[Result], selected: Mapping[str, Sequence[str]] | None = None
) -> Run:
    """A complete run; every case is selected unless `selected` says otherwise."""
    chosen = {suite.name: tuple(case.id for case in suite.cases) for suite in suites}
    if selected is not None:
        chosen = {name: tuple(cases) for name, cases in selected.items()}
    manifest = Manifest(
        schema=1,
        id="run-1",
        status="complete",
        created="2026-01-01T00:00:00Z",
        suites=suites,
        models={role: ModelFacts(model=f"{role}-model", endpoint="local") for role in ("base", "candidate")},
        selected=chosen,
        plan="digest",
    )
    return Run(manifest=manifest, results=tuple(results))


def scores(
    name: str,
    role: SuiteRole,
    *,
    candidate: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray,
    margin: float | None = None,
    families: Sequence[int] | None = None,
) -> SuiteScores:
    """Scores of one trial from plain lists, or of several from two-dimensional arrays."""
    new, old = np.asarray(candidate, dtype=float), np.asarray(reference, dtype=float)
    return SuiteScores(
        name=name,
        role=role,
        margin=margin,
        candidate=new if new.ndim == 2 else new[:, None],
        reference=old if old.ndim == 2 else old[:, None],
        families=None if families is None else np.asarray(families),
    )
