"""Is anything lost, doubled or paid twice when a run is killed (SIGKILL) at a random point and started again?

    python benchmarks/crashes.py [--points 50] [--seed 0] [--json]

A run of 30 cases asks two models on loopback, eight requests at once, and is killed: at any moment of its time, or at a random step of a
phase (a file opened, renamed or synced, half a row written, an answer about to be stored, just stored, about to be scored, the
promotion written). Then the same command runs to its end. Runs are forked from one process that has loaded everything, so that the
time before the first step, which changes nothing, does not take most of the kills.
"""

import argparse
import base64
import contextlib
import ctypes
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import pytest

from harness.cli import main as harness_command
from harness.evals.store import UNSEALED, RunWriter
from harness.models import AnswerCache
from harness.records import Case, Completion, Embedding, Json, Result, Score
from harness.scorers.match import Contains
from harness.testing import FaultyEndpoint

CASES, CONCURRENCY, LATENCY_S = 30, 8, 0.02
RUN = ["pytest", "suites", "-q", "-p", "no:cacheprovider", "--concurrency", str(CONCURRENCY)]
PROMOTE = ["harness", "promote", "latest", "--by", "nobody"]
PHASES = ("start", "storing", "scoring", "rows", "page", "promotion")
MOMENT = "any moment"
# Requests on their way to the endpoint when the process died are with it by then.
SETTLE_S = 0.05
# The user that owns nothing.
_CAPABILITIES = 0x20080522
"""The version of Linux' calls about capabilities that is meant: three words for each 32 of them."""
_DAC_OVERRIDE = 1 << 1
# A run that takes longer than this hangs.
MOST_S = 120.0


# --- a process that forks runs, and counts their steps ------------------------------------------------------


class Steps:
    """Counts the steps of each phase of this process, and kills it at the one it was told."""

    def __init__(self, phase: str, *, kill: tuple[str, int]) -> None:
        self.phase = phase
        self.taken: Counter[str] = Counter()
        self._kill = kill
        self._thread = threading.current_thread()

    def take(self, phase: str, *, dying: Callable[[], object] = lambda: None) -> None:
        """One step; `dying` is what a process does that is killed in the middle of it."""
        self.taken[phase] += 1
        if self._kill == (phase, self.taken[phase]):
            dying()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(MOST_S)

    def watch(self, folder: Path) -> None:
        """Count what this process does to files from now on, and what becomes of answers."""
        sys.addaudithook(self._seen_by(str(folder)))
        sync, store, score, append = os.fsync, AnswerCache.store, Contains.score, RunWriter.append

        def halving_sync(file: int) -> None:
            self.take(self.phase, dying=lambda: os.ftruncate(file, os.fstat(file).st_size // 2))
            sync(file)

        def counted_store(
            cache: AnswerCache, key: str, answer: Completion | Embedding, *, endpoint: str, model: str
        ) -> None:
            self.phase = "asking"
            self.take("storing")
            store(cache, key, answer, endpoint=endpoint, model=model)
            self.take("storing")

        def counted_score(scorer: Contains, case: Case, completion: Completion) -> Score:
            self.take("scoring")
            return score(scorer, case, completion)

        def counted_append(writer: RunWriter, row: Result) -> None:
            def half() -> None:
                writer._file.write('{"suite": "crash", "case": "c1", "ro')
                writer._file.flush()

            self.take("rows", dying=half)
            append(writer, row)
            self.take("rows")

        os.fsync = halving_sync  # type: ignore[assignment]
        AnswerCache.store = counted_store  # type: ignore[method-assign]
        Contains.score = counted_score  # type: ignore[method-assign]
        RunWriter.append = counted_append  # type: ignore[method-assign]

    def _seen_by(self, folder: str) -> Callable[[str, tuple[object, ...]], None]:
        names = {"os.rename", "os.remove", "os.mkdir", "os.truncate", "sqlite3.connect", "fcntl.flock"}

        def see(event: str, given: tuple[object, ...]) -> None:
            # What pytest does with its files while requests are under way is no step of ours.
            if threading.current_thread() is not self._thread or self.phase == "asking":
                return
            writes = event == "open" and str(given[0]).startswith(folder) and not _only_reads(given[2])
            if writes or event in names:
                self.take(self.phase)

        return see


@dataclass(frozen=True, kw_only=True)
class Order:
    """A command to run in a folder, and what befalls it.

    Attributes:
        folder: Where.
        command: What; its first word is `pytest` or `harness`.
        kill: The phase and its step at which it is killed.
        limit_bytes: No file may grow larger: to whoever writes, the disk is full.
        unprivileged: Whether read-only folders are read-only to it, which they are not to root.
    """

    folder: str
    command: list[str]
    kill: tuple[str, int] | None = None
    limit_bytes: int | None = None
    unprivileged: bool = False


def fork_runs(folder: Path) -> None:
    """Do the orders on the standard input, each in a process of its own, those of one line at once.

    Before, a run in `folder` loads here whatever runs load.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.chdir(folder)
    print(int(pytest.main(RUN[1:])), file=answers, flush=True)
    for line in sys.stdin:
        children = [_forked(Order(**given)) for given in json.loads(line)]
        print(json.dumps(children), file=answers, flush=True)
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(ends), file=answers, flush=True)


def _forked(order: Order) -> int:
    """The process that does an order."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = act(order)
        finally:
            os._exit(code)
    return child


def act(order: Order) -> int:
    """Run an order's command here, its output in a file; its exit status."""
    folder = Path(order.folder)
    os.chdir(folder)
    log = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
    if order.limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.limit_bytes, resource.RLIM_INFINITY))
    if order.unprivileged and os.geteuid() == 0:
        _heed_permissions()
    program, *arguments = order.command
    phase, step = order.kill or ("", 0)
    steps = Steps("start" if program == "pytest" else "promotion", kill=(phase, step))
    steps.watch(folder)
    if program == "harness":
        code = harness_command(arguments)
    else:
        code = int(pytest.main(arguments, plugins=[_PageBegins(steps)]))
    with contextlib.suppress(OSError):  # where nothing can be written, nobody asks for it
        (folder / "steps.json").write_text(json.dumps(steps.taken), encoding="utf-8")
    return code


