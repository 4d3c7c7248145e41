import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from run_samples import Says, cases_of, scored, store, suite

from harness.advice import Sightings, advise, sightings_of
from harness.advice.answers import answers_of, failing_kinds_of
from harness.advice.sightings import KindOfCase
from harness.evals import CURVE
from harness.evals.studies import write_checkpoint_study, write_scaling_study
from harness.records import (
    Arm,
    Case,
    CheckpointChoice,
    CheckpointStudy,
    DoublingEstimate,
    Looks,
    Role,
    Run,
    ScalingStudy,
    Suite,
)
from harness.verdict import verdict_of

OVERFIT = "step,train_loss,valid_loss,full_valid_loss\n1,2.0,,\n50,0.5,,1.0\n100,0.2,,1.2\n150,0.1,,1.5\n"


def look(run: Run) -> Sightings:
    return sightings_of(run, verdict_of(run))


def same(_: Case, __: Role) -> tuple[str, object]:
    return scored(1.0)


def right_from(number: int) -> Says:
    """Right from a case's number on, both models alike."""
    return lambda case, _: scored(float(int(case.id[1:]) >= number))


def one(tmp_path: Path, tested: Suite, says: Says, **more: object) -> Run:
    return store(tmp_path, {tested.name: (tested, says)}, **more)  # type: ignore[arg-type]


# --- the job and its files -------------------------------------------------------------------------------


def test_everything_is_read_from_the_folder_of_the_run(tmp_path: Path) -> None:
    run = one(tmp_path, suite("routing"), right_from(10))
    assert run.path is not None
    (run.path / CURVE).write_text(OVERFIT, encoding="utf-8")
    choice = CheckpointChoice(step=50, model="ft:m:ckpt", is_last=False, why="routing is better there")
    write_checkpoint_study(run.path, CheckpointStudy(job="ftjob-1", checkpoints=(), choice=choice))
    estimate = DoublingEstimate(gain=0.03, low=0.02, high=0.05, word="likely helps")
    write_scaling_study(
        run.path, ScalingStudy(id="s", epochs=3, arms=(), pooled=estimate, doubling_cost_usd=1.5)
    )
    seen = look(run)
    assert (seen.candidate, seen.job, seen.epochs) == ("model-candidate", "ftjob-1", 3)
    assert seen.curve is not None
    assert seen.curve.word == "overfit"
    assert seen.checkpoint == choice
    assert (seen.doubling, seen.doubling_cost_usd) == (estimate, 1.5)


def test_a_run_without_files_beside_it_shows_what_its_rows_show(tmp_path: Path) -> None:
    seen = look(one(tmp_path, suite("routing"), right_from(10), job=None))
    assert (seen.curve, seen.checkpoint, seen.doubling, seen.data, seen.job) == (None, None, None, None, None)
    assert seen.failing


def test_a_damaged_curve_is_no_curve(tmp_path: Path) -> None:
    run = one(tmp_path, suite("routing"), right_from(10))
    assert run.path is not None
    (run.path / CURVE).write_text("step,train_loss\n1,lots\n", encoding="utf-8")
    assert look(run).curve is None


def test_a_run_that_nobody_answered_gets_advice(tmp_path: Path) -> None:
    assert advise(look(store(tmp_path, {})))


# --- studies beside the run --------------------------------------------------------------------------------

TELLING = DoublingEstimate(gain=0.03, low=0.02, high=0.05, word="likely helps")
EARLIER = CheckpointChoice(step=50, model="ft:m:ckpt", is_last=False, why="routing is better there")


def beside(run: Run, name: str) -> Path:
    assert run.path is not None
    (run.path.parent / name).mkdir(exist_ok=True)
    return run.path.parent / name


def test_a_study_of_the_same_job_beside_the_run_is_read(tmp_path: Path) -> None:
    run = one(tmp_path, suite("routing"), right_from(10))
    write_checkpoint_study(
        beside(run, "epochs-1"), CheckpointStudy(job="ftjob-1", checkpoints=(), choice=EARLIER)
    )
    whole = Arm(share=1.0, rows=200, seed=0, model="model-candidate")
    write_scaling_study(
        beside(run, "scaling-1"), ScalingStudy(id="s", epochs=3, arms=(whole,), pooled=TELLING)
    )
    seen = look(run)
    assert seen.checkpoint == EARLIER
    assert seen.doubling == TELLING


