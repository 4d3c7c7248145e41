"""Whatever stands in a file: a value, or an error that says what and where; never a crash, never a hang."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from tests.fuzz.bounds import bounded, read_or_refused, thinned
from tests.fuzz.readers import READERS, SCORERS, SUITE, Reader, every_reader
from tests.localserver.fuzz.inputs import broken, near, replaced

JSON_READERS = [
    name
    for name, reader in READERS.items()
    if all(line.startswith((b"{", b"[")) for line in reader.seed.splitlines())
]
DEEP = 3000
Change = Callable[[bytes], bytes]
CHANGES: dict[str, Change] = {
    "nothing": lambda data: b"",
    "white space": lambda data: b" \n\t\n",
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "two byte order marks": lambda data: b"\xef\xbb\xbf\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda data: data.decode().encode("utf-16-be"),
    "Windows line ends": lambda data: data.replace(b"\n", b"\r\n"),
    "old Macintosh line ends": lambda data: data.replace(b"\n", b"\r"),
    "Latin-1": lambda data: data + "é\n".encode("latin-1"),
    "zero bytes at the end": lambda data: data + b"\0" * 100,
    "a zero byte inside": lambda data: data[: len(data) // 2] + b"\0" + data[len(data) // 2 :],
    "cut": lambda data: data[: len(data) * 2 // 3],
    "twice": lambda data: data + data,
    "open brackets": lambda data: b"[" * 20_000,
    "open braces": lambda data: b'{"a":' * 20_000,
    "closed brackets": lambda data: b"[" * DEEP + b"]" * DEEP,
    "a deep line after it": lambda data: data + b"\n" + b"[" * 900 + b"]" * 900,
    "a deep object after it": lambda data: data + b"\n" + b'{"a":' * 190 + b"1" + b"}" * 190,
    "a number of many digits": lambda data: data + b'\n{"a": ' + b"9" * 5000 + b"}",
    "a long line": lambda data: data + b"\n" + b"x" * 150_000,
    "a long quote": lambda data: data + b'\n"' + b"x\n" * 1_000,
    "many commas": lambda data: data + b"\n" + b"," * 2_000,
    "backslashes": lambda data: data.replace(b"a", b"\\"),
    "gzip that is none": lambda data: b"\x1f\x8b" + data,
    "an alias of itself": lambda data: b"&a [*a]",
    "a tag": lambda data: b"!!python/object/apply:os.system ['true']",
    "a web page": lambda data: b"<!doctype html><title>404</title>",
}
# What a value in JSON may be, beside values of the wrong kind.
SPELLINGS = (b"NaN", b"-Infinity", b"1e999", b"-0.0", b"9" * 400, b'"\\ud800"', b'"\\u0000"', b'"\\u202e\\u001b[2J"', b"[" * 300 + b"]" * 300)  # fmt: skip


def is_read_or_refused(reader: Reader, folder: Path, data: bytes) -> object:
    reader.lay(folder, data)
    return read_or_refused(lambda: reader.read(folder))


@every_reader
def test_the_fuzz_begins_with_what_is_valid(tmp_path: Path, name: str) -> None:
    reader = READERS[name]
    reader.lay(tmp_path, reader.seed)
    reader.read(tmp_path)


@every_reader
def test_a_file_may_be_damaged_in_any_known_way(tmp_path: Path, name: str) -> None:
    # Checking the whole of a file takes longest, and reads it as `training` does.
    for change in thinned(CHANGES.values(), 6 if name == "checked" else len(CHANGES)):
        is_read_or_refused(READERS[name], tmp_path, change(READERS[name].seed))


def respelt(data: bytes) -> Iterator[bytes]:
    """The rows with each plain value in turn written in another way."""
    rows = [json.loads(line) for line in data.splitlines()]
    for number, row in enumerate(rows):
        for place in range(_leaves(row)):
            marked = json.dumps(_with_mark(row, [place])).encode()
            for spelling in SPELLINGS:
                yield b"\n".join(
                    [
                        json.dumps(other).encode() if n != number else marked.replace(b'"MARK"', spelling)
                        for n, other in enumerate(rows)
                    ]
                )


def _leaves(value: object) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 1 if items is None else sum(map(_leaves, items))


def _with_mark(value: object, left: list[int]) -> object:
    if isinstance(value, dict):
        return {key: _with_mark(item, left) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_mark(item, left) for item in value]
    left[0] -= 1
    return "MARK" if left[0] == -1 else value


@pytest.mark.parametrize("name", [name for name in JSON_READERS if name != "checked"])
def test_any_value_may_be_spelt_as_no_other_program_would(tmp_path: Path, name: str) -> None:
    for data in thinned(respelt(READERS[name].seed), 8):
        is_read_or_refused(READERS[name], tmp_path, data)


@pytest.mark.parametrize("name", [name for name in JSON_READERS if name != "checked"])
def test_any_value_may_be_of_another_kind(tmp_path: Path, name: str) -> None:
    rows = [json.loads(line) for line in READERS[name].seed.splitlines()]
    changed = [
        [*rows[:number], other, *rows[number + 1 :]]
        for number, row in enumerate(rows)
        for other in replaced(row)
    ]
    for others in thinned(changed, 8):
        is_read_or_refused(READERS[name], tmp_path, "\n".join(map(json.dumps, others)).encode())


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer["type"])
def test_any_option_of_a_scorer_may_be_of_another_kind(tmp_path: Path, scorer: dict[str, object]) -> None:
    reader = READERS["suite"]
    (tmp_path / "rows.jsonl").write_bytes(b'{"messages": []}\n')
    plain = {key: SUITE[key] for key in ("name", "cases")}
    valid = json.dumps({**plain, "scorers": [scorer]}).encode()
    assert not isinstance(is_read_or_refused(reader, tmp_path, valid), HarnessError) or scorer["type"] in {
        "json_schema", "json_fields", "number", "tool_call", "pairwise", "score_model", "label_model", "label"
    }  # fmt: skip
    for other in thinned(replaced(scorer), 6):
        is_read_or_refused(reader, tmp_path, json.dumps({**plain, "scorers": [other]}).encode())


@bounded(8)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "bytes"
    folder.mkdir(exist_ok=True)
    name = data.draw(st.sampled_from(sorted(READERS)))
    content = data.draw(broken(READERS[name].seed) | st.binary(max_size=60))
    is_read_or_refused(READERS[name], folder, content)


@bounded(8)
@given(data=st.data())
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "json"
    folder.mkdir(exist_ok=True)
    name = data.draw(st.sampled_from(JSON_READERS))
    rows = [data.draw(near(json.loads(line))) for line in READERS[name].seed.splitlines()]
    is_read_or_refused(READERS[name], folder, "\n".join(map(json.dumps, rows)).encode())


@bounded(8)
@given(data=st.data())
def test_any_suite_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "suites"
    folder.mkdir(exist_ok=True)
    (folder / "rows.jsonl").write_bytes(b'{"messages": []}\n')
    suite = {**SUITE, "scorers": data.draw(st.lists(st.sampled_from(SCORERS), min_size=1, max_size=3))}
    text = json.dumps(data.draw(near(suite))).encode()
    is_read_or_refused(READERS["suite"], folder, data.draw(broken(text)))
