"""What damage leaves of an answer cache: noticed, set aside, told of; what can be read is kept, nothing else is believed."""

import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.models.answer_files import SCHEMA
from harness.models.cached import AnswerCache
from harness.models.salvage import PAGE_BYTES, salvaged_rows
from harness.records import Completion, Usage

ANSWERS = 400
# Every fifth is too long for one page, every fiftieth for several.
TEXTS = [
    f"answer {n} 漢 " + "long " * (3000 if n % 50 == 0 else 400 if n % 5 == 0 else n % 40)
    for n in range(ANSWERS)
]


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def fill(cache: AnswerCache) -> None:
    for number, text in enumerate(TEXTS):
        usage = Usage(prompt_tokens=number, completion_tokens=5)
        cache.store(key(number), Completion(text=text, usage=usage), endpoint="e", model="m")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that was closed: one file, no log."""
    path = tmp_path_factory.mktemp("whole") / "answers.sqlite"
    with AnswerCache(path) as cache:
        fill(cache)
    return path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache whose process was killed: the newest answers are in the log alone."""
    folder = tmp_path_factory.mktemp("killed")
    with AnswerCache(folder / "live.sqlite") as cache:
        fill(cache)
        for ending in ("", "-wal"):
            shutil.copy(folder / f"live.sqlite{ending}", folder / f"answers.sqlite{ending}")
    return folder / "answers.sqlite"


def copied(source: Path, folder: Path) -> Path:
    for file in source.parent.glob("answers.sqlite*"):
        if file.suffix != ".lock":
            shutil.copy(file, folder / file.name)
    return folder / "answers.sqlite"


def kept(path: Path) -> tuple[int, list[str]]:
    """How many answers a cache still has, and what was told when it was opened; none of them is another than was stored."""
    told: list[str] = []
    count = 0
    with AnswerCache(path, tell=told.append) as cache:
        for number, text in enumerate(TEXTS):
            found = cache.find(key(number), Completion)
            if found is not None:
                assert (found.text, found.usage.prompt_tokens) == (text, number)
                count += 1
        cache.store("new", Completion(text="new"), endpoint="e", model="m")
        assert cache.find("new", Completion) is not None
    with AnswerCache(path, tell=told.append) as cache:
        assert cache.find("new", Completion) is not None, "mended once and for all"
    return count, told


