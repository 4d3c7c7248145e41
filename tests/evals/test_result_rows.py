"""What becomes of `results.jsonl` when its process is killed, the power goes or the disk is bad."""

import random
from pathlib import Path

import pytest

from harness.evals.result_rows import kept_rows, read_rows
from harness.records import Completion, Result
from harness.serial import to_json


def row(number: int) -> Result:
    outcome = Completion(text=f"answer {number} 漢\u2028")
    return Result(
        suite="s", case=f"c{number}", role="candidate", model="m", trial=0, digest="d", outcome=outcome
    )


LINES = [(to_json(row(number)) + "\n").encode() for number in range(4)]
WHOLE = b"".join(LINES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def cases(rows: list[Result]) -> list[str]:
    return [row.case for row in rows]


def test_a_file_that_is_whole_is_left_alone_and_nothing_is_told(file: Path) -> None:
    told: list[str] = []
    assert kept_rows(file, tell=told.append) == []
    assert not file.exists()
    file.write_bytes(WHOLE)
    assert cases(kept_rows(file, tell=told.append)) == ["c0", "c1", "c2", "c3"]
    assert file.read_bytes() == WHOLE
    assert not told


def test_cut_off_at_any_byte_it_keeps_every_whole_row_and_takes_more(file: Path) -> None:
    ends = [sum(map(len, LINES[:count])) for count in range(len(LINES) + 1)]
    for size in range(len(WHOLE)):
        told: list[str] = []
        file.write_bytes(WHOLE[:size])
        left = sum(end <= size for end in ends) - 1
        assert len(list(read_rows(file, tell=told.append))) == left
        assert not told, "a reader does not know whether the row is being written"
        assert len(kept_rows(file, tell=told.append)) == left
        assert bool(told) is (size not in ends)
        with file.open("ab") as stream:
            stream.write(LINES[-1])
        assert len(list(read_rows(file))) == left + 1


def test_zeros_at_the_end_are_cut_off(file: Path) -> None:
    """A file system may have noted the file's new size, and not its last blocks, when the power went."""
    told: list[str] = []
    file.write_bytes(WHOLE + bytes(4096))
    assert len(kept_rows(file, tell=told.append)) == 4
    assert file.read_bytes() == WHOLE
    assert "the last row was not whole" in told[0]


def test_damage_in_the_middle_is_set_aside_under_a_name_that_is_told(file: Path) -> None:
    damaged = LINES[0] + bytes(20) + LINES[1][20:] + b"\n" + LINES[2] + LINES[3][:-5]
    for number in (1, 2):
        told: list[str] = []
        file.write_bytes(damaged)
        assert cases(kept_rows(file, tell=told.append)) == ["c0", "c2"]
        assert file.read_bytes() == LINES[0] + LINES[2]
        assert f"results.jsonl.damaged-{number}, and its 2 rows" in told[0]
        assert file.with_name(f"results.jsonl.damaged-{number}").read_bytes() == damaged
        assert len(told) == 1


def test_a_reader_tells_of_damage_and_changes_nothing(file: Path) -> None:
    told: list[str] = []
    file.write_bytes(b"{}\n" + WHOLE)
    assert len(list(read_rows(file, tell=told.append))) == 4
    assert "1 damaged row is passed over" in told[0]
    assert file.read_bytes() == b"{}\n" + WHOLE


@pytest.mark.parametrize("seed", range(5))
def test_no_damage_breaks_it_or_adds_a_row(file: Path, seed: int) -> None:
    generator = random.Random(seed)
    data = bytearray(WHOLE)
    for _ in range(4):
        start, size = generator.randrange(len(data)), generator.choice((1, 8, 64))
        data[start : start + size] = generator.choice(
            (b"", bytes(size), generator.randbytes(size), b"\n" * size)
        )
    file.write_bytes(data)
    rows = kept_rows(file, tell=lambda _: None)
    assert len(rows) <= 4 + data.count(b"\n") - WHOLE.count(b"\n")
    assert list(read_rows(file)) == rows
