"""A training file's formats and tokens: ours against the official script's loops, on one core, in turn.

    python benchmarks/data_counting.py FILE [--model gpt-4o-mini-2024-07-18] [--repeats 3]

Both read the file anew each time. The script's part is its format check and its three passes over the messages, as published;
ours is once the same (rows' mistakes, tokens, bill) and once the whole check with every finding. Rows that end the script are left out.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness.dataset.checking import check_file, seen_rows
from harness.dataset.formats import FormatTally
from harness.dataset.lengths import LengthTally
from harness.dataset.lines import read_lines
from harness.dataset.official import count_row, format_errors
from harness.dataset.tokens import _encoder, count_many, count_tokens, encoding_for


def counted(path: Path, model: str) -> int:
    """The script's part, as ours."""
    formats, lengths = FormatTally(), LengthTally()
    for row in seen_rows(read_lines(path), model=model):
        formats.add(row)
        lengths.add(row)
    lengths.distributions()
    return sum(lengths.script)


def countable(row: bytes) -> bool:
    """Whether the script's loops survive the row."""
    try:
        messages = json.loads(row)["messages"]
    except (KeyError, TypeError, ValueError):
        return False
    return all(isinstance(value, str) for message in messages for value in message.values())


def official(path: Path, encoding: str) -> int:
    encoder = _encoder(encoding)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for row in rows:
        format_errors(row, edition="2024")
    return sum(count_row(row, lambda text: len(encoder.encode(text))).total for row in rows)


def resident() -> float:
    """The most memory this process had at one time, in MB. The kernel's `ru_maxrss` would count its parent's before it started."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


def seconds(work: Callable[[], int]) -> tuple[float, int]:
    started = time.process_time()
    value = work()
    return time.process_time() - started, value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", default="gpt-4o-mini-2024-07-18")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    encoding = encoding_for(options.model)
    for load in (count_tokens("load", encoding=encoding), count_many(["load"], encoding=encoding)):
        assert load  # the tokenizers' tables, some 0.5 s, are no part of either
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with options.file.open("rb") as file:
            path.write_bytes(b"".join(row for row in file if countable(row)))
        compare(path, model=options.model, repeats=options.repeats)


def compare(path: Path, *, model: str, repeats: int) -> None:
    encoding = encoding_for(model)
    check_file(path, model=model)  # models of languages and the like are loaded once
    counting, whole = [], []
    for _ in range(repeats):
        theirs, script = seconds(lambda: official(path, encoding))
        alone, own = seconds(lambda: counted(path, model))
        checked, _ = seconds(lambda: check_file(path, model=model).script_tokens)
        counting.append(theirs / alone)
        whole.append(theirs / checked)
        print(
            f"script {theirs:6.2f} s, {script:,} tokens   counting {alone:6.2f} s, {own:,} tokens, {counting[-1]:.2f} times as fast   "
            f"whole check {checked:6.2f} s, {whole[-1]:.2f} times as fast"
        )
    print(
        f"median ratio of counting {statistics.median(counting):.2f}, of the whole check {statistics.median(whole):.2f} "
        f"on {path.stat().st_size / 1e6:.1f} MB, {encoding}, one core"
    )


if __name__ == "__main__":
    main()