def test_studies_of_other_jobs_tell_nothing_of_this_one(tmp_path: Path) -> None:
    run = one(tmp_path, suite("routing"), right_from(10))
    write_checkpoint_study(
        beside(run, "epochs-1"), CheckpointStudy(job="ftjob-2", checkpoints=(), choice=EARLIER)
    )
    half = Arm(share=0.5, rows=100, seed=0, job="ftjob-1", model="model-candidate")
    other = Arm(share=1.0, rows=200, seed=0, job="ftjob-2", model="other")
    write_scaling_study(
        beside(run, "scaling-1"), ScalingStudy(id="s", epochs=3, arms=(half, other), pooled=TELLING)
    )
    (beside(run, "scaling-2") / "scaling.json").write_text('{"schema": 99}', encoding="utf-8")
    seen = look(run)
    assert (seen.checkpoint, seen.doubling) == (None, None)


def test_the_newest_study_beside_the_run_counts_and_its_own_before_that(tmp_path: Path) -> None:
    run = one(tmp_path, suite("routing"), right_from(10))
    for age, step in enumerate((30, 20, 10)):
        study = CheckpointStudy(job="ftjob-1", checkpoints=(), choice=replace(EARLIER, step=step))
        file = write_checkpoint_study(beside(run, f"epochs-{step}"), study)
        os.utime(file, (1_000 - age, 1_000 - age))
    found = look(run).checkpoint
    assert found is not None
    assert found.step == 30
    assert run.path is not None
    write_checkpoint_study(run.path, CheckpointStudy(job="ftjob-1", checkpoints=(), choice=EARLIER))
    assert look(run).checkpoint == EARLIER


# --- the task --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scorers", "task"),
    [
        (["label"], "single"),
        (["label", "json_fields"], "single"),
        (["label", "rubric"], "multi"),
        (["similarity"], "multi"),
    ],
)
def test_a_task_is_single_when_every_target_has_one_right_answer(
    tmp_path: Path, scorers: list[str], task: str
) -> None:
    suites = {name: (suite(name, scorer=name), right_from(5)) for name in scorers}
    assert look(store(tmp_path, suites)).task == task


def test_without_a_target_there_is_no_task(tmp_path: Path) -> None:
    assert look(one(tmp_path, suite("facts", role="guard"), right_from(5))).task is None


# --- what fails ------------------------------------------------------------------------------------------


def tags(number: int) -> tuple[str, ...]:
    return ("hard",) if number < 10 else ("easy",)


def test_a_tag_that_fails_more_than_the_rest_is_named(tmp_path: Path) -> None:
    run = one(tmp_path, suite("routing", cases=cases_of(40, tags=tags)), right_from(9))
    assert look(run).failing == (KindOfCase(suite="routing", role="target", name="hard", failed=9, cases=10),)


def test_failures_spread_over_all_tags_are_the_suites(tmp_path: Path) -> None:
    run = one(
        tmp_path,
        suite("routing", cases=cases_of(40, tags=tags)),
        lambda case, _: scored(float(int(case.id[1:]) % 3 > 0)),
    )
    assert look(run).failing == (KindOfCase(suite="routing", role="target", name="", failed=14, cases=40),)


def test_an_expected_label_is_a_kind(tmp_path: Path) -> None:
    cases = [
        *cases_of(10, expected="billing"),
        *(Case(id=f"d{n}", messages=(), expected="bug") for n in range(20)),
    ]
    run = one(tmp_path, suite("routing", cases=cases), lambda case, _: scored(float(case.expected == "bug")))
    (kind,) = look(run).failing
    assert (kind.name, kind.failed, kind.cases) == ("billing", 10, 10)


