"""All benchmarks of the load family in one command: how long runs take, what they start with, and what they lose.

    python benchmarks/load [--repeats 3] [--long] [--json]

Prints a table with the goal of each figure. Sides that are compared take turns, and their ratio is the median of the rounds' ratios; the ratio of
processor time stands beside it, since a busy machine hardly moves that one. `--long` adds 10,000 cases and the faulty endpoint (minutes).
The parts by themselves: run.py (runs against bare clients), faults.py (a faulty endpoint), endpoint.py and bare_clients.py (the other side).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from run import HERE, NOT_OURS, Figures, compared, endpoint, harness_run, measured, surroundings

AT_ONCE = 32
STARTS = 5
LINEAR = 1.25
"""A case of ten thousand may take so many times what one of a thousand takes."""
EMPTY_TEST = "def test_nothing():\n    pass\n"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure and what it should not exceed."""

    what: str
    figure: float
    unit: str
    goal: float
    note: str = ""

    @property
    def is_met(self) -> bool:
        return self.figure <= self.goal


def calls(delay_ms: float, *, repeats: int) -> Iterator[Line]:
    """A thousand cases and two models against the official client's bare calls."""
    told = compared(
        cases=1000, delay_ms=delay_ms, concurrency=AT_ONCE, repeats=repeats, clients=("official",)
    )
    for side, how in (("harness", "as it comes"), ("harness_at_once", f"{AT_ONCE} at once")):
        note = (
            f"{told[f'{side}_seconds']:.2f} s against {told['official_seconds']:.2f} s at {AT_ONCE} at once; "
            f"of processor time {told[f'{side}_cpu_s_ratio']:.2f}"
        )
        what = (
            f"1,000 cases x 2 models, {delay_ms:g} ms a call, {how}: times the official client's bare calls"
        )
        yield Line(what=what, figure=told[f"{side}_seconds_ratio"], unit="x", goal=1, note=note)


def starts(folder: Path, env: Mapping[str, str]) -> Iterator[Line]:
    """One case; a run of tests that has nothing to do with suites; the help."""
    with endpoint(0) as base_url:
        one = [harness_run(base_url, env, cases=1, concurrency=None) for _ in range(STARTS)]
    note = f"{least(one, 'cpu_s'):.2f} s of processor time"
    yield Line(
        what="a suite of one case, start to end", figure=least(one, "seconds"), unit="s", goal=1.5, note=note
    )
    (folder / "test_nothing.py").write_text(EMPTY_TEST, encoding="utf-8")
    what = "what the plugin adds to an unrelated pytest run, of processor time"
    yield Line(what=what, figure=1000 * plugin_costs(folder, env), unit="ms", goal=30)
    shown = [
        measured([sys.executable, "-m", "harness", "--help"], env, folder=folder, log=folder / "log.txt")
        for _ in range(STARTS)
    ]
    note = f"{least(shown, 'cpu_s'):.2f} s of processor time"
    yield Line(what="harness --help", figure=least(shown, "seconds"), unit="s", goal=0.3, note=note)


def plugin_costs(folder: Path, env: Mapping[str, str]) -> float:
    """Seconds of processor time that a run takes more with the plugin than without; of runs that took turns."""
    command = [sys.executable, "-m", "pytest", "-q", *NOT_OURS, "test_nothing.py"]
    ways = {"with": command, "without": [*command, "-p", "no:harness"]}
    found: dict[str, list[Figures]] = {"with": [], "without": []}
    for _ in range(3 * STARTS):
        for way, one in ways.items():
            found[way].append(measured(one, env, folder=folder, log=folder / "log.txt"))
    return least(found["with"], "cpu_s") - least(found["without"], "cpu_s")


def least(found: list[Figures], name: str) -> float:
    """The least of what a start took: all else is the machine's doing."""
    return min(one[name] for one in found)


def size(env: Mapping[str, str]) -> Iterator[Line]:
    """Ten thousand cases: time in proportion, and memory."""
    with endpoint(0) as base_url:
        one, few, many = (
            harness_run(base_url, env, cases=cases, concurrency=None) for cases in (1, 1000, 10_000)
        )
    each = [(run["cpu_s"] - one["cpu_s"]) / cases for run, cases in ((few, 1000), (many, 10_000))]
    note = f"{1000 * each[1]:.2f} ms against {1000 * each[0]:.2f} ms of processor time; {many['seconds']:.1f} s in all"
    what = "a case of 10,000 x 2 models: times a case of 1,000"
    yield Line(what=what, figure=each[1] / each[0], unit="x", goal=LINEAR, note=note)
    yield Line(what="peak memory of 10,000 cases x 2 models", figure=many["megabytes"], unit="MB", goal=400)


def faults(env: Mapping[str, str]) -> Iterator[Line]:
    """What is lost where the endpoint misbehaves."""
    command = [sys.executable, str(HERE / "faults.py"), "--json"]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    for ours, theirs in zip(told[::2], told[1::2], strict=True):
        note = f"{ours['seconds']} s; the official client loses {theirs['lost']} in {theirs['seconds']} s"
        yield Line(
            what=f"answers lost of 2,000, {ours['scene']}", figure=ours["lost"], unit="", goal=0, note=note
        )


def every_line(*, repeats: int, is_long: bool) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = surroundings(folder)
        with endpoint(0) as base_url:
            harness_run(base_url, env, cases=1, concurrency=None)  # modules are compiled
        yield from calls(0, repeats=repeats)
        yield from calls(50, repeats=repeats)
        yield from starts(folder, env)
        if is_long:
            yield from size(env)
            yield from faults(env)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    told = []
    if not options.json:
        print("| | figure | goal | met | |\n|---|---|---|---|---|")
    for line in every_line(repeats=options.repeats, is_long=options.long):
        told.append({**vars(line), "is_met": line.is_met})
        if not options.json:
            met = "yes" if line.is_met else "no"
            print(
                f"| {line.what} | {line.figure:.3g} {line.unit} | {line.goal:g} {line.unit} | {met} | {line.note} |",
                flush=True,
            )
    if options.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
