from dataclasses import replace
from pathlib import Path

from eval_samples import suite

from harness.evals import (
    Plan,
    RunWriter,
    changes_since_last,
    judge_changes,
    judge_pins,
    new_manifest,
    suites_asking,
)
from harness.records import Json, Manifest, ModelFacts, ScorerSpec, Suite
from harness.serial import from_json, to_json

LEVELS: Json = {"1": "flat", "5": "hilarious"}
CANDIDATE = ModelFacts(model="ft:m:acme::abc123", endpoint="openai")
JUDGE = ModelFacts(model="wise", endpoint="https://judge.example/v1")


def judged(name: str = "jokes", *, what: str = "humour", **settings: Json) -> Suite:
    criteria: Json = [{"name": what, "levels": LEVELS}]
    specs = (
        ScorerSpec(type="rubric", name="rubric", settings={"criteria": criteria, **settings}),
        ScorerSpec(type="exact_match", name="exact_match"),
    )
    return replace(suite(2), name=name, scorers=specs)


def manifest(*suites: Suite, judge: ModelFacts = JUDGE) -> Manifest:
    plan = Plan(
        suites=suites,
        selected={one.name: one.cases for one in suites},
        models={"candidate": CANDIDATE, "judge": judge},
    )
    return new_manifest(plan, root=Path("/nowhere"), skipped={}, job=None, data={})


def stored(reports: Path, earlier: Manifest) -> Manifest:
    return RunWriter(reports, earlier).finish("complete").manifest


def test_each_judged_scorer_has_a_pin_and_others_have_none() -> None:
    assert judge_pins([judged(), suite(2)]).keys() == {"jokes: rubric"}


def test_a_pin_does_not_hang_on_the_cases_but_on_how_the_judge_is_asked() -> None:
    pin = judge_pins([judged()])
    assert judge_pins([replace(judged(), cases=suite(9).cases)]) == pin
    assert judge_pins([judged(what="wit")]) != pin
    assert judge_pins([judged(repeats=2)]) != pin
    assert judge_pins([judged(temperature=1.0)]) != pin


def test_manifest_holds_judge_and_pins_and_reads_back() -> None:
    made = manifest(judged())
    assert made.models["judge"] == JUDGE
    assert made.judging == judge_pins([judged()])
    assert from_json(Manifest, to_json(made)) == made


def test_another_way_of_asking_is_another_plan() -> None:
    one, two = (Plan(suites=(of,), selected={}, models={}) for of in (judged(), judged(repeats=2)))
    assert one.digest != two.digest


def test_another_judge_or_another_way_of_asking_it_is_told() -> None:
    before = manifest(judged())
    assert judge_changes(before, manifest(judged())) == ()
    (told,) = judge_changes(before, manifest(judged(), judge=replace(JUDGE, model="wiser")))
    assert told == (
        f"the judge is wiser (https://judge.example/v1), in {before.id} it was wise (https://judge.example/v1): "
        "scores of the two runs cannot be compared"
    )
    (told,) = judge_changes(before, manifest(judged(repeats=3)))
    assert told.startswith(f"the judge is asked otherwise than in {before.id} (jokes: rubric)")


def test_runs_without_a_judged_suite_in_common_are_not_compared() -> None:
    other = manifest(judged("tone"), judge=replace(JUDGE, model="wiser"))
    assert judge_changes(manifest(judged()), other) == ()


def test_the_newest_complete_run_with_the_suite_is_the_one_compared_with(tmp_path: Path) -> None:
    stored(tmp_path, replace(manifest(judged()), id="20260101T000000Z-a"))
    stored(tmp_path, replace(manifest(judged(repeats=2)), id="20260102T000000Z-b"))
    stored(tmp_path, replace(manifest(judged("tone")), id="20260103T000000Z-c"))
    RunWriter(tmp_path, replace(manifest(judged(repeats=4)), id="20260104T000000Z-d")).finish("interrupted")
    (tmp_path / "20260105T000000Z-e").mkdir()
    (tmp_path / "20260105T000000Z-e" / "manifest.json").write_text("{")
    assert changes_since_last(tmp_path, manifest(judged(repeats=2))) == ()
    (told,) = changes_since_last(tmp_path, manifest(judged()))
    assert "20260102T000000Z-b" in told
    assert changes_since_last(tmp_path / "none", manifest(judged())) == ()


def test_suites_that_ask_a_model_are_known() -> None:
    assert suites_asking("judge", [judged(), suite(2)]) == ["jokes"]
    assert suites_asking("embedding", [judged()]) == []
