"""A judge that looks at the place alone, through the runner, and what the page and the terminal say of it."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.evals import evaluate, load_suite
from harness.records import Manifest, Message, ModelFacts, Run, Suite
from harness.report import render, text_summary
from harness.testing import ScriptedModel
from harness.verdict import verdict_of

CASES = 12
SUITE = """
name: talk
scorers:
  - {type: pairwise, name: "better<b>", criteria: "Which is warmer?"}
cases:
"""


def suite_in(folder: Path) -> Suite:
    path = folder / "talk.suite.yaml"
    cases = "".join(f"  - {{id: c{number}, prompt: 'Question {number}'}}\n" for number in range(CASES))
    path.write_text(SUITE + cases, encoding="utf-8")
    return load_suite(path)


def longer(messages: Sequence[Message]) -> str:
    """An answer whose length depends on the question's number."""
    return "warm " * (20 * int(str(messages[-1]["content"]).split()[-1]) + 1)


def always_first(messages: Sequence[Message]) -> str:
    return f"Read {len(messages)} messages.\nVerdict: A"


def likes_length(messages: Sequence[Message]) -> str:
    first, _, second = str(messages[-1]["content"]).partition("Answer A:")[2].partition("Answer B:")
    more = abs(len(first) - len(second)) > 300
    return "Verdict: tie" if not more else f"Verdict: {'A' if len(first) > len(second) else 'B'}"


def run_with(judge: Callable[[Sequence[Message]], str], suite: Suite) -> Run:
    base = ScriptedModel("b", lambda _: "cold " * 100)
    models = {"base": base, "candidate": ScriptedModel("c", longer), "judge": ScriptedModel("j", judge)}

    async def results() -> list[object]:
        return [row async for row in evaluate(suite, models)]  # type: ignore[arg-type]

    manifest = Manifest(
        schema=1,
        id="r",
        status="complete",
        created="2026-01-01T00:00:00+00:00",
        suites=(suite,),
        models={role: ModelFacts(model=model.name, endpoint="e") for role, model in models.items()},
        selected={"talk": tuple(case.id for case in suite.cases)},
        plan="p",
        judging={"talk: better<b>": "digest"},
    )
    return Run(manifest=manifest, results=tuple(asyncio.run(results())))  # type: ignore[arg-type]


def test_judge_that_always_says_a_makes_ties_and_its_bias_is_told(tmp_path: Path) -> None:
    run = run_with(always_first, suite_in(tmp_path))
    assert {row.scores["better<b>"].value for row in run.results} == {0.5}
    told = f"the judge chose the answer shown first in 100 % of its choices on {CASES} pairs (50 % without a bias)"
    verdict = verdict_of(run)
    page = render(run, verdict, to=tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"better&lt;b&gt;: {told}" in page
    assert any(line.text == f"judge     talk, better<b>: {told}" for line in text_summary(run, verdict))


def test_judge_that_likes_length_is_told_with_the_slope(tmp_path: Path) -> None:
    run = run_with(likes_length, suite_in(tmp_path))
    wins = [row.scores["better<b>"].value for row in run.results if row.role == "candidate"]
    assert set(wins) == {0.0, 0.5, 1.0}
    lines = [line.text for line in text_summary(run, verdict_of(run))]
    (told,) = (line for line in lines if "100 more characters" in line)
    assert "go with +" in told
    assert told.endswith(": more than chance")


def test_reference_has_what_the_candidate_lacks(tmp_path: Path) -> None:
    run = run_with(likes_length, suite_in(tmp_path))
    values = {(row.case, row.role): row.scores["better<b>"].value or 0.0 for row in run.results}
    for number in range(CASES):
        assert values[f"c{number}", "candidate"] + values[f"c{number}", "base"] == pytest.approx(1.0)