def _heed_permissions() -> None:
    """Take from root what lets it write anywhere. Not root itself: another user may not read where the packages are installed."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, words = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, words)
    for place in (0, 1):  # effective, permitted
        words[place] &= ~_DAC_OVERRIDE
    if libc.capset(header, words) != 0:
        raise OSError(ctypes.get_errno(), "capset")


class _PageBegins:
    """From the end of the tests on, steps are those of the page."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._steps.phase = "page"


class Runs:
    """The process that forks runs, in a `with` block."""

    def __enter__(self) -> "Runs":
        with tempfile.TemporaryDirectory() as folder, Project(Path(folder) / "first"):
            self._process = subprocess.Popen(
                [sys.executable, __file__, "--fork", str(Path(folder) / "first")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OPENAI_API_KEY": "", "PYTEST_ADDOPTS": "", "GITHUB_STEP_SUMMARY": ""},
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == "0\n", "the first run does not end well"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stdout.close()  # type: ignore[union-attr]
        self._process.wait()

    def run(
        self,
        folder: Path,
        command: list[str],
        *,
        kill: tuple[str, int] | None = None,
        after_s: float = MOST_S,
        limit_bytes: int | None = None,
        unprivileged: bool = False,
    ) -> int:
        """Run a command to its end, or until it is killed: at a step, or after a time. Its exit status, -9 when it was."""
        order = Order(
            folder=str(folder), command=command, kill=kill, limit_bytes=limit_bytes, unprivileged=unprivileged
        )
        return self._do([order], after_s=after_s)[0]

    def run_twice(self, folder: Path, command: list[str]) -> list[int]:
        """Run a command in two processes at once; their exit statuses."""
        return self._do([Order(folder=str(folder), command=command)] * 2, after_s=MOST_S)

    def _do(self, orders: list[Order], *, after_s: float) -> list[int]:
        given = [asdict(order) for order in orders]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        children = json.loads(self._process.stdout.readline())
        timer = threading.Timer(after_s, lambda: [os.kill(child, signal.SIGKILL) for child in children])
        timer.start()
        try:
            return list(json.loads(self._process.stdout.readline()))
        finally:
            timer.cancel()
            timer.join()


def _only_reads(flags: object) -> bool:
    return isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR)


# --- one point ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where a run was killed, and what became of it; one that had come to its end is followed by another."""

    where: str
    asked_before: int
    stored: int
    paid_twice: int
    rows_lost: int
    rows_doubled: int
    is_ended: bool
    runs: int
    faults: tuple[str, ...] = ()

    @property
    def in_flight(self) -> int:
        """Requests that had begun and whose answer was not stored when the process died."""
        return self.asked_before - self.stored

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, doubled or wrong, and no more paid twice than was in flight."""
        is_paid_once = self.paid_twice <= min(self.in_flight, CONCURRENCY)
        return (
            is_paid_once
            and not (self.rows_lost or self.rows_doubled or self.faults)
            and self.runs == 1 + self.is_ended
        )


class Project:
    """A folder with a suite, and the two endpoints it asks, alive inside a `with` block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._candidate = FaultyEndpoint(lambda prompt: f"good {prompt} .", latency_s=LATENCY_S)
        self._base = FaultyEndpoint(lambda prompt: f"bad {prompt} .", latency_s=LATENCY_S)

    def __enter__(self) -> "Project":
        endpoints = {"tuned": self._candidate.__enter__(), "plain": self._base.__enter__()}
        (self.folder / "suites").mkdir(parents=True)
        rows = "".join(f'  - {{id: c{n}, prompt: "{n}", expected: "good {n}"}}\n' for n in range(CASES))
        suite = f"name: crash\nrole: target\nscorers: [{{type: contains}}]\ncases:\n{rows}"
        (self.folder / "suites" / "crash.suite.yaml").write_text(suite, encoding="utf-8")
        models = "".join(
            f'[models.{name}]\nmodel = "acme/{name}"\nbase_url = "{endpoint.base_url}"\n'
            for name, endpoint in endpoints.items()
        )
        (self.folder / "harness.toml").write_text(
            f'candidate = "tuned"\nbase = "plain"\n{models}', encoding="utf-8"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._candidate.__exit__(kind, error, trace)
        self._base.__exit__(kind, error, trace)

    def asked(self) -> Counter[tuple[str, str]]:
        """How often each question was asked of each model."""
        bodies = [*self._candidate.bodies, *self._base.bodies]
        return Counter((str(body["model"]), str(body["messages"])) for body in bodies)

    def is_ended(self) -> bool:
        """Whether there is a run with nothing left to write."""
        manifests = (self.folder / "reports").glob("*/manifest.json")
        return any(
            json.loads(file.read_text(encoding="utf-8"))["status"] == "complete"
            and not file.with_name(UNSEALED).exists()
            for file in manifests
        )

    def stored(self) -> int:
        """How many answers the cache holds, read from a copy so that the next run finds what was left."""
        state = self.folder / ".harness"
        if not (state / "answers.sqlite").exists():
            return 0
        with tempfile.TemporaryDirectory() as place:
            for file in state.glob("answers.sqlite*"):
                shutil.copy(file, place)
            connection = sqlite3.connect(Path(place) / "answers.sqlite")
            try:
                return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])
            except sqlite3.OperationalError:  # killed before there was a table
                return 0
            finally:
                connection.close()


