import gzip
import json
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.dataset import lines as lines_module
from harness.dataset.checking import check_file
from harness.dataset.engines.parts import bytes_of, plain, spans_of
from harness.dataset.engines.processes import Part
from harness.dataset.lines import Line, Progress, lines_of, read_lines
from harness.errors import UsageError
from harness.records import record
from harness.serial import to_json


@record
class Cuts:
    """Reads parts of so many bytes one after the other; what is made of them travels as it would between processes."""

    size: int
    shipped: bool
    progress: Progress | None = None

    def parts(self, path: Path, tally: Callable[[Iterable[Line]], Part]) -> Iterator[Part]:
        with plain(path) as file:
            for span in spans_of(file, size=self.size):
                lines = (
                    lines_of(bytes_of(file, span, size=self.size), span)
                    if self.shipped
                    else read_lines(file, span=span)
                )
                yield pickle.loads(pickle.dumps(tally(lines)))


def chat(user: str, answer: str, **extra: object) -> str:
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages, **extra}, ensure_ascii=False)


LONG = "Where is the parcel that I ordered for my sister three weeks ago?"
ROWS = st.sampled_from(
    [
        "",
        "  ",
        "{broken",
        "[1]",
        "5",
        chat("a", "yes"),
        chat("a", "no"),
        chat("好\u2028吗", "I'm sorry, I can't help with that."),
        chat(LONG, "It is on its way to you and comes tomorrow."),
        chat(LONG + "!", "It is on its way to you and comes tomorrow"),
        chat("x", "Ã©tÃ©", weight=1),
        json.dumps({"prompt": "a", "completion": "b"}),
        json.dumps({"instruction": "a", "output": "b"}),
    ]
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    rows = draw(st.lists(ROWS, max_size=25))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return (mark + end.join(rows) + draw(st.sampled_from(["", end]))).encode()


@settings(max_examples=60, deadline=None)
@given(files(), st.integers(1, 400), st.booleans(), st.booleans())
def test_a_file_read_in_parts_has_the_report_of_one_reading(
    data: bytes, size: int, shipped: bool, packed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.jsonl"
        path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
        whole = check_file(path, model="gpt-4o-mini")
        assert to_json(
            check_file(path, model="gpt-4o-mini", engine=Cuts(size=size, shipped=shipped))
        ) == to_json(whole)


@example(b"\x1f\x8b\n", 1)  # looks like gzip, and is what was unpacked
@given(st.binary(max_size=60).map(lambda data: data.replace(b"\x00", b"\n")), st.integers(1, 20))
def test_spans_together_are_the_file_and_end_where_lines_end(data: bytes, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(data)
        spans = list(spans_of(path, size=size))
        assert b"".join(bytes_of(path, span, size=size) for span in spans) == data
        for span in spans:
            assert span.first_line == data[: span.start].count(b"\n") + 1
            assert span.start == 0 or data[span.start - 1 : span.start] == b"\n"


def test_a_line_longer_than_any_example_is_one_fault_wherever_the_cut_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr("harness.dataset.engines.parts.MAX_LINE_BYTES", 100)
    path = tmp_path / "a.jsonl"
    path.write_text(f'"first"\n"{"x" * 1000}"\n"last"\n')
    whole = list(read_lines(path))
    assert [line.fault is None for line in whole] == [True, False, True]
    for size in (1, 10, 50, 500, 5000):
        spans = list(spans_of(path, size=size))
        assert [line for span in spans for line in read_lines(path, span=span)] == whole
        shipped = [bytes_of(path, span, size=size) for span in spans]
        assert [
            line for data, span in zip(shipped, spans, strict=True) for line in lines_of(data, span)
        ] == whole
        assert max(map(len, shipped)) <= size + 101


def test_a_file_wrong_as_a_whole_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('[\n{"messages": []},\n{"messages": []}\n]\n')
    (span,) = spans_of(path, size=3)
    (line,) = read_lines(path, span=span)
    assert line.whole_file


def test_what_a_gzip_holds_lies_in_a_temporary_file_as_long_as_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"1\n2\n"))
    with plain(path) as copy:
        assert copy.read_bytes() == b"1\n2\n"
    assert not copy.exists()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UsageError, match=r"a\.jsonl\.gz"), plain(path):
        pass
