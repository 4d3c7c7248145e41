"""How long does `pytest suites/` take where the endpoint takes no time? Against the official client that makes the same calls and does nothing else.

    python benchmarks/load/run.py [--cases 1000] [--delay-ms 0] [--concurrency 32] [--repeats 3] [--json]

The harness's side is the whole command in a process of its own: pytest's start, reading a suite of so many cases, asking base and candidate, scoring,
storing every row, the verdict and the page; once as it comes, with as many requests at once as it finds to pay, and once with as many as the other
side. The other side makes twice as many calls as there are cases. The sides take turns, and each round begins with an empty cache; what is told are
medians, and the medians of the rounds' ratios. Peak memory is the harness's, as the kernel counts it. `python benchmarks/load` runs this and the
rest of the family.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
CLIENTS = ("official", "official-aiohttp", "aiohttp")
SUITE = """name: routing
role: target
system: Route the ticket.
sampling: {temperature: 0, max_tokens: 16}
scorers:
  - {type: exact_match}
cases_file: cases.jsonl
"""
CONFIG = """[tool.harness]
backend = "here"
base = "base"
candidate = "candidate"
%s
[tool.harness.models.here]
model = "candidate"
base_url = "%s"
"""
WORDS = ("billing", "bug", "feature", "account")
# What a user of the harness need not have: at the end of every session it loads hypothesis, which takes as long as our start.
NOT_OURS = ("-p", "no:hypothesispytest", "-p", "no:cacheprovider")
Figures = dict[str, float]


def write_project(folder: Path, *, cases: int, base_url: str, concurrency: int | None) -> None:
    """A suite whose every fifth answer is wrong, and the configuration that asks the endpoint."""
    suites = folder / "suites"
    suites.mkdir()
    at_once = f"concurrency = {concurrency}" if concurrency else ""
    (folder / "pyproject.toml").write_text(CONFIG % (at_once, base_url), encoding="utf-8")
    (suites / "routing.suite.yaml").write_text(SUITE, encoding="utf-8")
    rows = (
        {
            "id": f"case-{number}",
            "prompt": f"Which queue takes this message? Answer with one word. Message {number}: I want my money back. {WORDS[number % 4]}",
            "expected": WORDS[number % 4] if number % 5 else "none",
        }
        for number in range(cases)
    )
    (suites / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@contextmanager
def endpoint(delay_ms: float) -> Iterator[str]:
    """The base URL of a server that lives as long as the block."""
    command = [sys.executable, str(HERE / "endpoint.py"), "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate()


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of both sides: as on a machine where Python keeps compiled modules, and where those of an earlier start are there."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def measured(command: list[str], env: Mapping[str, str], *, folder: Path, log: Path) -> Figures:
    """Seconds by the clock and of the processor, and peak megabytes, of a command."""
    started = time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen(command, cwd=folder, env=dict(env), stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": time.perf_counter() - started,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / 1024,
    }


def harness_run(base_url: str, env: Mapping[str, str], *, cases: int, concurrency: int | None) -> Figures:
    """The figures of the whole command, with an empty cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder, cases=cases, base_url=base_url, concurrency=concurrency)
        log = folder / "log.txt"
        command = [sys.executable, "-m", "pytest", "suites", "-q", *NOT_OURS]
        figures = measured(command, env, folder=folder, log=log)
        rows = sum(len(path.read_bytes().splitlines()) for path in folder.glob("reports/*/results.jsonl"))
        if rows != 2 * cases or not list(folder.glob("reports/*/index.html")):
            raise SystemExit(
                f"{rows} rows where {2 * cases} were expected, or no page:\n{log.read_text()[-3000:]}"
            )
        return figures


def bare_run(client: str, base_url: str, env: Mapping[str, str], *, calls: int, concurrency: int) -> Figures:
    """The figures of the calls alone."""
    command = [sys.executable, str(HERE / "bare_clients.py"), client, base_url]
    command += ["--calls", str(calls), "--concurrency", str(concurrency)]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return {"seconds": told["calls_s"], "cpu_s": told["calls_cpu_s"]}


def median(found: Iterable[Figures], name: str) -> float:
    return statistics.median(one[name] for one in found)


def compared(
    *, cases: int, delay_ms: float, concurrency: int, repeats: int, clients: Iterable[str] = CLIENTS
) -> Figures:
    """Both sides in turns, as many rounds as `repeats`."""
    sides: dict[str, list[Figures]] = {
        "harness": [],
        "harness_at_once": [],
        **{client: [] for client in clients},
    }
    with tempfile.TemporaryDirectory() as folder, endpoint(delay_ms) as base_url:
        env = surroundings(Path(folder))
        harness_run(base_url, env, cases=1, concurrency=concurrency)
        for _ in range(repeats):
            sides["harness"].append(harness_run(base_url, env, cases=cases, concurrency=None))
            sides["harness_at_once"].append(harness_run(base_url, env, cases=cases, concurrency=concurrency))
            for client in clients:
                bare = bare_run(client, base_url, env, calls=2 * cases, concurrency=concurrency)
                sides[client].append(bare)
    told = {
        f"{side}_{name}": round(median(found, name), 2)
        for side, found in sides.items()
        for name in ("seconds", "cpu_s")
    }
    for side in ("harness", "harness_at_once"):
        for name in ("seconds", "cpu_s"):
            rounds = zip(sides[side], sides["official"], strict=True)
            told[f"{side}_{name}_ratio"] = round(statistics.median(a[name] / b[name] for a, b in rounds), 2)
    told["peak_mb"] = round(max(one["megabytes"] for one in (*sides["harness"], *sides["harness_at_once"])))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    told = compared(
        cases=options.cases,
        delay_ms=options.delay_ms,
        concurrency=options.concurrency,
        repeats=options.repeats,
    )
    if options.json:
        print(json.dumps({"cases": options.cases, "delay_ms": options.delay_ms, **told}))
        return
    print(
        f"{options.cases} cases x 2 models, {options.delay_ms:g} ms a call; medians of {options.repeats} rounds"
    )
    for side, name in (
        ("harness", "pytest suites/, as it comes"),
        ("harness_at_once", f"pytest suites/, {options.concurrency} at once"),
        *((client, f"{client}, the calls alone, {options.concurrency} at once") for client in CLIENTS),
    ):
        ratio = (
            f"  {told[f'{side}_seconds_ratio']:.2f} times official" if f"{side}_seconds_ratio" in told else ""
        )
        print(f"{name:52} {told[f'{side}_seconds']:6.2f} s {told[f'{side}_cpu_s']:6.2f} s of CPU{ratio}")
    print(f"peak memory of pytest suites/: {told['peak_mb']:.0f} MB")


if __name__ == "__main__":
    main()
