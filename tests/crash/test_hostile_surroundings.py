"""A full disk, folders that cannot be written, a clock set back, two runs at once, files of a newer version."""

import json
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashes import CASES, RUN, Project, Runs, output_of

from harness.cli import main
from harness.evals import list_runs, open_run
from harness.models import AnswerCache
from harness.records import Run

CELLS = 2 * CASES
# Less than the answers take, and more than anything that is written before the first of them.
FULL_AT_BYTES = 40_000


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own are not."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made / "project"
    for path in made.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(made)


def only_run(folder: Path) -> Run:
    (path,) = list_runs(folder / "reports")
    return open_run(path)


def told(folder: Path) -> str:
    """What the last commands printed; a traceback is never a message."""
    text = output_of(folder)
    (folder / "output.txt").unlink()
    assert "Traceback" not in text
    return text


def make_read_only(*folders: Path) -> None:
    for path in folders:
        path.mkdir(exist_ok=True, parents=True)
        path.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)


# --- disks --------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_for_answers_ends_the_run_with_the_remedy_and_keeps_what_came(
    runs: Runs, folder: Path
) -> None:
    with Project(folder) as project:
        assert runs.run(folder, RUN, limit_bytes=FULL_AT_BYTES) != 0
        text = told(folder)
        assert "the answer cache" in text
        assert "free space on its disk" in text
        stored, asked = project.stored(), project.asked()
        assert 0 < stored < CELLS
        assert asked.total() < CELLS, "nothing more was asked when the first could not be stored"
        assert runs.run(folder, RUN) == 0
        assert project.asked().total() <= CELLS + asked.total() - stored
    run = only_run(folder)
    assert (run.manifest.status, len(run.results)) == ("complete", CELLS)


def test_a_disk_that_is_full_for_the_page_is_told_and_the_same_command_writes_it(
    runs: Runs, folder: Path
) -> None:
    with Project(folder) as project:
        assert runs.run(folder, RUN) == 0
        first = only_run(folder).path
        assert first is not None
        shutil.rmtree(first)
        told(folder)
        size = 60_000
        assert runs.run(folder, RUN, limit_bytes=size) != 0
        assert "index.html" in (text := told(folder))
        assert "File too large (free some disk space and start again" in text
        cut_short = only_run(folder)
        assert cut_short.path is not None
        assert len(cut_short.results) == CELLS
        assert not (cut_short.path / "index.html").exists()
        assert runs.run(folder, RUN) == 0
        assert f"resuming {cut_short.manifest.id}" in told(folder)
        assert project.asked().total() == CELLS
    assert (cut_short.path / "index.html").stat().st_size > size
    assert only_run(folder).manifest.id == cut_short.manifest.id


@pytest.mark.parametrize("name", [".harness", "reports"])
def test_a_folder_that_cannot_be_written_is_named_before_anybody_is_asked(
    runs: Runs, folder: Path, name: str
) -> None:
    with Project(folder) as project:
        make_read_only(folder / name)
        if name == "reports":
            (folder / ".harness").mkdir()
            (folder / ".harness").chmod(0o777)
        assert runs.run(folder, RUN, unprivileged=True) != 0
        text = told(folder)
        assert "Permission denied" in text
        assert str(folder / name) in text
        remedy = "choose a writable folder with --reports DIR" if name == "reports" else "writable"
        assert remedy in text
        assert not project.asked()


def test_a_cache_that_may_be_read_but_not_written_is_told_of(runs: Runs, folder: Path) -> None:
    with Project(folder) as project:
        AnswerCache(folder / ".harness" / "answers.sqlite").close()
        make_read_only(folder / ".harness")
        assert runs.run(folder, RUN, unprivileged=True) != 0
        assert f"make {folder / '.harness'} writable" in told(folder)
        assert not project.asked()


# --- two at once ----------------------------------------------------------------------------------------------


def test_two_runs_at_once_pay_at_most_twice_and_both_come_to_their_end(runs: Runs, folder: Path) -> None:
    with Project(folder) as project:
        assert runs.run_twice(folder, RUN) == [0, 0]
        assert "locked" not in told(folder)
        asked = project.asked()
        assert len(asked) == CELLS
        assert max(asked.values()) <= 2
        assert runs.run(folder, RUN) == 0
        assert project.asked() == asked, "what two runs paid for is paid for"
    found = [open_run(path) for path in list_runs(folder / "reports")]
    assert len(found) == 3
    for run in found:
        assert (run.manifest.status, len(run.results)) == ("complete", CELLS)
        assert run.path is not None
        assert len((run.path / "results.jsonl").read_text(encoding="utf-8").splitlines()) == CELLS


def test_of_two_runs_that_go_on_with_the_same_one_at_most_one_is_told_to_wait(
    runs: Runs, folder: Path
) -> None:
    with Project(folder) as project:
        runs.run(folder, RUN, kill=("rows", 30))
        stored, asked = project.stored(), project.asked().total()
        first, second = sorted(runs.run_twice(folder, RUN))
        text = told(folder)
        assert project.asked().total() <= asked + 2 * (CELLS - stored)
    assert first == 0
    assert second == 0 or "is being written by another process (wait for it, or use --reports DIR)" in text
    for path in list_runs(folder / "reports"):
        assert len((path / "results.jsonl").read_text(encoding="utf-8").splitlines()) == CELLS


