"""How often is the verdict wrong? Simulated suites, truth known, judged by the function that the plugin calls.

    python benchmarks/verdict_simulation.py [--quick] [--runs 500] [--seed 6] [--only unchanged composite ...]

Prints Markdown tables: how often a model that did not change is promoted; how often a true loss of exactly the margin passes; how often a
real gain is found, beside the paired t test; a target and six guards; whether the printed intervals hold the truth. Beside
the harness stand the rules that people use instead. Each cell has a seed of its own, made of `--seed` and what the cell is, so a
cell's figure depends neither on the others nor on the number of processes.
"""

import argparse
import itertools
import math
import os
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtr
from scipy.stats import binom
from simulated_suites import ONE_WAY, REGIMES, TYPICAL, Floats, Setting, draw

from harness.records import SuiteRole, SuiteVerdict
from harness.verdict import SuiteScores, decide, pair_scores, wilson

ALPHA = 0.05
GUARD_MARGIN = 0.05
SIZES = (20, 50, 100, 200, 500)
TRIALS = (1, 3, 5)
BASES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97)
HARNESS = "harness"
CONFIRMED = 20
"""The worst of many cells is partly bad luck: the worst ones are drawn again, this many times as often."""
WORST_CELLS = 12


class Options(NamedTuple):
    runs: int
    seed: int
    quick: bool


class Task(NamedTuple):
    """One cell: what is drawn how often, and the function that counts what becomes of it."""

    count: Callable[[np.random.Generator, "Task"], Counter[str]]
    setting: Setting
    runs: int
    stage: str = "first"
    role: SuiteRole = "target"
    margin: float | None = None
    guards: tuple[float, ...] = ()
    guard: Setting | None = None


# --- rules that people use -------------------------------------------------------------------------


