"""Run by itself: reads one heavy file after another and prints what each took, as JSON.

Usage: `python heavy.py FOLDER LEVEL`; level 1 is for every day, level 100 has the sizes that people fear.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.dataset.checking import check_file
from harness.dataset.convert import convert_file
from harness.errors import HarnessError
from harness.evals import load_suite, open_run
from harness.models.openai_chat import read_completion
from harness.training import read_curve
from harness.training.ledger import recorded_jobs

MB = 2**20
SUITE = b"name: a\nscorers: [{type: exact_match}]\ncases_file: "


def inputs(level: int) -> Iterator[tuple[str, str, bytes, Callable[[Path], object]]]:
    """What it is, the file's name, its bytes, and who reads it."""
    long, many = b"x" * (level * MB), 8_000 * level
    answer = (
        b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "%s"}]}\n' % long
    )
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 40)
    )
    merges = b"a0: &a0 {x0: 1}\n" + b"".join(
        b"a%d: &a%d {<<: [%s], x%d: 1}\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9), n)
        for n in range(1, 40)
    )
    columns = b",".join(b"c%d" % n for n in range(many))

    def suite(folder: Path) -> object:
        return load_suite(folder / "a.suite.yaml")

    def rows(folder: Path) -> object:
        (folder / "a.suite.yaml").write_bytes(SUITE + b"cases.jsonl")
        return suite(folder)

    def table(folder: Path) -> object:
        (folder / "a.suite.yaml").write_bytes(SUITE + b"cases.csv")
        return suite(folder)

    def training(folder: Path) -> object:
        return check_file(folder / "train.jsonl", model="gpt-4.1-mini-2025-04-14")

    yield "aliases of aliases", "a.suite.yaml", bomb, suite
    yield "merges of merges", "a.suite.yaml", merges, suite
    yield "a suite of one line", "a.suite.yaml", b"name: " + long, suite
    yield "a suite of lists", "a.suite.yaml", b"[" + b"a," * many + b"]", suite
    yield "a deep suite", "a.suite.yaml", b"[" * many, suite
    yield "an indented suite", "a.suite.yaml", b"".join(b" " * n + b"a:\n" for n in range(2000)), suite
    yield "a prompt of one line", "cases.jsonl", b'{"id": "a", "prompt": "' + long + b'"}', rows
    yield "many cases that are none", "cases.jsonl", b"x\n" * many, rows
    yield "deep cases", "cases.jsonl", b'{"a": ' * many, rows
    yield "cases of many columns", "cases.csv", columns + b"\n" + columns, table
    yield "an answer of one line", "train.jsonl", answer, training
    yield "a line that is no JSON", "train.jsonl", long, training
    yield "a deep row", "train.jsonl", b"[" * many + b"]" * many, training
    yield "rows that are none", "train.jsonl", b"[]\n" * many, training
    yield (
        "an array in one line",
        "foreign",
        b"[" + b"{}," * many + b"{}]",
        lambda at: convert_file(at / "foreign", at / "out", source="alpaca"),
    )
    yield (
        "a curve of many columns",
        "curve.csv",
        b"step,train_loss," + columns + b"\n1,2," + columns,
        lambda at: read_curve(at / "curve.csv"),
    )
    yield (
        "a curve of one cell",
        "curve.csv",
        b"step,train_loss\n1," + long,
        lambda at: read_curve(at / "curve.csv"),
    )
    yield "a deep curve", "curve.json", b"[" * many, lambda at: read_curve(at / "curve.json")
    yield (
        "jobs that are none",
        "jobs.jsonl",
        b"{}\n" * (many // 10),
        lambda at: recorded_jobs(at / "jobs.jsonl"),
    )
    yield "a manifest of one line", "manifest.json", b'{"id": "' + long + b'"}', open_run
    yield "a reply of one line", "reply", long, lambda at: read_completion((at / "reply").read_text())


def _peak_mb() -> int:
    """The most memory this process had, in MB. `ru_maxrss` counts that of the process which started it: only without /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def main() -> None:
    folder, level = Path(sys.argv[1]), int(sys.argv[2])
    for what, name, data, read in inputs(level):
        for left in folder.iterdir():
            left.unlink()
        (folder / name).write_bytes(data)
        size = len(data)
        del data
        started, outcome = time.monotonic(), "read"
        try:
            read(folder)
        except HarnessError as error:
            outcome = str(error)[:200]
        peak = _peak_mb()
        print(  # noqa: T201 - for the test that runs this
            json.dumps(
                {
                    "what": what,
                    "mb": round(size / MB, 1),
                    "s": round(time.monotonic() - started, 2),
                    "peak_mb": peak,
                    "outcome": outcome,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