def killed(
    runs: Runs, folder: Path, *, at: tuple[str, int] | None = None, after_s: float | None = None
) -> Point:
    """Kill a run at a step of a phase or after a time, start it again, and look at what came of it."""
    where = (
        f"{MOMENT}: {after_s:.2f} s" if after_s is not None else f"{at[0]}: step {at[1]}" if at else "nowhere"
    )
    faults, is_ended = [], False
    with Project(folder) as project:
        if at is not None and at[0] == "promotion":
            runs.run(folder, RUN)
            before, stored = project.asked(), project.stored()
            runs.run(folder, PROMOTE, kill=at)
        else:
            runs.run(folder, RUN, kill=at, after_s=MOST_S if after_s is None else after_s)
            time.sleep(SETTLE_S)
            before, stored, is_ended = project.asked(), project.stored(), project.is_ended()
            if runs.run(folder, RUN) != 0:
                faults.append("the second run does not end well")
        if runs.run(folder, PROMOTE) != 0:
            faults.append("the promotion does not end well")
        asked = project.asked()
    faults += _faults(folder)
    kept, doubled = _rows(folder)
    return Point(
        where=where,
        asked_before=len(before),
        stored=stored,
        paid_twice=asked.total() - len(asked),
        rows_lost=2 * CASES - kept,
        rows_doubled=doubled,
        is_ended=is_ended,
        runs=len([*(folder / "reports").glob("*/manifest.json")]),
        faults=tuple(faults),
    )


def _rows(folder: Path) -> tuple[int, int]:
    """How many cells have a row in every run, and how many rows there are beside."""
    kept, doubled = 2 * CASES, 0
    for manifest in (folder / "reports").glob("*/manifest.json"):
        text = manifest.with_name("results.jsonl").read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines()]
        cells = {(row["case"], row["role"]) for row in rows}
        kept, doubled = min(kept, len(cells)), doubled + len(rows) - len(cells)
    return kept, doubled