def p_greater(values: Floats, threshold: float = 0.0) -> float:
    """The textbook's one-sided t test, 0 or 1 where all values are equal, as libraries have it."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    gap = float(np.mean(values)) - threshold
    if error < 1e-12:
        return float(gap <= 0)
    return float(stdtr(len(values) - 1, -gap / error))


def unpaired_z(candidate: Floats, reference: Floats, threshold: float = 0.0) -> float:
    """The z score of two means with a standard error each."""
    variance = sum(float(np.var(side, ddof=1)) / len(side) for side in (candidate, reference))
    gap = float(np.mean(candidate - reference)) - threshold
    return gap / math.sqrt(variance) if variance else math.copysign(math.inf, gap) if gap else 0.0


def apart(candidate: Floats, reference: Floats) -> bool:
    """Whether the 95 % intervals of two means do not overlap."""
    reach = sum(1.96 * float(np.std(side, ddof=1)) / math.sqrt(len(side)) for side in (candidate, reference))
    return float(np.mean(candidate - reference)) > reach


def gain_rules(scores: SuiteScores) -> Iterator[str]:
    """The rules that call this suite better."""
    paired = pair_scores(scores)
    new, old = paired.candidate, paired.reference
    if new.mean() > old.mean():
        yield "mean is higher"
    if unpaired_z(new, old) > ndtri(1 - ALPHA):
        yield "unpaired z"
    if apart(new, old):
        yield "95 % intervals apart"
    if p_greater(paired.differences) <= ALPHA:
        yield "paired t, plain"
    if p_greater((scores.candidate - scores.reference).ravel()) <= ALPHA:
        yield "paired t, trials as cases"


def margin_rules(scores: SuiteScores, margin: float) -> Iterator[str]:
    """The rules that say this suite lost less than the margin."""
    paired = pair_scores(scores)
    if paired.differences.mean() >= -margin:
        yield "mean is within the margin"
    if unpaired_z(paired.candidate, paired.reference, -margin) > ndtri(1 - ALPHA):
        yield "unpaired z"
    if p_greater(paired.differences, -margin) <= ALPHA:
        yield "paired t, plain"


# --- cells -----------------------------------------------------------------------------------------


def covers(suite: SuiteVerdict, truth: float) -> bool:
    return suite.interval is not None and suite.interval[0] - 1e-9 <= truth <= suite.interval[1] + 1e-9


def count_gains(rng: np.random.Generator, task: Task) -> Counter[str]:
    """How often each rule promotes one target."""
    found: Counter[str] = Counter()
    for _ in range(task.runs):
        scores = draw(rng, task.setting, role="target")
        verdict = decide([scores])
        found.update(gain_rules(scores))
        found[HARNESS] += verdict.outcome == "promote"
        found["tested"] += verdict.suites["s"].interval is not None
        found["covered"] += covers(verdict.suites["s"], task.setting.change)
    return found


def count_passes(rng: np.random.Generator, task: Task) -> Counter[str]:
    """How often each rule finds a guard or critical suite proved."""
    found: Counter[str] = Counter()
    for _ in range(task.runs):
        scores = draw(rng, task.setting, role=task.role, margin=task.margin)
        suite = decide([scores]).suites["s"]
        assert suite.margin is not None
        found.update(margin_rules(scores, suite.margin))
        found[HARNESS] += suite.decision == "pass"
        found["tested"] += suite.interval is not None
        found["covered"] += covers(suite, task.setting.change)
    return found


def count_promotions(rng: np.random.Generator, task: Task) -> Counter[str]:
    """How often each policy promotes a model with one target and several guards."""
    assert task.guard is not None
    found: Counter[str] = Counter()
    for _ in range(task.runs):
        target = draw(rng, task.setting, role="target", name="target")
        guards = [
            draw(rng, task.guard._replace(change=change), role="guard", name=f"guard {number}")
            for number, change in enumerate(task.guards)
        ]
        verdict = decide([target, *guards])
        found[verdict.outcome] += 1
        found[HARNESS] += verdict.outcome == "promote"
        found.update(policies(target, guards))
        if verdict.pooled is not None:
            found["tested"] += 1
            found["covered"] += covers(verdict.pooled, float(np.mean(task.guards)))
    return found


def policies(target: SuiteScores, guards: Sequence[SuiteScores]) -> Iterator[str]:
    """The rules of thumb that promote this model."""
    aim, pairs = pair_scores(target), [pair_scores(guard) for guard in guards]
    falls = [float(pair.differences.mean()) for pair in pairs]
    z = ndtri(1 - ALPHA)
    if aim.differences.mean() > 0 and min(falls) >= -GUARD_MARGIN:
        yield "mean is higher, no guard fell by 5"
    if aim.differences.mean() > 0 and min(falls) >= 0:
        yield "mean is higher, no guard fell"
    if unpaired_z(aim.candidate, aim.reference) > z and all(
        unpaired_z(pair.candidate, pair.reference) > -z for pair in pairs
    ):
        yield "unpaired z everywhere"
    if apart(aim.candidate, aim.reference) and not any(
        apart(pair.reference, pair.candidate) for pair in pairs
    ):
        yield "95 % intervals apart everywhere"
    if p_greater(aim.differences) <= ALPHA and all(
        p_greater(pair.differences, -GUARD_MARGIN) <= ALPHA for pair in pairs
    ):
        yield "paired t, every guard proved at 5"


def run_task(seed: int, task: Task) -> Counter[str]:
    words = repr((task.count.__name__, *task[1:]))
    return task.count(np.random.default_rng([seed, zlib.crc32(words.encode())]), task)


def measured(tasks: Sequence[Task], *, seed: int, title: str) -> list[Counter[str]]:
    """The counts of each task, in order, on all cores; a bar on stderr."""
    found: dict[int, Counter[str]] = {}
    # Long cells first, so that no core waits for a last one.
    order = sorted(range(len(tasks)), key=lambda index: -tasks[index].setting.cases)
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(run_task, itertools.repeat(seed), [tasks[index] for index in order])
        for index, counts in zip(order, results, strict=False):
            found[index] = counts
            show_progress(len(found), len(tasks), title)
    return [found[index] for index in range(len(tasks))]


def show_progress(done: int, total: int, title: str) -> None:
    if sys.stderr.isatty() or done == total:
        filled = 30 * done // total
        end = "\n" if done == total else ""
        print(f"\r{title:12} [{'#' * filled:30}] {done}/{total}", end=end, file=sys.stderr, flush=True)


# --- tables ----------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def share(count: int, total: int) -> str:
    return f"{count / total:.3f}".lstrip("0") if 0 < count < total else f"{count / total:.0f}"


def by_size(
    tasks: Sequence[Task], counts: Sequence[Counter[str]], rules: Sequence[str]
) -> Iterator[Sequence[str]]:
    """A row for each rule and a column for each size: the mean over cells, and in brackets the largest."""
    sizes = sorted({task.setting.cases for task in tasks})
    for rule in rules:
        row = [f"**{rule}**" if rule == HARNESS else rule]
        for size in sizes:
            shares = [
                count[rule] / task.runs
                for task, count in zip(tasks, counts, strict=True)
                if task.setting.cases == size
            ]
            row.append(f"{np.mean(shares):.3f} ({max(shares):.3f})")
        yield row


def confirmed(
    tasks: Sequence[Task], counts: Sequence[Counter[str]], *, options: Options, goal: float
) -> Iterator[str]:
    """The cells that came out worst, drawn anew and more often."""
    worst = sorted(range(len(tasks)), key=lambda index: -counts[index][HARNESS] / tasks[index].runs)
    again = [
        tasks[index]._replace(stage="again", runs=CONFIRMED * tasks[index].runs)
        for index in worst[:WORST_CELLS]
    ]
    fresh = measured(again, seed=options.seed, title="worst again")
    rows = [
        (
            str(task.setting),
            share(counts[index][HARNESS], tasks[index].runs),
            share(count[HARNESS], task.runs),
        )
        for index, task, count in zip(worst, again, fresh, strict=False)
    ]
    top = max(count[HARNESS] / task.runs for task, count in zip(again, fresh, strict=True))
    yield f"The {len(again)} worst of {len(tasks)} cells, {again[0].runs:,} fresh runs each: at most {top:.3f} (goal {goal})."
    yield ""
    yield from table(("cell", "first", "fresh"), sorted(rows, key=lambda row: row[2], reverse=True)[:5])


def cells(
    options: Options, *, bases: Sequence[float], regimes: Sequence[object] = REGIMES, change: float = 0.0
) -> list[Setting]:
    """All combinations; with `--quick` a few."""
    sizes: Sequence[int] = (20, 100) if options.quick else SIZES
    return [
        Setting(cases, base, change, trials, regime, families, graded)
        for cases, base, trials, regime, families, graded in itertools.product(
            sizes, bases, (1, 3) if options.quick else TRIALS, regimes, (False, True), (False, True)
        )
    ]


# --- sections --------------------------------------------------------------------------------------


def unchanged(options: Options) -> Iterator[str]:
    """How often is a model promoted that did not change?"""
    bases = (0.8, 0.97) if options.quick else (0.5, 0.6, 0.8, 0.95, 0.97)
    tasks = [Task(count_gains, setting, options.runs) for setting in cells(options, bases=bases)]
    counts = measured(tasks, seed=options.seed, title="unchanged")
    rules = (
        "mean is higher",
        "unpaired z",
        "95 % intervals apart",
        "paired t, trials as cases",
        "paired t, plain",
        HARNESS,
    )
    yield f"Promoted though nothing changed; {len(tasks)} cells of {options.runs:,} runs; mean over cells (largest cell)."
    for families in (False, True):
        chosen = [index for index, task in enumerate(tasks) if task.setting.families is families]
        some = [tasks[index] for index in chosen]
        yield f"\n{'Families of 5-10 cases' if families else 'Cases that have nothing to do with each other'}:\n"
        sizes = sorted({task.setting.cases for task in some})
        head = ("rule", *(f"n {size}" for size in sizes))
        yield from table(head, by_size(some, [counts[index] for index in chosen], rules))
    yield ""
    yield from confirmed(tasks, counts, options=options, goal=0.06)
    yield from coverage(tasks, counts)


def margin(options: Options) -> Iterator[str]:
    """How often does a guard or critical suite pass that truly lost its margin?"""
    bases = (0.8, 0.97) if options.quick else (0.5, 0.7, 0.8, 0.9, 0.95, 0.97)
    regimes = (*REGIMES, ONE_WAY)
    tasks = [
        Task(count_passes, setting, options.runs, role="guard")
        for setting in cells(options, bases=bases, regimes=regimes, change=-GUARD_MARGIN)
    ]
    counts = measured(tasks, seed=options.seed, title="margin")
    rules = ("mean is within the margin", "unpaired z", "paired t, plain", HARNESS)
    yield f"Found to have lost less than 5 points, having lost exactly 5; {len(tasks)} cells of {options.runs:,} runs; mean over cells (largest cell)."
    for families in (False, True):
        chosen = [index for index, task in enumerate(tasks) if task.setting.families is families]
        some = [tasks[index] for index in chosen]
        yield f"\n{'Families of 5-10 cases' if families else 'Cases that have nothing to do with each other'}:\n"
        sizes = sorted({task.setting.cases for task in some})
        head = ("rule", *(f"n {size}" for size in sizes))
        yield from table(head, by_size(some, [counts[index] for index in chosen], rules))
    yield ""
    yield from confirmed(tasks, counts, options=options, goal=0.07)
    yield from coverage(tasks, counts)


def power(options: Options) -> Iterator[str]:
    """How often is a gain of ten points found?"""
    bases = (0.8,) if options.quick else (0.5, 0.6, 0.8)
    settings = [setting for setting in cells(options, bases=bases, change=0.10) if not setting.families]
    tasks = [Task(count_gains, setting, options.runs) for setting in settings]
    counts = measured(tasks, seed=options.seed, title="power")
    sizes = sorted({task.setting.cases for task in tasks})
    rules = ("95 % intervals apart", "unpaired z", "paired t, plain", HARNESS)
    yield f"A gain of ten points found; {len(tasks)} cells of {options.runs:,} runs.\n"
    rows = []
    for rule in rules:
        row = [f"**{rule}**" if rule == HARNESS else rule]
        for size in sizes:
            shares = [
                count[rule] / task.runs
                for task, count in zip(tasks, counts, strict=True)
                if task.setting.cases == size
            ]
            row.append(f"{np.mean(shares):.3f}")
        rows.append(row)
    yield from table(("rule", *(f"n {size}" for size in sizes)), rows)
    gaps = [
        (count["paired t, plain"] - count[HARNESS]) / task.runs
        for task, count in zip(tasks, counts, strict=True)
    ]
    yield f"\nLargest loss of power against the plain paired t, in one cell: {100 * max(gaps):.1f} points (goal 2)."
    yield from coverage(tasks, counts)


SCENARIOS: Mapping[str, tuple[float, Callable[[int], tuple[float, ...]]]] = {
    "nothing changed": (0.0, lambda guards: (0.0,) * guards),
    "target +10": (0.10, lambda guards: (0.0,) * guards),
    "+10, one guard -10": (0.10, lambda guards: (-0.10, *(0.0,) * (guards - 1))),
    "+10, all guards -5": (0.10, lambda guards: (-0.05,) * guards),
    "+10, one guard -20": (0.10, lambda guards: (-0.20, *(0.0,) * (guards - 1))),
}
POLICIES = (
    "mean is higher, no guard fell by 5",
    "mean is higher, no guard fell",
    "unpaired z everywhere",
    "95 % intervals apart everywhere",
    "paired t, every guard proved at 5",
    HARNESS,
)


def composite(options: Options) -> Iterator[str]:
    """A target of base .6 and guards of base .9: how often is the model promoted?"""
    shapes = [(6, 100, 3)] if options.quick else [(6, 100, 3), (6, 50, 1), (6, 200, 3), (10, 100, 3)]
    tasks = [
        Task(
            count_promotions,
            Setting(max(cases, 100), 0.6, gain, trials, TYPICAL),
            2 * options.runs,
            guards=changes(guards),
            guard=Setting(cases, 0.9, 0.0, trials, TYPICAL),
        )
        for guards, cases, trials in shapes
        for gain, changes in SCENARIOS.values()
    ]
    counts = measured(tasks, seed=options.seed, title="composite")
    for number, (guards, cases, trials) in enumerate(shapes):
        part = slice(number * len(SCENARIOS), (number + 1) * len(SCENARIOS))
        here, seen = tasks[part], counts[part]
        yield f"\nPromoted: one target of {here[0].setting.cases} cases, {guards} guards of {cases}, k {trials}, {here[0].runs:,} runs a column.\n"
        yield from table(
            ("policy", *SCENARIOS),
            [
                (
                    f"**{policy}**" if policy == HARNESS else policy,
                    *(share(count[policy], task.runs) for task, count in zip(here, seen, strict=True)),
                )
                for policy in POLICIES
            ]
            + [
                (
                    "harness: hold",
                    *(share(count["hold"], task.runs) for task, count in zip(here, seen, strict=True)),
                )
            ],
        )
    yield from coverage(tasks, counts)


def coverage(tasks: Sequence[Task], counts: Sequence[Counter[str]]) -> Iterator[str]:
    """Whether the 90 % intervals of these cells' differences hold the true one."""
    held: defaultdict[int, list[float]] = defaultdict(list)
    for task, count in zip(tasks, counts, strict=True):
        if count["tested"]:
            held[task.setting.cases].append(count["covered"] / count["tested"])
    said = "; ".join(
        f"n {size}: {np.mean(shares):.3f} ({min(shares):.3f})" for size, shares in sorted(held.items())
    )
    yield f"\nThe printed 90 % intervals held the true difference, mean over cells (lowest cell): {said}."


