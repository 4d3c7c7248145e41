from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eval_samples import suite

from harness.evals import open_run, with_fingerprints
from harness.evals.bills import bill_of
from harness.evals.store import SCHEMA, RunWriter
from harness.records import Completion, Failure, Manifest, ModelFacts, Result, Role, Run


def stored(
    reports: Path,
    name: str,
    served: dict[Role, Sequence[str | None]],
    *,
    models: dict[str, str] | None = None,
    created: str = "2026-11-23T10:00:00Z",
) -> Run:
    """A finished run whose answers came from these systems."""
    of = suite(max(map(len, served.values())))
    named = models or {role: f"acme/{role}" for role in served}
    manifest = Manifest(
        schema=SCHEMA,
        id=name,
        status="running",
        created=created,
        suites=(of,),
        models={role: ModelFacts(model=model, endpoint="there") for role, model in named.items()},
        selected={of.name: tuple(case.id for case in of.cases)},
        plan="p",
    )
    writer = RunWriter(reports, manifest)
    for role, systems in served.items():
        for case, system in zip(of.cases, systems, strict=False):
            writer.append(
                Result(
                    suite=of.name,
                    case=case.id,
                    role=role,
                    model=named[role],
                    trial=0,
                    digest="d",
                    outcome=Completion(text="x", system_fingerprint=system),
                )
            )
    return with_fingerprints(writer.finish("complete"))


def test_one_system_all_along_is_noted_and_nothing_is_warned_of(tmp_path: Path) -> None:
    run = stored(tmp_path, "r1", {"candidate": ["fp_a"] * 3, "base": ["fp_b"] * 3})
    assert run.manifest.fingerprints == {"base": {"fp_b": 3}, "candidate": {"fp_a": 3}}
    assert run.manifest.warnings == ()
    assert open_run(tmp_path / "r1").manifest == run.manifest


def test_a_change_within_a_run_is_warned_of_with_the_numbers(tmp_path: Path) -> None:
    run = stored(tmp_path, "r1", {"candidate": ["fp_a", "fp_b", "fp_b"], "base": ["fp_c"] * 3})
    (warning,) = run.manifest.warnings
    assert warning == (
        "candidate acme/candidate was served by 2 systems (answers by system_fingerprint: fp_b: 2, fp_a: 1): "
        "answers of different ones may differ, and not because of the model"
    )
    assert open_run(tmp_path / "r1").manifest.warnings == run.manifest.warnings


def test_a_change_since_the_last_run_of_the_same_model_is_warned_of(tmp_path: Path) -> None:
    stored(tmp_path, "r1", {"base": ["fp_old"] * 2}, created="2026-11-22T10:00:00Z")
    run = stored(tmp_path, "r2", {"base": ["fp_new"] * 2, "candidate": ["fp_x"] * 2})
    (warning,) = run.manifest.warnings
    assert warning == (
        "base acme/base was served by another system than in r1 (system_fingerprint fp_new, then fp_old): "
        "the two runs' answers may differ for that reason"
    )


def test_the_nearest_run_of_the_model_counts_whatever_its_role_was(tmp_path: Path) -> None:
    stored(tmp_path, "r1", {"candidate": ["fp_1"]}, models={"candidate": "m"}, created="2026-11-20T10:00:00Z")
    stored(tmp_path, "r2", {"candidate": ["fp_2"]}, models={"candidate": "m"}, created="2026-11-21T10:00:00Z")
    run = stored(tmp_path, "r3", {"promoted": ["fp_2"]}, models={"promoted": "m"})
    assert run.manifest.warnings == ()


def test_systems_that_answered_both_times_are_no_change(tmp_path: Path) -> None:
    stored(tmp_path, "r1", {"base": ["fp_1", "fp_2"]}, created="2026-11-22T10:00:00Z")
    run = stored(tmp_path, "r2", {"base": ["fp_2", "fp_2"]})
    assert run.manifest.warnings == ()


def test_an_endpoint_that_names_no_system_brings_no_warning(tmp_path: Path) -> None:
    stored(tmp_path, "r1", {"base": ["fp_1"]}, created="2026-11-22T10:00:00Z")
    run = stored(tmp_path, "r2", {"base": [None, ""]})
    assert (run.manifest.fingerprints, run.manifest.warnings) == ({}, ())


def test_a_judge_that_changes_is_told_of_too(tmp_path: Path) -> None:
    run = stored(tmp_path, "r1", {"base": ["fp_1", "fp_1"]}, models={"base": "b", "judge": "wise"})
    replies = [Completion(text="4", system_fingerprint=name) for name in ("fp_j", "fp_j", "fp_k")]
    bills = (bill_of(replies[:2]), bill_of([replace(replies[2], cached=True)]))
    rows = tuple(replace(row, bills={"judge": bill}) for row, bill in zip(run.results, bills, strict=True))
    found = with_fingerprints(replace(run, results=rows)).manifest
    assert found.fingerprints["judge"] == {"fp_j": 1, "fp_k": 1}
    assert found.warnings[0].startswith("judge wise was served by 2 systems")


def test_failures_have_no_system(tmp_path: Path) -> None:
    run = stored(tmp_path, "r1", {"base": ["fp_1"]})
    row = replace(run.results[0], outcome=Failure(kind="server", message="no"))
    assert with_fingerprints(replace(run, results=(row,), path=None)).manifest == run.manifest


def test_many_systems_are_counted_and_the_first_named(tmp_path: Path) -> None:
    run = stored(tmp_path, "r1", {"base": [f"fp_{number}" for number in range(6)]})
    assert "served by 6 systems" in run.manifest.warnings[0]
    assert "fp_0: 1, fp_1: 1, fp_2: 1 and 3 more" in run.manifest.warnings[0]