def _faults(folder: Path) -> Iterator[str]:
    """What is wrong with what a run left: its manifest, its page, the record of promotions, what it printed."""
    for run in (folder / "reports").glob("*/manifest.json"):
        if json.loads(run.read_text(encoding="utf-8"))["status"] != "complete":
            yield f"{run.parent.name} is not complete"
        shown = Counter(_texts(run.with_name("index.html").read_text(encoding="utf-8")))
        for word in ("good", "bad"):
            times = {shown[f"{word} {number} ."] for number in range(CASES)}
            if len(times) != 1 or times == {0}:
                yield f"the page of {run.parent.name} has other answers than its rows"
        left = [
            path.name for path in run.parent.iterdir() if path.name.startswith(".") and path.name != ".lock"
        ]
        if left:
            yield f"{left} are left in {run.parent.name}"
    for path in (folder / "reports").iterdir():
        # Killed before it had a manifest, a run had asked nobody: its folder is swept away later.
        if path.is_dir() and not (path / "manifest.json").exists():
            yield from (f"{file} has no manifest beside it" for file in path.iterdir() if file.name[0] != ".")
    promotions = json.loads((folder / "reports" / "promoted.json").read_text(encoding="utf-8"))["promotions"]
    if len(promotions) != 1:
        yield f"{len(promotions)} promotions are recorded"
    if "Traceback" in (output := output_of(folder)):
        yield output[output.index("Traceback") :]


def output_of(folder: Path) -> str:
    """What the commands run in a folder printed."""
    return (folder / "output.txt").read_text(encoding="utf-8", errors="replace")


def _texts(page: str) -> Iterator[str]:
    """Every text in the cases a page has packed into it."""
    for name in ("case-index", "case-blocks"):
        found = re.search(rf'<script[^>]*id="{name}"[^>]*>(.*?)</script>', page, re.DOTALL)
        assert found is not None, f"the page has no {name}"
        for block in found[1].split():
            data = zlib.decompress(base64.b64decode(block, validate=True), wbits=-zlib.MAX_WBITS)
            yield from _leaves(json.loads(data))


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)


# --- all points ----------------------------------------------------------------------------------------------


def study(runs: Runs, folder: Path, *, points: int, seed: int) -> Iterator[Point]:
    """Kill as many runs: of ten, six at a step of each phase in turn, and four at any moment."""
    drawn = random.Random(seed)
    steps = _steps_of_a_whole_run(runs, folder / "whole")
    missing = [phase for phase in PHASES if not steps.get(phase)]
    assert not missing, f"no step of {missing} was seen: what they count is no more"
    lasted_s = _seconds_of_a_run(runs, folder / "timed") if points > len(PHASES) else 0.0
    for number in range(points):
        place, turn = folder / str(number), number % 10
        if turn < len(PHASES):
            phase = PHASES[turn]
            yield killed(runs, place, at=(phase, drawn.randint(1, steps[phase])))
        else:
            yield killed(runs, place, after_s=drawn.uniform(0, lasted_s))
        shutil.rmtree(place)


def _steps_of_a_whole_run(runs: Runs, folder: Path) -> dict[str, int]:
    """How many steps each phase has."""
    steps: dict[str, int] = {}
    with Project(folder):
        for command in (RUN, PROMOTE):
            assert runs.run(folder, command) == 0, output_of(folder)
            steps |= json.loads((folder / "steps.json").read_text(encoding="utf-8"))
    return steps


def _seconds_of_a_run(runs: Runs, folder: Path) -> float:
    with Project(folder):
        began = time.monotonic()
        assert runs.run(folder, RUN) == 0, output_of(folder)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fork", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fork:
        fork_runs(options.fork)
        return
    found = []
    if not options.json:
        print(
            f"{'killed at':28} {'asked':>6} {'in flight':>10} {'paid twice':>11} {'lost':>5} {'doubled':>8}"
        )
    with tempfile.TemporaryDirectory() as folder, Runs() as runs:
        for point in study(runs, Path(folder), points=options.points, seed=options.seed):
            found.append(point)
            if not options.json:
                figures = f"{point.asked_before:>6} {point.in_flight:>10} {point.paid_twice:>11}"
                print(
                    f"{point.where:28} {figures} {point.rows_lost:>5} {point.rows_doubled:>8}", *point.faults
                )
    worst = max((point.paid_twice for point in found), default=0)
    sums = {
        "points": len(found),
        "good": sum(point.is_good for point in found),
        "questions": 2 * CASES,
        "paid_twice_at_most": worst,
        "paid_twice": sum(point.paid_twice for point in found),
        "in_flight": sum(point.in_flight for point in found),
        "rows_lost": sum(point.rows_lost for point in found),
        "rows_doubled": sum(point.rows_doubled for point in found),
    }
    print(json.dumps(sums) if options.json else "\n".join(f"{name}: {value}" for name, value in sums.items()))
    sys.exit(0 if sums["good"] == len(found) else 1)


if __name__ == "__main__":
    main()
