"""Counting a training file's tokens: `check_file` against the official script's loops, on one core, in turn.

    python benchmarks/data_counting.py FILE [--model gpt-4o-mini-2024-07-18] [--repeats 3]

Both read the file anew each time. The script's part is its format check and its three passes over the messages, as published;
ours is the whole check: format, tokens, bill, findings.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from harness.dataset.checking import check_file
from harness.dataset.official import count_row, format_errors
from harness.dataset.tokens import _encoder, count_many, count_tokens, encoding_for


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
    ratios = []
    for _ in range(options.repeats):
        theirs, script = seconds(lambda: official(options.file, encoding))
        ours, own = seconds(lambda: check_file(options.file, model=options.model).script_tokens)
        ratios.append(theirs / ours)
        print(
            f"script {theirs:6.2f} s, {script:,} tokens   check {ours:6.2f} s, {own:,} tokens   {theirs / ours:.2f} times as fast"
        )
    print(
        f"median ratio {statistics.median(ratios):.2f} on {options.file.stat().st_size / 1e6:.1f} MB, {encoding}, one core"
    )


if __name__ == "__main__":
    main()