def rates(options: Options) -> Iterator[str]:
    """Whether the 95 % interval of a single rate holds the true one: exactly, no simulation."""
    sizes = range(20, 501, 40 if options.quick else 1)
    truths = np.arange(50, 99) / 100
    found = []
    for cases in sizes:
        counts = np.arange(cases + 1)
        low, high = np.array([wilson(int(count), cases) for count in counts]).T
        for truth in truths:
            held = binom.pmf(counts, cases, truth)[(low <= truth) & (truth <= high)].sum()
            found.append((float(held), cases, float(truth)))
    short = sum(held < 0.92 for held, *_ in found)
    worst = ", ".join(f"{held:.3f} (n {cases}, rate {truth:.2f})" for held, cases, truth in sorted(found)[:3])
    yield f"95 % intervals of a rate, exact: mean {np.mean([held for held, *_ in found]):.3f}, lowest {worst}; below .92 in {short} of {len(found):,}."
    named = [row for row in found if row[1] in SIZES]
    if named:
        yield f"At n {', '.join(map(str, SIZES))}: lowest {min(named)[0]:.3f} (goal .92)."


SECTIONS: Mapping[str, Callable[[Options], Iterator[str]]] = {
    "unchanged": unchanged,
    "margin": margin,
    "power": power,
    "composite": composite,
    "rates": rates,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=500, help="simulated suites in each cell")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--quick", action="store_true", help="few cells, 200 runs: half a minute")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    given = parser.parse_args()
    options = Options(runs=200 if given.quick else given.runs, seed=given.seed, quick=given.quick)
    print(f"seed {options.seed}, {options.runs:,} runs a cell")
    for name in given.only:
        print(f"\n### {SECTIONS[name].__doc__}\n")
        for line in SECTIONS[name](options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
