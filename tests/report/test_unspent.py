from dataclasses import replace

import pytest

from harness.records import (
    Bill,
    Case,
    Completion,
    Looks,
    Manifest,
    ModelFacts,
    Result,
    Role,
    Run,
    ScorerSpec,
    Suite,
    Usage,
)
from harness.report import text_summary
from harness.report.unspent import unspent_by
from harness.verdict import verdict_of

SUITE = Suite(
    name="many",
    cases=tuple(Case(id=f"c{n}", messages=({"role": "user", "content": "?"},)) for n in range(8)),
    scorers=(ScorerSpec(type="exact_match", name="exact_match"),),
    trials=2,
)
PRICE = {"input": 1.0, "output": 2.0}
USAGE = Usage(prompt_tokens=100, completion_tokens=10)


def row(role: Role, case: int, trial: int, *, cached: bool = False, usage: Usage = USAGE) -> Result:
    return Result(
        suite="many",
        case=f"c{case}",
        role=role,
        model=role,
        trial=trial,
        digest="d",
        outcome=Completion(text="x", usage=usage, cached=cached),
    )


def run_of(*rows: Result, why: str = "it is enough") -> Run:
    """Two of eight cases were asked, twice each."""
    manifest = Manifest(
        schema=1,
        id="r",
        status="complete",
        created="2026-01-01T00:00:00Z",
        suites=(SUITE,),
        models={role: ModelFacts(model=role, endpoint="e", price=PRICE) for role in ("candidate", "base")},
        selected={"many": tuple(case.id for case in SUITE.cases)},
        plan="p",
        looks=Looks(seed="p", cases={"many": (2, 4, 6, 8)}, taken=1, why=why),
    )
    return Run(manifest=manifest, results=rows)


def asked(role: Role, *, cached: bool = False, usage: Usage = USAGE) -> list[Result]:
    return [row(role, case, trial, cached=cached, usage=usage) for case in (0, 1) for trial in (0, 1)]


def test_answers_left_out_are_as_dear_as_those_that_came() -> None:
    saved = unspent_by(run_of(*asked("candidate"), *asked("base")))
    assert saved is not None
    assert saved.requests == 2 * 12
    assert saved.tokens == 2 * 12 * 110
    assert saved.cost_usd == pytest.approx(2 * 12 * 120 / 1e6)


def test_a_reference_from_the_cache_would_have_cost_nothing() -> None:
    saved = unspent_by(run_of(*asked("candidate"), *asked("base", cached=True)))
    assert saved is not None
    assert saved.requests == 12


def test_a_candidate_from_the_cache_is_new_where_it_was_not_asked() -> None:
    saved = unspent_by(run_of(*asked("candidate", cached=True)))
    assert saved is not None
    assert saved.requests == 12


def test_judging_is_left_out_too() -> None:
    bill = Bill(answered=3, usage=Usage(prompt_tokens=30, completion_tokens=3))
    rows = [replace(one, bills={"judge": bill}) for one in asked("candidate")]
    saved = unspent_by(run_of(*rows))
    assert saved is not None
    assert saved.requests == 12 + 3 * 12
    assert saved.cost_usd is None, "nobody said what the judge costs"


def test_unknown_usage_leaves_tokens_unknown() -> None:
    saved = unspent_by(run_of(*asked("candidate", usage=Usage())))
    assert saved is not None
    assert (saved.requests, saved.tokens, saved.cost_usd) == (12, None, None)


def test_a_run_that_went_to_its_end_saved_nothing() -> None:
    assert unspent_by(run_of(*asked("candidate"), why="")) is None


def test_the_terminal_tells_what_was_saved() -> None:
    run = run_of(*asked("candidate"), *asked("base"))
    lines = [line.text for line in text_summary(run, verdict_of(run))]
    assert lines[-1] == "saved      about 24 requests, 2,640 tokens, 0.0029 USD by stopping early"
