import json
from dataclasses import replace
from pathlib import Path

import pytest
from eval_samples import suite

from harness.errors import StorageError
from harness.evals import Plan, RunWriter, list_runs, new_manifest, open_run, resumable
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
