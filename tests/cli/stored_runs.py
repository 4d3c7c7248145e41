"""Stored runs for the tests of this room: one that promotes, one that holds, one nobody can read."""

import json
from dataclasses import replace
from pathlib import Path

from harness.evals import Plan, RunWriter, case_digest, new_manifest
from harness.records import Case, Completion, ModelFacts, Result, Role, RunStatus, Score, ScorerSpec, Suite

CASES = 20
SUITE = Suite(
    name="numbers",
    cases=tuple(
        Case(id=f"n{number}", messages=({"role": "user", "content": f"{number}?"},), expected=str(number))
        for number in range(CASES)
    ),
    scorers=(ScorerSpec(type="exact_match", name="exact_match"),),
)


def store(
    reports: Path,
    name: str,
    *,
    good: Role = "candidate",
    model: str = "ft:m:acme::abc123",
    status: RunStatus = "complete",
) -> Path:
    """Store a run in which one role is right about everything and the other about nothing."""
    roles: tuple[Role, ...] = ("candidate", "base")
    plan = Plan(
        suites=(SUITE,),
        selected={SUITE.name: SUITE.cases},
        models={
            role: ModelFacts(model=model if role == "candidate" else "m", endpoint="test") for role in roles
        },
    )
    manifest = new_manifest(plan, root=reports, skipped={}, job=None, data={})
    writer = RunWriter(reports, replace(manifest, id=name))
    for case in SUITE.cases:
        for role in roles:
            writer.append(_row(case, role, right=role == good))
    writer.finish(status)
    return reports / name


def _row(case: Case, role: Role, *, right: bool) -> Result:
    text = str(case.expected) if right else "no idea"
    return Result(
        suite=SUITE.name,
        case=case.id,
        role=role,
        model=role,
        trial=0,
        digest=case_digest(SUITE, case),
        outcome=Completion(text=text),
        scores={
            "exact_match": Score(value=float(right), reason="compared", measures={"raw_exact": float(right)})
        },
    )


def damage(run: Path, **changes: object) -> None:
    """Change keys of a run's manifest by hand."""
    file = run / "manifest.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**data, **changes}), encoding="utf-8")


def edit_rows(run: Path, **changes: object) -> None:
    """Change keys of all rows of a run by hand."""
    file = run / "results.jsonl"
    rows = [{**json.loads(line), **changes} for line in file.read_text(encoding="utf-8").splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
