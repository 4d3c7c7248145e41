"""A run in one small record: what was decided and why, by suite, what it took. For scripts, summaries and the index.

`summary.json`, which lies beside a run's rows, holds it. Its keys are a promise (docs/reports.md): keys are added, none
is renamed or taken away without a new schema number.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from harness.advice import advise, sightings_of
from harness.records import (
    Advice,
    CaseComparison,
    Change,
    Decision,
    Goal,
    Outcome,
    Result,
    Role,
    Run,
    RunStatus,
    Suite,
    SuiteRole,
    SuiteVerdict,
    Verdict,
    record,
)
from harness.report.case_texts import excerpt, finite, said
from harness.report.cautions import warnings_of
from harness.report.material import Material, gather
from harness.report.spending import spent_by, total, total_cost
from harness.verdict import describe_gate, mean_score, word_of

if TYPE_CHECKING:
    from harness.training import TrainingCurve

SCHEMA = 1
SUMMARY = "summary.json"
MOST_REGRESSIONS = 5
ANSWER_LENGTH = 300
"""Characters kept of an answer: what a line of a summary shows, and room for cutting it elsewhere."""
CHANGES: tuple[Change, ...] = ("improved", "regressed", "missed", "kept")
ASKED: tuple[Role, ...] = ("base", "promoted", "candidate", "judge", "embedding")


@record
class SuiteFacts:
    """One suite: mean scores in 0..1 by role, the difference with its 90 % interval, what decided, its cases by change.

    `digest` is of the suite: scores under different digests are of different questions.
    """

    name: str
    role: SuiteRole
    decision: Decision
    rule: str
    reason: str
    cases: int
    base: float | None = None
    candidate: float | None = None
    promoted: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    margin: float | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""


@record
class GateFacts:
    """A declared gate: its condition in words, what was measured, the decision and why."""

    suite: str
    condition: str
    decision: Decision
    reason: str
    value: float | None = None
    reference: float | None = None


@record
class ModelFigures:
    """Who played a role and what it took; tokens and USD are what this run paid, None where that is not known.

    `by_batch` of the answered came with batches.
    """

    role: Role
    model: str
    endpoint: str
    answered: int | None = None
    by_batch: int | None = None
    from_cache: int | None = None
    failed: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    is_partial: bool = False
    median_latency_s: float | None = None


@record
class Regression:
    """A case that the reference is good at and the candidate is not: scores in 0..1, texts cut to one line."""

    suite: str
    case: str
    asked: str
    candidate: float | None
    reference: float | None
    candidate_answer: str
    reference_answer: str


@record
class RunFacts:
    """The whole run. `outcome` is what gates read, `word` what people read; times are UTC in ISO 8601.

    `cost_usd` and `tokens` are of all roles together, None where one is not known; `is_partial` says that they are
    lower bounds.
    """

    run: str
    status: RunStatus
    created: str
    outcome: Outcome
    word: str
    reference: str
    schema: int = SCHEMA
    goal: Goal = "improvement"
    finished: str | None = None
    summary: str = ""
    reasons: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    warnings: tuple[str, ...] = ()
    models: tuple[ModelFigures, ...] = ()
    suites: tuple[SuiteFacts, ...] = ()
    pooled: SuiteFacts | None = None
    gates: tuple[GateFacts, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    regressions: tuple[Regression, ...] = ()
    cost_usd: float | None = None
    tokens: int | None = None
    is_partial: bool = False
    job: str | None = None
    commit: str | None = None


def facts_of(
    run: Run, verdict: Verdict, *, curve: "TrainingCurve | None" = None, material: Material | None = None
) -> RunFacts:
    """A run's facts, from its rows and its verdict.

    Args:
        run: The run, complete or not.
        verdict: What was decided on it.
        curve: The curve of its job, where the caller has it; else it is read from the run's folder.
        material: What its page is made of, where the caller has it: the same, and its advice is known.
    """
    advice = material.advice if material else advise(sightings_of(run, verdict, curve=curve))
    manifest, material = run.manifest, material or gather(run, verdict, curve=curve)
    spent = [spent_by(run, role) for role in ASKED if role in manifest.models]
    tokens = [total(part.prompt_tokens for part in spent), total(part.completion_tokens for part in spent)]
    return RunFacts(
        run=manifest.id,
        status=manifest.status,
        created=manifest.created,
        finished=manifest.finished,
        goal=verdict.goal,
        outcome=verdict.outcome,
        word=word_of(verdict),
        summary=verdict.summary,
        reasons=verdict.reasons,
        next_steps=verdict.next_steps,
        advice=advice,
        warnings=tuple(warnings_of(manifest)),
        reference=verdict.reference,
        models=tuple(_models(run)),
        suites=tuple(suite_facts(material)),
        pooled=None if verdict.pooled is None else _suite(verdict.pooled, material),
        gates=tuple(_gates(verdict)),
        skipped=manifest.skipped,
        changes=_counted(material.changes().values()),
        regressions=tuple(_regressions(material)),
        cost_usd=finite(total_cost(spent)),
        tokens=None if None in tokens else sum(number or 0 for number in tokens),
        is_partial=any(part.is_partial for part in spent),
        job=manifest.job.id if manifest.job else None,
        commit=manifest.commit,
    )


def _models(run: Run) -> Iterator[ModelFigures]:
    for role in ASKED:
        if (facts := run.manifest.models.get(role)) is None:
            continue
        part = spent_by(run, role)
        yield ModelFigures(
            role=role,
            model=facts.model,
            endpoint=facts.endpoint,
            answered=part.answered,
            by_batch=part.by_batch,
            from_cache=part.from_cache,
            failed=part.failed,
            prompt_tokens=part.prompt_tokens,
            completion_tokens=part.completion_tokens,
            cost_usd=finite(part.cost_usd),
            is_partial=part.is_partial,
            median_latency_s=finite(part.median_latency_s, digits=3),
        )


def suite_facts(material: Material) -> Iterator[SuiteFacts]:
    """Judged suites in the order of the run, then those that the manifest does not list."""
    judged = material.verdict.suites
    order = [suite.name for suite in material.run.manifest.suites if suite.name in judged]
    for name in dict.fromkeys([*order, *judged]):
        yield _suite(judged[name], material)


def _suite(judged: SuiteVerdict, material: Material) -> SuiteFacts:
    """The figures of a verdict; of a suite also what the verdict did not compare."""
    name = judged.name
    compared = {"candidate": judged.candidate, material.verdict.reference: judged.reference}
    means = {
        role: finite(compared[role] if role in compared else material.mean_score(name, role))
        for role in ("base", "candidate", "promoted")
        if role in compared or role in material.roles
    }
    suite: Suite | None = next((one for one in material.run.manifest.suites if one.name == name), None)
    low, high = (finite(bound) for bound in judged.interval or (None, None))
    return SuiteFacts(
        name=name,
        role=judged.role,
        decision=judged.decision,
        rule=judged.rule,
        reason=judged.reason,
        cases=judged.cases,
        base=means.get("base"),
        candidate=means.get("candidate"),
        promoted=means.get("promoted"),
        difference=finite(judged.difference),
        interval=None if low is None or high is None else (low, high),
        margin=finite(judged.margin),
        changes=_counted(case for key, case in material.changes().items() if key[0] == name),
        digest=suite.digest if suite else "",
    )


def _gates(verdict: Verdict) -> Iterator[GateFacts]:
    for finding in verdict.gates:
        yield GateFacts(
            suite=finding.suite,
            condition=describe_gate(finding.gate),
            decision=finding.decision,
            reason=finding.reason,
            value=finite(finding.value),
            reference=finite(finding.reference),
        )


def _counted(compared: Iterable[CaseComparison]) -> dict[str, int]:
    """How many cases changed in each way."""
    counts = Counter(case.change for case in compared if case.change is not None)
    return {change: counts[change] for change in CHANGES}


def _regressions(material: Material) -> Iterator[Regression]:
    """The cases that lost most, the worst first."""
    suites = {suite.name: suite for suite in material.run.manifest.suites}
    lost = [case for case in material.changes().values() if case.change == "regressed"]
    lost.sort(key=lambda case: (case.candidate or 0.0) - (case.reference or 0.0))
    for one in lost[:MOST_REGRESSIONS]:
        suite = suites[one.suite]
        asked = next((case for case in suite.cases if case.id == one.case), None)
        answers = material.answers.get((one.suite, one.case), {})
        rows: dict[Role, list[Result]] = {role: _by_score(suite, found) for role, found in answers.items()}
        yield Regression(
            suite=one.suite,
            case=one.case,
            asked=excerpt(asked, ANSWER_LENGTH) if asked else "",
            candidate=finite(one.candidate),
            reference=finite(one.reference),
            candidate_answer=_line(rows.get("candidate", [])[:1]),
            reference_answer=_line(rows.get(material.reference or "base", [])[-1:]),
        )


def _by_score(suite: Suite, rows: Sequence[Result]) -> list[Result]:
    """The trials of a case, the worst first: of several, the worst and the best tell most."""
    return sorted(rows, key=lambda row: mean_score(suite, [row]) or 0.0)


def _line(rows: Sequence[Result]) -> str:
    """The first of some answers, cut to one line."""
    text = next(said(rows), "")
    line = " ".join(text[: 4 * ANSWER_LENGTH].split())
    if len(line) <= ANSWER_LENGTH and len(text) <= 4 * ANSWER_LENGTH:
        return line
    return line[: ANSWER_LENGTH - 1] + "…"
