import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from eval_samples import suite

from harness.evals import Plan, continued, new_manifest
from harness.records import Manifest, ModelFacts, Retirement, Suite, TrainingJob
from harness.serial import from_json, to_json

FACTS = ModelFacts(model="ft:m:acme::abc123", endpoint="openai", price={"input": 0.4, "output": 1.6})
BASE = ModelFacts(model="m", endpoint="openai")


def loaded(name: str = "numbers", digest: str = "d1") -> Suite:
    return replace(suite(3), name=name, digest=digest)


def plan(*suites: Suite, cases: int = 3, candidate: ModelFacts = FACTS) -> Plan:
    asked = suites or (loaded(),)
    return Plan(
        suites=asked,
        selected={one.name: one.cases[:cases] for one in asked},
        models={"candidate": candidate, "base": BASE},
    )


def manifest(of: Plan, root: Path) -> Manifest:
    return new_manifest(of, root=root, skipped={}, job=None, data={})


# --- plans -----------------------------------------------------------------------------------------


def test_equal_questions_to_equal_models_are_one_plan() -> None:
    assert plan().digest == plan().digest


@pytest.mark.parametrize(
    "other",
    [
        plan(loaded(digest="d2")),
        plan(replace(loaded(), trials=2)),
        plan(cases=2),
        plan(candidate=replace(FACTS, model="ft:m:acme::other")),
        plan(candidate=replace(FACTS, endpoint="elsewhere")),
        plan(loaded(), loaded("more")),
        replace(plan(), code={"suites/test_dry.py": "d3"}),
        replace(plan(), goal="migration"),
    ],
    ids=[
        "edited suite",
        "more trials",
        "fewer cases",
        "other model",
        "other endpoint",
        "another suite",
        "tests in Python",
        "another goal",
    ],
)
def test_whatever_changes_the_questions_makes_another_plan(other: Plan) -> None:
    assert other.digest != plan().digest


def test_suite_that_is_skipped_has_no_selection() -> None:
    skipped = Plan(suites=(loaded(), loaded("more")), selected={"numbers": suite(3).cases}, models={})
    assert skipped.ids == {"numbers": ("n0", "n1", "n2")}
    assert skipped.digest != Plan(suites=(loaded(),), selected=skipped.selected, models={}).digest


# --- manifests -------------------------------------------------------------------------------------


def test_manifest_says_what_is_asked_of_whom_before_it_is(tmp_path: Path) -> None:
    job = TrainingJob(id="ftjob-1", status="succeeded", model="m")
    of = plan(cases=2)
    made = new_manifest(of, root=tmp_path, skipped={"more": "needs x"}, job=job, data={"train": "abc"})
    assert (made.status, made.finished, made.plan) == ("running", None, of.digest)
    assert made.models == {"candidate": FACTS, "base": BASE}
    assert made.selected == {"numbers": ("n0", "n1")}
    assert made.skipped == {"more": "needs x"}
    assert (made.job, made.data) == (job, {"train": "abc"})
    assert made.versions["pytest"] == pytest.__version__
    assert re.fullmatch(r"\d{8}T\d{6}Z-ft-m-acme--abc123-[0-9a-f]{4}", made.id)
    assert from_json(Manifest, to_json(made)) == made


def test_goal_and_last_days_survive_the_way_to_disk(tmp_path: Path) -> None:
    made = manifest(replace(plan(), goal="migration"), tmp_path)
    day = Retirement(role="base", model="m", day="2027-01-14", told_by="2026-10", tuned_from="n")
    stored = from_json(Manifest, to_json(replace(made, retirements=(day,))))
    assert (stored.goal, stored.retirements) == ("migration", (day,))


def test_two_runs_of_one_second_have_two_names(tmp_path: Path) -> None:
    assert manifest(plan(), tmp_path).id != manifest(plan(), tmp_path).id


@pytest.mark.parametrize("model", ["../../etc/passwd", "a b/c:d", "模型-甲", "...", "x" * 500, "\x1b[31m"])
def test_name_of_a_run_is_a_plain_folder_name(tmp_path: Path, model: str) -> None:
    name = manifest(plan(candidate=replace(FACTS, model=model)), tmp_path).id
    assert Path(name).name == name
    assert name.isprintable()
    assert len(name) <= 80
    assert not set(name) & set('/\\:*?"<>| ')


def test_commit_of_the_project_is_noted(tmp_path: Path) -> None:
    assert manifest(plan(), tmp_path).commit is None, "not a repository"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert manifest(plan(), tmp_path).commit is None, "nothing is committed yet"
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert manifest(plan(), tmp_path).commit == head.stdout.strip()


def test_machine_without_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert manifest(plan(), tmp_path).commit is None


def test_continued_run_keeps_its_name_and_its_beginning(tmp_path: Path) -> None:
    earlier = replace(manifest(plan(), tmp_path), created="2026-01-01T00:00:00Z", status="interrupted")
    now = manifest(plan(), tmp_path)
    again = continued(now, earlier)
    assert (again.id, again.created, again.status) == (earlier.id, earlier.created, "running")
    assert replace(again, id=now.id, created=now.created) == now