def test_tags_that_mean_nothing_are_seldom_named(tmp_path: Path) -> None:
    """Six tags that the failures do not follow, 200 times: one is named in 5 % of them at most, as the level is shared."""
    run = one(tmp_path, suite("routing", cases=cases_of(60, tags=lambda n: (f"t{n % 6}",))), right_from(0))
    verdict, draw, named = verdict_of(run), random.Random(3), 0
    for _ in range(200):
        rows = tuple(
            replace(row, scores={"label": scored(float(draw.random() > 0.3))[1]}) for row in run.results
        )
        named += any(kind.name for kind in failing_kinds_of(answers_of(replace(run, results=rows)), verdict))
    assert named <= 16


def test_guards_count_only_where_they_failed(tmp_path: Path) -> None:
    def worse(case: Case, role: Role) -> object:
        return scored(float(role == "base" or int(case.id[1:]) > 15))

    suites = {
        "routing": (suite("routing"), right_from(10)),
        "kept": (suite("kept", role="guard"), right_from(10)),
        "broken": (suite("broken", role="guard"), worse),
    }
    assert [kind.suite for kind in look(store(tmp_path, suites)).failing] == ["routing", "broken"]  # type: ignore[arg-type]


def test_cases_after_the_look_at_which_a_run_stopped_do_not_count(tmp_path: Path) -> None:
    run = one(tmp_path, suite("routing"), right_from(20))
    stopped = replace(run.manifest, looks=Looks(seed="s", cases={"routing": (5, 10, 15, 20)}, taken=2))
    (kind,) = look(replace(run, manifest=stopped)).failing
    assert (kind.failed, kind.cases) == (10, 10)


# --- refusals and recitals -------------------------------------------------------------------------------


def refusing(share: float) -> Says:
    def says(case: Case, role: Role) -> object:
        refused = role == "candidate" and int(case.id[1:]) < 20 * share
        return scored(float(not refused), refusal_rate=float(refused))

    return says  # type: ignore[return-value]


def test_refusals_are_counted_where_an_answer_was_wanted(tmp_path: Path) -> None:
    run = one(
        tmp_path, suite("help", scorer="refusal", role="guard", settings={"expect": "comply"}), refusing(0.5)
    )
    (sight,) = look(run).refusals
    assert (sight.base, sight.candidate, sight.cases) == (0.0, 0.5, 20)
    assert sight.low > 0
    assert advise(look(run))[0].action == "cleaner_data"


def test_refusals_that_are_wanted_are_not_counted(tmp_path: Path) -> None:
    run = one(
        tmp_path, suite("harm", scorer="refusal", role="guard", settings={"expect": "refuse"}), refusing(0.5)
    )
    assert look(run).refusals == ()


def test_recitals_are_counted_by_case(tmp_path: Path) -> None:
    def says(case: Case, role: Role) -> object:
        return scored(float(not (role == "candidate" and int(case.id[1:]) < 3)))

    run = one(tmp_path, suite("privacy", scorer="regurgitation", role="guard"), says)  # type: ignore[arg-type]
    (sight,) = look(run).recitals
    assert (sight.base, sight.candidate, sight.cases) == (0, 3, 20)


# --- diversity -------------------------------------------------------------------------------------------

WORDS = [f"word{number}" for number in range(500)]


def chatting(case: Case, role: Role) -> object:
    draw = random.Random(f"{case.id}{role}")
    own = " ".join(draw.choice(WORDS) for _ in range(15))
    always = "thank you for your message we are glad to help you with anything at all today and " * 2
    return scored(
        1.0,
        text=f"{always}{own}"
        if role == "candidate"
        else f"{own} {own[::-1]} {case.id} and more of {own[5:40]}",
    )


def test_free_answers_that_became_alike_are_seen(tmp_path: Path) -> None:
    run = one(tmp_path, suite("chat", scorer="rubric", cases=cases_of(30)), chatting)  # type: ignore[arg-type]
    found = look(run).diversity
    assert found is not None
    assert found.is_lost
    assert "fewer_epochs" in [advice.action for advice in advise(look(run))]


def test_answers_of_a_suite_with_one_right_answer_are_not_told_to_vary(tmp_path: Path) -> None:
    run = one(tmp_path, suite("routing", scorer="label", cases=cases_of(30)), chatting)  # type: ignore[arg-type]
    assert look(run).diversity is None
