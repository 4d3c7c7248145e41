import gzip
import json
import os
from pathlib import Path

import pytest

from harness.dataset.lines import read_lines
from harness.errors import UsageError

CHAT = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
ROW = json.dumps(CHAT)
BOM = b"\xef\xbb\xbf"


def faults(path: Path, data: bytes) -> list[tuple[int, str, str, str | None, bool]]:
    path.write_bytes(data)
    return [
        (line.number, line.fault.what, line.fault.remedy, line.fault.source, line.whole_file)
        for line in read_lines(path)
        if line.fault
    ]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (ROW.encode("utf-16"), "is UTF-16"),
        (ROW.encode("utf-16-le"), "is UTF-16"),
        (ROW.encode("utf-16-be"), "is UTF-16"),
        (ROW.encode("utf-32"), "is UTF-32"),
        (ROW.encode("utf-32-be"), "is UTF-32"),
        (b"PK\x03\x04....", "is a zip archive"),
        (b"\x28\xb5\x2f\xfd....", "is packed, and not by gzip"),
        (b"PAR1....", "is Parquet"),
        (json.dumps(CHAT, indent=2).encode(), "an object stands on several lines"),
        (b"\n\n" + json.dumps([CHAT], indent=2).encode(), "the file is one JSON array"),
        (b"question;answer\na;b\n", "the file is a table"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_told_once(tmp_path: Path, data: bytes, what: str) -> None:
    ((_, told, remedy, _, whole),) = faults(tmp_path / "a.jsonl", data)
    assert what in told
    assert remedy
    assert whole


@pytest.mark.parametrize(
    ("row", "source"),
    [
        (CHAT, "chat"),
        ({"instruction": "a", "output": "b"}, "alpaca"),
        ({"conversations": []}, "sharegpt"),
        ({"prompt": "a", "completion": "b"}, "prompt-completion"),
        ({"other": 1}, None),
        ("text", None),
    ],
)
@pytest.mark.parametrize("indent", [1, None])
def test_an_array_says_what_its_items_are(
    tmp_path: Path, row: object, source: str | None, indent: int | None
) -> None:
    text = json.dumps([row] * 5, indent=indent).replace("},", "},\n", 1).replace('",', '",\n', 1)
    ((_, what, _, told, _),) = faults(tmp_path / "a.json", text.encode())
    assert what == "the file is one JSON array"
    assert told == source


@pytest.mark.parametrize(
    ("line", "what", "remedy"),
    [
        (BOM + ROW.encode(), "a byte order mark in the middle", "remove it"),
        (b"\0" * 40, "nothing but zero bytes", "cut short"),
        (ROW.encode() + b",", "Extra data", "comma at the end of each line"),
        (f"{ROW}\r{ROW}".encode(), "Extra data", "end in CR alone"),
        (f"{ROW}{ROW}".encode(), "Extra data", "begin a new line"),
        (str(CHAT).encode(), "property name", "json.dumps"),
        (ROW.replace("hi", "caf\u00e9").encode("latin-1"), "not UTF-8 at byte", "UTF-8"),
        (ROW.replace('"hi"', "NaN").encode(), "not valid JSON: NaN", "write null"),
        (ROW.replace('"hi"', "-Infinity").encode(), "not valid JSON: -Infinity", "write null"),
        (b"[" * 100_000, "nested too deeply", "plain chat example"),
        (ROW[:-4].encode(), "not valid JSON: Unterminated string", "one whole JSON object"),
    ],
)
def test_a_line_that_is_not_json_says_why_and_the_next_is_read(
    tmp_path: Path, line: bytes, what: str, remedy: str
) -> None:
    data = b"\n".join([ROW.encode(), line, ROW.encode()])
    ((number, told, mend, _, whole),) = faults(tmp_path / "a.jsonl", data)
    assert (number, whole) == (2, False)
    assert what in told
    assert remedy in mend


def test_a_first_line_that_is_nested_too_deeply_is_a_line(tmp_path: Path) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    ((number, what, *_, whole),) = faults(tmp_path / "a.jsonl", deep + b"\n" + ROW.encode())
    assert (number, whole) == (1, False)
    assert "nested too deeply" in what


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(UsageError, match="not a regular file"):
            list(read_lines(path))


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-20], lambda data: data[:3] + b"garbage" + data[10:], lambda data: data + b"rest"],
)
def test_a_damaged_gzip_says_so(tmp_path: Path, damage: "object") -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(damage(gzip.compress(ROW.encode() * 1000)))  # type: ignore[operator]
    with pytest.raises(UsageError, match=r"a\.jsonl\.gz: broken gzip") as caught:
        list(read_lines(path))
    assert "fetch it again" in caught.value.remedy
