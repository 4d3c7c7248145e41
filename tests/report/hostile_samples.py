"""Runs that try to break out of the page: hostile text in every place that takes text."""

from dataclasses import replace

from report_samples import HOSTILE, sample_run, sample_verdict

from harness.records import (
    Case,
    Completion,
    Failure,
    ModelFacts,
    Result,
    Role,
    Run,
    Score,
    ScorerSpec,
    Suite,
    Verdict,
)

BINARY = "".join(map(chr, range(256)))
TURNED = "\u202egnp.exe\u202c \u2066isolated\u2069 \u200f \u05d0\u05d1"
# Five million characters on one line, which nothing but their end tells apart from the beginning.
LONG = "<img src=x onerror=alert(1)>" * 180_000 + "the very end"
ATTACKS = {
    "markup": HOSTILE,
    "binary": BINARY,
    "turned": TURNED,
    "long": LONG,
    "surrogates": "\ud800 \udfff \ud83d",
    "address": "javascript:alert(1)\n[link](javascript:alert(2)) http://example.invalid/x.png",
    "prototype": "__proto__",
}


def hostile_everywhere() -> tuple[Run, Verdict]:
    """The sample run with hostile text in every place that takes text."""
    run = sample_run()
    manifest = run.manifest
    routing = manifest.suites[0]
    gate = replace(routing.gates[0], metric=HOSTILE)
    suite = replace(
        routing, name=HOSTILE, description=HOSTILE, path=HOSTILE, system=HOSTILE, needs=(HOSTILE,), prompts={}
    )
    job = replace(manifest.job, id=HOSTILE, error=HOSTILE, hyperparameters={HOSTILE: HOSTILE})
    manifest = replace(
        manifest,
        id=HOSTILE,
        status="interrupted",
        reason=HOSTILE,
        commit=HOSTILE,
        suites=(suite, *manifest.suites[1:]),
        selected={**manifest.selected, HOSTILE: manifest.selected["ticket-routing"]},
        models={role: ModelFacts(model=HOSTILE, endpoint=HOSTILE) for role in manifest.models},
        versions={HOSTILE: HOSTILE},
        data={HOSTILE: HOSTILE},
        job=job,
    )
    rows = [replace(row, suite=HOSTILE if row.suite == routing.name else row.suite) for row in run.results]
    verdict = sample_verdict(run)
    judged = replace(verdict.suites["ticket-routing"], name=HOSTILE, reason=HOSTILE, rule=HOSTILE)
    verdict = replace(
        verdict,
        reasons=(HOSTILE,),
        next_steps=(HOSTILE,),
        suites={HOSTILE: judged},
        gates=(replace(verdict.gates[0], suite=HOSTILE, gate=gate, reason=HOSTILE),),
    )
    return replace(run, manifest=manifest, results=tuple(rows)), verdict


def hostile_answers() -> tuple[Run, Verdict]:
    """The run with hostile text everywhere, and a suite whose answers, refusals and reasons are attacks of all kinds."""
    run, verdict = hostile_everywhere()
    cases = tuple(
        Case(
            id=name,
            messages=({"role": attack[:1000], "content": attack[:100_000]},),
            expected=attack,
            tags=(attack[:1000],),
        )
        for name, attack in ATTACKS.items()
    )
    suite = Suite(name="attacks", cases=cases, scorers=(ScorerSpec(type="contains", name="__proto__"),))
    rows = [_attacked(suite, case, role) for case in cases for role in ("base", "candidate")]
    manifest = replace(
        run.manifest,
        suites=(*run.manifest.suites, suite),
        selected={**run.manifest.selected, suite.name: tuple(case.id for case in cases)},
    )
    return replace(run, manifest=manifest, results=(*run.results, *rows)), verdict


def _attacked(suite: Suite, case: Case, role: Role) -> Result:
    attack = ATTACKS[case.id]
    short = attack[:1000]
    outcome: Completion | Failure = Completion(
        text=attack, refusal=short, finish_reason=short, model=short, latency_s=1
    )
    if case.id == "address" and role == "base":
        outcome = Failure(kind="server", message=attack)
    return Result(
        suite=suite.name,
        case=case.id,
        role=role,
        model=short,
        trial=0,
        digest="",
        outcome=outcome,
        scores={}
        if isinstance(outcome, Failure)
        else {"__proto__": Score(value=0.5, reason=short, measures={short: 1.0})},
    )
