"""How long does `pytest suites/` take where the endpoint takes no time? Against the official client that makes the same calls and does nothing else.

    python benchmarks/load/run.py [--cases 1000] [--delay-ms 0] [--concurrency 32] [--repeats 3] [--json]

The harness's side is the whole command in a process of its own: pytest's start, reading a suite of so many cases, asking base and candidate, scoring,
storing every row, the verdict and the page. The other side makes twice as many calls as there are cases. The two take turns, and each round begins with
an empty cache; what is told are medians and the median of the rounds' ratios. Peak memory is the harness's, as the kernel counts it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
concurrency = %d
[tool.harness.models.here]
model = "candidate"
base_url = "%s"
[tool.pytest.ini_options]
addopts = "-p no:cacheprovider"
"""
WORDS = ("billing", "bug", "feature", "account")


def write_project(folder: Path, *, cases: int, base_url: str, concurrency: int) -> None:
    """A suite whose every fifth answer is wrong, and the configuration that asks the endpoint."""
    suites = folder / "suites"
    suites.mkdir()
    (folder / "pyproject.toml").write_text(CONFIG % (concurrency, base_url), encoding="utf-8")
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


def harness_run(base_url: str, env: dict[str, str], *, cases: int, concurrency: int) -> dict[str, float]:
    """Seconds and peak megabytes of the whole command, with an empty cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder, cases=cases, base_url=base_url, concurrency=concurrency)
        log = folder / "log.txt"
        started = time.perf_counter()
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "pytest", "suites", "-q"],
                cwd=folder,
                env=env,
                stdout=output,
                stderr=output,
            )
            _, _, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        rows = sum(len(path.read_bytes().splitlines()) for path in folder.glob("reports/*/results.jsonl"))
        if rows != 2 * cases:
            raise SystemExit(f"{rows} rows where {2 * cases} were expected:\n{log.read_text()[-3000:]}")
        return {
            "seconds": seconds,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "megabytes": usage.ru_maxrss / 1024,
        }


def bare_run(client: str, base_url: str, env: dict[str, str], *, calls: int, concurrency: int) -> float:
    """Seconds for the calls alone."""
    command = [sys.executable, str(HERE / "bare_clients.py"), client, base_url]
    command += ["--calls", str(calls), "--concurrency", str(concurrency)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["calls_s"])


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
    ours: list[dict[str, float]] = []
    theirs: dict[str, list[float]] = {client: [] for client in CLIENTS}
    at_once = options.concurrency
    with tempfile.TemporaryDirectory() as folder, endpoint(options.delay_ms) as base_url:
        env = surroundings(Path(folder))
        harness_run(base_url, env, cases=1, concurrency=at_once)
        for _ in range(options.repeats):
            ours.append(harness_run(base_url, env, cases=options.cases, concurrency=at_once))
            for client, found in theirs.items():
                found.append(bare_run(client, base_url, env, calls=2 * options.cases, concurrency=at_once))
    ratios = [one["seconds"] / bare for one, bare in zip(ours, theirs["official"], strict=True)]
    told = {
        "cases": options.cases,
        "delay_ms": options.delay_ms,
        "harness_s": round(statistics.median(one["seconds"] for one in ours), 2),
        "harness_cpu_s": round(statistics.median(one["cpu_s"] for one in ours), 2),
        "harness_peak_mb": round(max(one["megabytes"] for one in ours)),
        **{f"{client}_s": round(statistics.median(found), 2) for client, found in theirs.items()},
        "ratio_to_official": round(statistics.median(ratios), 2),
    }
    if options.json:
        print(json.dumps(told))
        return
    print(f"{options.cases} cases x 2 models, {options.delay_ms:g} ms a call, {options.concurrency} at once")
    print(
        f"pytest suites/: {told['harness_s']} s ({told['harness_cpu_s']} s of CPU), peak {told['harness_peak_mb']} MB"
    )
    for client in CLIENTS:
        print(f"{client}, the calls alone: {told[f'{client}_s']} s")
    print(
        f"the harness takes {told['ratio_to_official']} times what the official client takes for the calls alone"
    )


if __name__ == "__main__":
    main()