def test_a_cache_that_was_killed_is_whole_and_nothing_is_told(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    assert path.with_name("answers.sqlite-wal").stat().st_size > PAGE_BYTES
    assert kept(path) == (ANSWERS, [])


def test_a_damaged_file_is_set_aside_and_one_sentence_names_it(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    path.write_bytes(b"this is not a database at all" * 100)
    (tmp_path / "answers.sqlite.damaged-1").write_bytes(b"of an earlier time")
    count, told = kept(path)
    assert len(told) == 1
    assert f"its {count} answers that could be read are kept" in told[0]
    assert "answers.sqlite.damaged-2" in told[0]
    assert (tmp_path / "answers.sqlite.damaged-2").read_bytes().startswith(b"this is not")
    assert (tmp_path / "answers.sqlite.damaged-1").read_bytes() == b"of an earlier time"


def test_without_its_first_page_every_answer_is_kept(whole: Path, tmp_path: Path) -> None:
    """It says what the file is and where the table begins; SQLite reads nothing without it."""
    path = copied(whole, tmp_path)
    for junk in (bytes(PAGE_BYTES), random.Random(1).randbytes(PAGE_BYTES)):
        with path.open("rb+") as file:
            file.write(junk)
        count, told = kept(path)
        assert count == ANSWERS
        assert told


def test_an_emptied_file_is_mended_from_its_log(killed: Path, tmp_path: Path) -> None:
    """SQLite would take the file for a new one and delete the log."""
    path = copied(killed, tmp_path)
    in_log = sum(1 for row in salvaged_rows(path) if isinstance(row[0], str) and len(row[0]) == 64)
    assert in_log > 0
    path.write_bytes(b"")
    count, told = kept(path)
    assert 0 < count < ANSWERS
    assert "is empty" in told[0]
    assert (tmp_path / "answers.sqlite.damaged-1-wal").stat().st_size > PAGE_BYTES


def test_a_lost_log_costs_the_newest_answers_alone(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    path.with_name("answers.sqlite-wal").unlink()
    count, told = kept(path)
    assert 0 < count < ANSWERS
    assert not told, "what is left is whole"


@pytest.mark.parametrize("junk", [b"", bytes(5000), b"\x37\x7f\x06\x82" + b"junk" * 3000])
def test_a_log_or_an_index_of_junk_hides_nothing(whole: Path, tmp_path: Path, junk: bytes) -> None:
    path = copied(whole, tmp_path)
    path.with_name("answers.sqlite-wal").write_bytes(junk)
    path.with_name("answers.sqlite-shm").write_bytes(junk)
    assert kept(path) == (ANSWERS, [])


@pytest.mark.parametrize("share", [0.99, 0.5, 0.1])
def test_of_a_cut_off_file_what_is_left_is_kept(whole: Path, tmp_path: Path, share: float) -> None:
    path = copied(whole, tmp_path)
    size = int(path.stat().st_size * share)
    os.truncate(path, size)
    count, told = kept(path)
    assert ANSWERS * share * 0.5 < count < ANSWERS
    assert "damaged" in told[0]


@pytest.mark.parametrize("seed", range(6))
def test_no_damage_makes_an_answer_wrong(killed: Path, tmp_path: Path, seed: int) -> None:
    """Random bytes, zeros, and halves of pages exchanged (what a torn write leaves) all over the file and its log."""
    generator = random.Random(seed)
    path = copied(killed, tmp_path)
    for file in (path, path.with_name("answers.sqlite-wal")):
        data = bytearray(file.read_bytes())
        for _ in range(generator.randrange(1, 8)):
            start = generator.randrange(len(data))
            size = generator.choice((1, 16, 512, PAGE_BYTES))
            junk = generator.choice(("zeros", "noise", "torn"))
            if junk == "torn":
                other = generator.randrange(len(data) // PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES // 2
                here = start // PAGE_BYTES * PAGE_BYTES + PAGE_BYTES // 2
                data[here : here + PAGE_BYTES // 2] = data[other : other + PAGE_BYTES // 2]
            else:
                data[start : start + size] = bytes(size) if junk == "zeros" else generator.randbytes(size)
        file.write_bytes(data)
    kept(path)  # which compares each answer with what was stored


def test_every_undamaged_page_is_kept(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    pages = path.stat().st_size // PAGE_BYTES
    with path.open("rb+") as file:
        file.seek(pages // 2 * PAGE_BYTES)
        file.write(random.Random(5).randbytes(PAGE_BYTES))
    count, _ = kept(path)
    # A page has some twenty short answers, or a part of a long one.
    assert ANSWERS - 25 <= count < ANSWERS


def test_damage_found_while_asking_is_mended_then(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    told: list[str] = []
    with AnswerCache(path, tell=told.append) as cache:
        data = bytearray(path.read_bytes())
        data[PAGE_BYTES : 6 * PAGE_BYTES] = random.Random(2).randbytes(5 * PAGE_BYTES)
        path.write_bytes(data)
        cache._connection.execute("PRAGMA shrink_memory")  # what it read when it was opened
        found = [cache.find(key(number), Completion) for number in range(ANSWERS)]
        assert len(told) == 1
        assert sum(answer is not None for answer in found) > ANSWERS * 0.6
        cache.store("new", Completion(text="new"), endpoint="e", model="m")
    with AnswerCache(path, tell=told.append) as cache:
        assert cache.find("new", Completion) is not None
    assert len(told) == 1


def test_an_answer_that_was_altered_is_told_of_and_asked_again(whole: Path, tmp_path: Path) -> None:
    """SQLite does not prove what is in a row: a flipped bit would be a model's answer."""
    path = copied(whole, tmp_path)
    data = path.read_bytes()
    assert data.count(b"answer 7 ") == 1
    path.write_bytes(data.replace(b"answer 7 ", b"answer 8 "))
    told: list[str] = []
    with AnswerCache(path, tell=told.append) as cache:
        assert cache.find(key(7), Completion) is None
        assert cache.find(key(6), Completion) is not None
    assert "is damaged, and is asked again" in told[0]


def test_an_altered_answer_is_not_salvaged(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    data = path.read_bytes().replace(b"answer 7 ", b"answer 8 ")
    path.write_bytes(bytes(PAGE_BYTES) + data[PAGE_BYTES:])
    count, told = kept(path)
    assert count == ANSWERS - 1
    assert f"its {count} answers" in told[0]


def test_of_several_forms_of_an_answer_the_latest_is_salvaged(tmp_path: Path) -> None:
    """The log has every form that a page had since it was begun."""
    path, live = tmp_path / "answers.sqlite", tmp_path / "live.sqlite"
    with AnswerCache(live) as cache:
        for text in ("old", "new"):
            for number in range(20):
                cache.store(key(number), Completion(text=text), endpoint="e", model="m")
        path.touch()
        shutil.copy(f"{live}-wal", f"{path}-wal")
    assert len([row for row in salvaged_rows(path) if row[0] == key(3)]) > 1
    with AnswerCache(path, tell=lambda _: None) as cache:
        found = [cache.find(key(number), Completion) for number in range(20)]
    assert [answer.text for answer in found if answer] == ["new"] * 20


def test_answers_of_the_first_schema_are_kept_and_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with AnswerCache(path) as cache:
        fill(cache)
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE answers DROP COLUMN checksum")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    (tmp_path / "damaged").mkdir()
    damaged = copied(path, tmp_path / "damaged")
    assert kept(path) == (ANSWERS, [])
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    connection.close()
    with damaged.open("rb+") as file:
        file.write(bytes(PAGE_BYTES))
    assert kept(damaged)[0] == ANSWERS


# --- killed while it is mended ------------------------------------------------------------------------------

MENDERS = textwrap.dedent(
    """
    import os, shutil, signal, sys
    from pathlib import Path
    from harness.models import AnswerCache

    def mend(path, steps):
        def count(event, arguments):
            nonlocal steps
            if event in {"os.rename", "os.remove", "sqlite3.connect"}:
                steps -= 1
                if steps < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        AnswerCache(path, tell=lambda _: None).close()

    damaged, place = map(Path, sys.argv[1:])
    for steps in range(40):
        folder = place / str(steps)
        folder.mkdir()
        shutil.copy(damaged, folder / "answers.sqlite")
        child = os.fork()
        if child == 0:
            mend(folder / "answers.sqlite", steps)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            break
    """
)


def test_mending_that_is_killed_at_any_step_is_gone_on_with(whole: Path, tmp_path: Path) -> None:
    """At every step that changes a name, or makes a file, in turn, until one comes to its end."""
    damaged = copied(whole, tmp_path)
    with damaged.open("rb+") as file:
        file.write(bytes(PAGE_BYTES))
    place = tmp_path / "menders"
    place.mkdir()
    subprocess.run([sys.executable, "-c", MENDERS, str(damaged), str(place)], check=True, timeout=60)
    folders = sorted(place.iterdir())
    assert 6 < len(folders) < 40
    for folder in folders:
        assert kept(folder / "answers.sqlite")[0] == ANSWERS, f"killed at step {folder.name}"
        assert not [file for file in folder.iterdir() if "mend" in file.name]


# --- several processes ---------------------------------------------------------------------------------------

SHARER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from harness.models import AnswerCache
    from harness.records import Completion

    for turn in range(5):
        with AnswerCache(Path(sys.argv[1])) as cache:
            for number in range(10):
                name = f"{sys.argv[2]}-{turn}-{number}"
                cache.store(name, Completion(text=name), endpoint="e", model="m")
                assert cache.find(name, Completion).text == name
    """
)


def test_processes_that_open_fill_and_close_one_cache_at_once_never_find_it_locked(tmp_path: Path) -> None:
    """The last one to close takes the log away while another opens the file."""
    path = tmp_path / "answers.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARER, str(path), str(number)], stderr=subprocess.PIPE, text=True
        )
        for number in range(2)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == ["", ""]
    with AnswerCache(path) as cache:
        names = [f"{a}-{b}-{c}" for a in range(2) for b in range(5) for c in range(10)]
        assert all(cache.holds(name) for name in names)
