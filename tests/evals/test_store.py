import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from eval_samples import suite

from harness.errors import StorageError
from harness.evals import Plan, RunWriter, list_runs, new_manifest, open_run, resumable
from harness.evals.store import new_run_id
from harness.records import Bill, Completion, Failure, Manifest, ModelFacts, Result, Score, Usage


def manifest(root: Path) -> Manifest:
    cases = suite(3)
    plan = Plan(
        suites=(cases,),
        selected={cases.name: cases.cases},
        models={"candidate": ModelFacts(model="ft:x:y", endpoint="test")},
    )
    return new_manifest(plan, root=root, skipped={}, job=None, data={})


def row(case: str, text: str | None = "answer") -> Result:
    outcome = (
        Failure(kind="server", message="500")
        if text is None
        else Completion(text=text, usage=Usage(prompt_tokens=3, completion_tokens=2))
    )
    return Result(
        suite="numbers", case=case, role="candidate", model="m", trial=0, digest="d", outcome=outcome
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, manifest(tmp_path))
    hostile = row("n0", 'x\u2028\n\x00"é漢\ud83d')
    writer.append(hostile)
    writer.append(row("n1", None))
    run = writer.finish("complete")
    answer = run.results[0].outcome
    assert isinstance(answer, Completion)
    assert answer.text.rstrip("\ufffd") == 'x\u2028\n\x00"é漢'
    assert run.manifest.status == "complete"
    assert run.manifest.finished is not None
    assert open_run(writer.path).results == run.results


