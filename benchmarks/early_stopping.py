"""What does stopping early save, and what does it cost? Simulated suites, truth known, judged as `pytest --early-stop` does.

    python benchmarks/early_stopping.py [--quick] [--runs 4000] [--seed 6] [--cases 100] [--only alone families composite]

Prints Markdown tables: how often a candidate is promoted when everything is asked and when the run may stop, on the same
draws, and which share of the calls was made. Each cell has a seed of its own, so its figure depends neither on the
others nor on the number of processes.
"""

import argparse
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from simulated_suites import TYPICAL, Setting, draw

from harness.records import Verdict
from harness.verdict import SHARES, Look, SuiteScores, decide, look_sizes, why_stop

RUNS, QUICK_RUNS = 4000, 100
SIZES = (50, 100, 200)
CHANGES = (-0.10, 0.0, 0.10, 0.20)
TARGET_BASE, GUARD_BASE, GUARDS = 0.60, 0.90, 6
CHUNKS = 8


class Cell(NamedTuple):
    """One target and its guards: their sizes and how the candidate truly changed on each."""

    name: str
    cases: int
    trials: int
    target: float
    guards: tuple[float, ...] = ()
    families: bool = False


class Counts(NamedTuple):
    """Of some runs: how many promoted when all is asked and when not, how many stopped, the sum of their shares of calls."""

    runs: int
    whole: int
    early: int
    held: int
    shares: float


def at_look(scores: SuiteScores, sizes: Sequence[int]) -> SuiteScores:
    """What has been asked of a suite at the last of these looks."""
    cases, seen = len(scores.candidate), sizes[-1]
    return replace(
        scores,
        candidate=scores.candidate[:seen],
        reference=scores.reference[:seen],
        families=None if scores.families is None else scores.families[:seen],
        look=Look(shares=tuple(size / cases for size in sizes)),
    )


def sizes_of(scores: SuiteScores) -> tuple[int, ...]:
    """The looks of a suite whose families stand together."""
    if scores.families is None:
        return look_sizes([1] * len(scores.candidate))
    return look_sizes(np.bincount(scores.families).tolist())


def watched(suites: Sequence[SuiteScores]) -> tuple[Verdict, float]:
    """The verdict at which a run stops, and the share of its calls that it made."""
    sizes = [sizes_of(suite) for suite in suites]
    verdict = None
    for number in range(1, len(SHARES) + 1):
        seen = [at_look(suite, size[:number]) for suite, size in zip(suites, sizes, strict=True)]
        verdict = decide(seen)
        if number == len(SHARES) or why_stop(seen, verdict) is not None:
            break
    assert verdict is not None
    return verdict, sum(part.candidate.size for part in seen) / sum(suite.candidate.size for suite in suites)


def count(task: tuple[Cell, int, int]) -> Counts:
    """Some runs of one cell, both ways."""
    cell, runs, seed = task
    rng = np.random.default_rng([seed, zlib.crc32(repr(cell).encode())])
    whole = early = held = 0
    shares = 0.0
    for _ in range(runs):
        suites = _drawn(rng, cell)
        whole += decide(suites).outcome == "promote"
        verdict, share = watched(suites)
        early += verdict.outcome == "promote"
        held += verdict.outcome == "hold"
        shares += share
    return Counts(runs, whole, early, held, shares)


def _drawn(rng: np.random.Generator, cell: Cell) -> list[SuiteScores]:
    def setting(base: float, change: float) -> Setting:
        return Setting(cell.cases, base, change, trials=cell.trials, regime=TYPICAL, families=cell.families)

    target = draw(rng, setting(TARGET_BASE, cell.target), role="target", name="target")
    guards = [
        draw(rng, setting(GUARD_BASE, change), role="guard", name=f"guard {number}")
        for number, change in enumerate(cell.guards)
    ]
    return [target, *guards]


# --- tables ----------------------------------------------------------------------------------------


def alone(*, families: bool = False) -> list[Cell]:
    """One target, asked once a case."""
    return [
        Cell(f"{change * 100:+.0f} points", cases, 1, change, families=families)
        for cases in SIZES
        for change in CHANGES
    ]


def composite() -> list[Cell]:
    """One target and six guards."""
    kinds = {
        "unchanged": (0.0, (0.0,) * GUARDS),
        "target +10": (0.10, (0.0,) * GUARDS),
        "target +20": (0.20, (0.0,) * GUARDS),
        "target +10, one guard -10": (0.10, (-0.10, *(0.0,) * (GUARDS - 1))),
        "target +10, all guards -5": (0.10, (-0.05,) * GUARDS),
        "all suites -10": (-0.10, (-0.10,) * GUARDS),
    }
    return [
        Cell(name, cases, trials, target, guards)
        for cases, trials in ((100, 3), (50, 1))
        for name, (target, guards) in kinds.items()
    ]


def measured(cells: Iterable[Cell], *, runs: int, seed: int) -> dict[Cell, Counts]:
    """Every cell's counts, over all cores."""
    listed = list(cells)
    tasks = [(cell, runs // CHUNKS, seed * CHUNKS + chunk) for cell in listed for chunk in range(CHUNKS)]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = list(pool.map(count, tasks))
    return {
        cell: Counts(*(sum(column) for column in zip(*found[at * CHUNKS : (at + 1) * CHUNKS], strict=True)))
        for at, cell in enumerate(listed)
    }


def print_table(title: str, counts: Mapping[Cell, Counts]) -> None:
    """One row a cell."""
    print(f"\n{title}\n")
    print(
        "| the candidate's true change | cases | trials | promoted, all asked | promoted, early stop | held | calls made |"
    )
    print("|---|---|---|---|---|---|---|")
    for cell, of in counts.items():
        rates = (of.whole / of.runs, of.early / of.runs, of.held / of.runs, of.shares / of.runs)
        print(
            f"| {cell.name} | {cell.cases} | {cell.trials} | "
            + " | ".join(f"{rate:.3f}" for rate in rates)
            + " |"
        )


TABLES = {
    "alone": ("One target suite, base .60", alone, 1.0),
    "families": ("One target suite in families of 5 to 10, base .60", lambda: alone(families=True), 0.5),
    "composite": ("One target suite (base .60) and six guards (base .90)", composite, 0.5),
}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs a cell")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--cases", type=int, help="only cells of suites with so many cases")
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES))
    options = parser.parse_args()
    runs = QUICK_RUNS if options.quick else options.runs
    for name in options.only:
        title, cells, share = TABLES[name]
        chosen = [cell for cell in cells() if options.cases in (None, cell.cases)]
        used = max(int(runs * share), CHUNKS)
        print_table(
            f"{title}; {used // CHUNKS * CHUNKS} runs a cell", measured(chosen, runs=used, seed=options.seed)
        )


if __name__ == "__main__":
    main()
