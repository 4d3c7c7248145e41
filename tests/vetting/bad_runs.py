"""Runs with failing cases, and training files, for the tests of this room and of the command."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.records import (
    Case,
    Completion,
    Failure,
    Gate,
    Json,
    Manifest,
    ModelFacts,
    Result,
    Role,
    Run,
    Score,
    ScorerSpec,
    Suite,
)

LABEL = ScorerSpec(type="label", name="label", settings={"labels": ["billing", "bug", "delivery"]})
CONTAINS = ScorerSpec(type="contains", name="contains")
ROLES: tuple[Role, ...] = ("candidate", "base")


def case(name: str, prompt: str, expected: Json = "billing", *, required: bool = False) -> Case:
    return Case(
        id=name, messages=({"role": "user", "content": prompt},), expected=expected, required=required
    )


def suite_of(
    *cases: Case, scorer: ScorerSpec = LABEL, system: str | None = None, gates: tuple[Gate, ...] = ()
) -> Suite:
    return Suite(name="desk", cases=cases, scorers=(scorer,), system=system, gates=gates)


def run_of(
    suite: Suite,
    *,
    candidate: Mapping[str, float | None] | None = None,
    base: Mapping[str, float] | None = None,
    data: Mapping[str, str] | None = None,
) -> Run:
    """A run; scores by case, 0 where none is given, None for an answer that never came."""
    given: Mapping[str, Mapping[str, float | None]] = {"candidate": candidate or {}, "base": {**(base or {})}}
    name = suite.scorers[0].name
    results = []
    for one in suite.cases:
        for role in ROLES:
            score = given[role].get(one.id, 0.0)
            outcome: Completion | Failure = Completion(text=f"answer of {role}")
            if score is None:
                outcome = Failure(kind="timeout", message="too slow")
            scores = {} if score is None else {name: Score(value=score, reason="compared")}
            results.append(
                Result(
                    suite=suite.name,
                    case=one.id,
                    role=role,
                    model=role,
                    trial=0,
                    digest=one.id,
                    outcome=outcome,
                    scores=scores,
                )
            )
    manifest = Manifest(
        schema=1,
        id="run",
        status="complete",
        created="2026-01-01T00:00:00Z",
        suites=(suite,),
        models={role: ModelFacts(model=role, endpoint="test") for role in ROLES},
        selected={suite.name: tuple(one.id for one in suite.cases)},
        plan="",
        data=data or {},
    )
    return Run(manifest=manifest, results=tuple(results))


def train_file(path: Path, rows: Sequence[tuple[str, str]], *, system: str = "") -> Path:
    told = [{"role": "system", "content": system}] if system else []
    lines = [
        json.dumps(
            {
                "messages": [
                    *told,
                    {"role": "user", "content": asked},
                    {"role": "assistant", "content": answer},
                ]
            },
            ensure_ascii=False,
        )
        for asked, answer in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