def test_row_cut_off_by_a_crash_is_dropped_and_the_file_mended(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.append(row("n0"))
    writer.close()
    with (writer.path / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"suite": "numbers", "ca')
    assert [result.case for result in open_run(writer.path).results] == ["n0"]
    again = RunWriter(tmp_path, writer.manifest)
    again.append(row("n1"))
    assert [result.case for result in again.finish("complete").results] == ["n0", "n1"]


def texts(path: Path) -> list[str]:
    return [row.outcome.text for row in open_run(path).results if isinstance(row.outcome, Completion)]


def test_answer_that_is_stored_is_not_written_twice(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.append(row("n0", "first"))
    writer.close()
    again = RunWriter(tmp_path, writer.manifest)
    again.append(row("n0", "first"))
    again.append(row("n0", None))
    again.finish("complete")
    assert len((writer.path / "results.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    assert texts(writer.path) == ["first"]


def test_answer_that_came_anew_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.append(row("n0", "first"))
    writer.close()
    again = RunWriter(tmp_path, writer.manifest)
    again.append(row("n0", "second"))
    again.finish("complete")
    assert texts(writer.path) == ["second"], "the one the session judged"


def test_answer_that_is_scored_otherwise_now_is_stored_so_with_what_it_cost(tmp_path: Path) -> None:
    def scored(value: float, *, cached: bool) -> Result:
        paid = row("n0", "first")
        assert isinstance(paid.outcome, Completion)
        scores = {"own": Score(value=value, reason="?")}
        return replace(paid, outcome=replace(paid.outcome, cached=cached), scores=scores)

    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.append(scored(0.0, cached=False))
    writer.close()
    again = RunWriter(tmp_path, writer.manifest)
    again.append(scored(1.0, cached=True))
    (result,) = again.finish("complete").results
    assert result.scores["own"].value == 1.0
    assert isinstance(result.outcome, Completion)
    assert not result.outcome.cached


def test_judging_that_goes_on_keeps_what_was_paid_before(tmp_path: Path) -> None:
    def judged(bill: Bill, value: float | None) -> Result:
        return replace(row("n0"), scores={"own": Score(value=value, reason="judged")}, bills={"judge": bill})

    tokens = Usage(prompt_tokens=10, completion_tokens=2)
    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.append(judged(Bill(answered=2, failed=1, usage=tokens), None))
    run = writer.finish("interrupted")
    again = RunWriter(tmp_path, run.manifest)
    again.append(judged(Bill(answered=1, from_cache=2, usage=tokens), 1.0))
    (kept,) = again.finish("complete").results
    both = Usage(prompt_tokens=20, completion_tokens=4)
    assert kept.bills == {"judge": Bill(answered=3, failed=1, usage=both)}


def test_answer_replaces_an_earlier_failure(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.append(row("n0", None))
    writer.append(row("n0", "late"))
    run = writer.finish("complete")
    assert len(run.results) == 1
    assert isinstance(run.results[0].outcome, Completion)


def test_unfinished_run_of_the_same_plan_is_resumed_and_a_complete_one_is_not(tmp_path: Path) -> None:
    first = manifest(tmp_path)
    writer = RunWriter(tmp_path, first)
    assert resumable(tmp_path, first.plan) is None, "somebody is writing it"
    writer.close()
    found = resumable(tmp_path, first.plan)
    assert found is not None
    assert found.id == first.id
    assert resumable(tmp_path, "another plan") is None
    RunWriter(tmp_path, found).finish("complete")
    assert resumable(tmp_path, first.plan) is None


def test_two_writers_of_one_run_are_refused(tmp_path: Path) -> None:
    first = manifest(tmp_path)
    writer = RunWriter(tmp_path, first)
    with pytest.raises(StorageError, match="written by another process"):
        RunWriter(tmp_path, first)
    writer.close()


def test_newer_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.finish("complete")
    file = writer.path / "manifest.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**data, "schema": 99, "new_field": 1}), encoding="utf-8")
    with pytest.raises(StorageError, match=r"schema 99.*upgrade"):
        open_run(writer.path)


def test_damaged_manifest_is_named(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.finish("complete")
    (writer.path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match="damaged"):
        open_run(writer.path)


def test_folder_without_a_run_says_how_to_find_one(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="harness runs"):
        open_run(tmp_path)


def test_disk_full_is_a_clear_error_and_keeps_what_was_written(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path, manifest(tmp_path))
    writer.append(row("n0"))
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    kept, writer._file = writer._file, full.open("a", encoding="utf-8")
    with pytest.raises(StorageError, match=r"No space left.*free some disk space"):
        writer.append(row("n1"))
    kept.close()
    writer.close()
    assert [result.case for result in open_run(writer.path).results] == ["n0"]


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    for stamp in ("20260101T000000Z-a", "20260301T000000Z-b"):
        RunWriter(tmp_path, replace(manifest(tmp_path), id=stamp)).finish("complete")
    assert [path.name[:8] for path in list_runs(tmp_path)] == ["20260301", "20260101"]


def test_runs_that_somebody_renamed_are_listed_last(tmp_path: Path) -> None:
    for name in ("20260101T000000Z-a", "old-run", "20260301T000000Z-b"):
        RunWriter(tmp_path, replace(manifest(tmp_path), id=name)).finish("complete")
    assert [path.name for path in list_runs(tmp_path)] == [
        "20260301T000000Z-b",
        "20260101T000000Z-a",
        "old-run",
    ]


# --- clocks ------------------------------------------------------------------------------------------


def test_an_id_sorts_behind_every_run_there_is(tmp_path: Path) -> None:
    created = "2026-11-23T10:00:00Z"
    assert new_run_id("m", created, reports=tmp_path / "none").startswith("20261123T100000Z-m-")
    (tmp_path / "20261123T100000Z-zzz-ffff").mkdir()
    assert new_run_id("m", created, reports=tmp_path).startswith("20261123T100001Z-m-"), "of the same second"
    (tmp_path / "20271231T235959Z-m-0000").mkdir()
    assert new_run_id("m", created, reports=tmp_path).startswith("20280101T000000Z-m-"), (
        "the clock was set back"
    )
    for other in ("20991399T999999Z-m-0000", "21-notes", "promoted.json"):
        (tmp_path / other).mkdir()
    assert new_run_id("m", created, reports=tmp_path).startswith("20280101T000000Z-m-"), "no times"


def test_a_run_never_ends_before_it_began(tmp_path: Path) -> None:
    """The clock was set back after it began, by seventy years."""
    writer = RunWriter(tmp_path, replace(manifest(tmp_path), created="2096-01-01T00:00:00Z"))
    assert writer.finish("complete").manifest.finished == "2096-01-01T00:00:00Z"


# --- endings -----------------------------------------------------------------------------------------


def test_a_run_is_unfinished_until_it_is_sealed(tmp_path: Path) -> None:
    first = manifest(tmp_path)
    writer = RunWriter(tmp_path, first)
    assert writer.finish("complete", seal=False).manifest.status == "complete"
    assert resumable(tmp_path, first.plan) is None, "it is being written"
    writer.close()
    found = resumable(tmp_path, first.plan)
    assert found is not None
    assert found.id == first.id
    again = RunWriter(tmp_path, first)
    again.finish("complete", seal=False)
    again.seal()
    again.close()
    assert resumable(tmp_path, first.plan) is None


def test_what_killed_processes_left_is_swept_away(tmp_path: Path) -> None:
    first = manifest(tmp_path)
    stillborn, older = tmp_path / "20260101T000000Z-m-0000", tmp_path / "20260101T000000Z-m-1111"
    for folder in (tmp_path / first.id, stillborn, older):
        folder.mkdir()
    (tmp_path / first.id / ".index.html.0123456789ab").write_text("<html>", encoding="utf-8")
    (stillborn / ".lock").touch()
    (older / "results.jsonl").touch()
    fresh, stale = tmp_path / ".promoted.json.0123456789ab", tmp_path / ".promoted.json.ba9876543210"
    for path in (fresh, stale):
        path.touch()
    for path in (stillborn, older, stale):
        os.utime(path, (0, 0))
    RunWriter(tmp_path, first).close()
    assert not (tmp_path / first.id / ".index.html.0123456789ab").exists()
    assert fresh.exists(), "somebody may be writing it"
    assert not stale.exists()
    assert not stillborn.exists()
    assert older.exists(), "there is something in it"


def test_who_takes_a_run_over_is_not_alone_with_a_lock_of_another_file(tmp_path: Path) -> None:
    """A lock file that is deleted and made again is two files: two processes could each hold one."""
    first = manifest(tmp_path)
    writer = RunWriter(tmp_path, first)
    lock = (writer.path / ".lock").stat().st_ino
    writer.close()
    again = RunWriter(tmp_path, first)
    assert (writer.path / ".lock").stat().st_ino == lock
    again.close()