# --- clocks ---------------------------------------------------------------------------------------------------


def test_after_the_clock_was_set_back_latest_is_still_the_last_run(
    runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project(folder):
        assert runs.run(folder, RUN) == 0
        before = only_run(folder)
        assert before.path is not None
        # As if this one had been made while the clock was ahead.
        ahead = "20990101T000000Z-acme-tuned-0000"
        text = (before.path / "manifest.json").read_text(encoding="utf-8")
        text = text.replace(before.manifest.id, ahead).replace(
            before.manifest.created, "2099-01-01T00:00:00Z"
        )
        before.path.rename(folder / "reports" / ahead)
        (folder / "reports" / ahead / "manifest.json").write_text(text, encoding="utf-8")
        assert runs.run(folder, RUN) == 0
    newest = list_runs(folder / "reports")[0].name
    assert newest.startswith("20990101T000001Z-")
    monkeypatch.chdir(folder)
    assert main(["gate", "latest"]) == 0
    assert main(["promote", "latest", "--by", "nobody"]) == 0
    promoted = json.loads((folder / "reports" / "promoted.json").read_text(encoding="utf-8"))
    assert promoted["promotions"][0]["run"] == newest
    capsys.readouterr()


# --- newer versions ---------------------------------------------------------------------------------------------


def test_a_cache_of_a_newer_version_is_left_alone_and_told_of(runs: Runs, folder: Path) -> None:
    with Project(folder) as project:
        (folder / ".harness").mkdir()
        file = folder / ".harness" / "answers.sqlite"
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA application_id = 1179928643")
        connection.execute("PRAGMA user_version = 99")
        connection.execute("CREATE TABLE answers_of_tomorrow (key)")
        connection.commit()
        connection.close()
        data = file.read_bytes()
        assert runs.run(folder, RUN) != 0
        assert "has schema 99" in (text := told(folder))
        assert "upgrade the harness, or delete the file" in text
        assert file.read_bytes() == data
        assert not project.asked()


def test_runs_and_promotions_of_a_newer_version_are_told_of_with_the_remedy(
    runs: Runs, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project(folder) as project:
        assert runs.run(folder, RUN) == 0
        told(folder)
        path = only_run(folder).path
        assert path is not None
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        newer = {**manifest, "schema": 99, "status": "running", "of_tomorrow": 1}
        (path / "manifest.json").write_text(json.dumps(newer), encoding="utf-8")
        monkeypatch.chdir(folder)
        for command in ("show", "gate", "report", "promote"):
            assert main([command, path.name]) != 0
            output = capsys.readouterr()
            assert "has schema 99" in output.err + output.out
            assert "upgrade" in output.err + output.out
        assert runs.run(folder, RUN) == 0, "a new run beside it"
        assert json.loads((path / "manifest.json").read_text(encoding="utf-8")) == newer
        told(folder)
        (folder / "reports" / "promoted.json").write_text(
            '{"schema": 99, "promotions": []}', encoding="utf-8"
        )
        assert runs.run(folder, RUN) != 0
        assert "upgrade" in told(folder)
        assert project.asked().total() == CELLS


# --- files that were cut off or altered ---------------------------------------------------------------------------


def test_damaged_results_are_told_of_and_mended_without_asking(runs: Runs, folder: Path) -> None:
    with Project(folder) as project:
        runs.run(folder, RUN, kill=("rows", 90))
        path = only_run(folder).path
        assert path is not None
        told(folder)
        file = path / "results.jsonl"
        data = file.read_bytes()
        start = len(data) // 2
        file.write_bytes(data[:start] + bytes(512) + data[start + 512 :])
        stored, asked = project.stored(), project.asked().total()
        assert runs.run(folder, RUN) == 0
        text = told(folder)
        assert project.asked().total() == asked + CELLS - stored
    assert "results.jsonl.damaged-1" in text
    assert (path / "results.jsonl.damaged-1").read_bytes()[start : start + 512] == bytes(512)
    rows = file.read_text(encoding="utf-8").splitlines()
    assert len(rows) == len({(row["case"], row["role"]) for row in map(json.loads, rows)}) == CELLS


def test_a_cache_that_was_lost_is_filled_again_from_the_rows_of_the_run(runs: Runs, folder: Path) -> None:
    with Project(folder) as project:
        runs.run(folder, RUN, kill=("rows", 90))
        rows = len(only_run(folder).results)
        for file in (folder / ".harness").glob("answers.sqlite*"):
            file.unlink()
        asked = project.asked().total()
        assert runs.run(folder, RUN) == 0
        assert project.asked().total() == asked + CELLS - rows
        assert project.stored() == CELLS


def test_a_damaged_cache_is_told_of_and_what_it_holds_is_not_asked_again(runs: Runs, folder: Path) -> None:
    with Project(folder) as project:
        assert runs.run(folder, RUN) == 0
        told(folder)
        shutil.rmtree(folder / "reports")
        with (folder / ".harness" / "answers.sqlite").open("rb+") as file:
            file.write(os.urandom(100))
        assert runs.run(folder, RUN) == 0
        assert "answers.sqlite.damaged-1" in (text := told(folder))
        assert f"its {CELLS} answers that could be read are kept" in text
        assert project.asked().total() == CELLS
