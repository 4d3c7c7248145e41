import gzip
import json
from pathlib import Path

import pytest

from harness.dataset import lines as module
from harness.dataset.lines import Rereader, read_lines
from harness.errors import UsageError

ROW = {"messages": [{"role": "assistant", "content": "好\u2028x"}]}


def test_gzip_marks_line_ends_and_blank_lines_make_no_difference(tmp_path: Path) -> None:
    text = json.dumps(ROW, ensure_ascii=False)
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_bytes(b"\xef\xbb\xbf" + f"{text}\r\n\r\n  \n{text}".encode())
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        assert [(line.number, line.row) for line in read_lines(path)] == [(1, ROW), (4, ROW)]


def test_broken_gzip_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(ROW).encode() * 1000)[:-20])
    with pytest.raises(UsageError, match=r"a\.jsonl\.gz"):
        list(read_lines(path))


def test_a_line_too_long_is_a_fault_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 2**20)
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps("x" * (3 * 2**20)) + "\n" + json.dumps(ROW) + "\n")
    first, second = read_lines(path)
    assert first.fault is not None
    assert "longer than 1 MB" in first.fault.what
    assert (second.number, second.row) == (2, ROW)


def test_progress_ends_at_the_files_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text((json.dumps(ROW) + "\n") * 1000)
    told: list[tuple[int, int]] = []
    assert len(list(read_lines(path, progress=lambda done, total: told.append((done, total))))) == 1000
    size = path.stat().st_size
    assert told[-1] == (size, size)
    assert told == sorted(told)
    assert len(told) > 2


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_can_be_read_again_by_where_it_starts(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "a.jsonl"
    data = b"\xef\xbb\xbf" + f'{json.dumps(ROW)}\r\n\r\n  {{"x": 1}}\n[2]'.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    rereader = Rereader(path)
    lines = list(read_lines(path))
    assert [rereader.at(line.start).row for line in reversed(lines)] == [[2], {"x": 1}, ROW]
    rereader.close()
