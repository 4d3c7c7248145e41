"""Do people's labels mend a biased judge? Coverage of 90 % intervals and errors, simulated, truth known.

    python benchmarks/judge_calibration.py [--runs 400] [--seed 5]

Two models answer the same cases; outcomes are correlated as real models' are. A judge errs on bad and on good answers at rates
that differ between the models, so that it is off by up to 27 points and may reverse a difference, as judges measured against people did.
Some cases are labelled, drawn as `harness label` draws them, and corrected by the functions that the verdict calls.
"""

import argparse
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from harness.labelling.drawing import drawn
from harness.verdict import (
    Corrected,
    PeopleScores,
    Readings,
    SuiteScores,
    calibrate,
    correct,
    decide,
    strata_of,
)

LABELS = (25, 50, 100)
Array = np.ndarray


class Setting(NamedTuple):
    """A suite and a judge: rates of the two models, and how often the judge errs on (bad, good) answers of each."""

    cases: int
    rates: tuple[float, float]
    errors: tuple[tuple[float, float], tuple[float, float]]


JUDGES = {
    "near perfect": ((0.01, 0.01), (0.01, 0.01)),
    "good, even": ((0.05, 0.03), (0.05, 0.03)),
    "good, uneven": ((0.30, 0.02), (0.05, 0.04)),
    "fair, uneven": ((0.10, 0.15), (0.30, 0.05)),
    "poor": ((0.30, 0.25), (0.25, 0.30)),
}
RATES = ((0.60, 0.50), (0.80, 0.80), (0.93, 0.95))
CASES = (120, 400)


class Seen(NamedTuple):
    """One estimate against the truth."""

    error: float
    covered: bool


def settings() -> Iterator[tuple[str, Setting]]:
    for (name, errors), rates, cases in itertools.product(JUDGES.items(), RATES, CASES):
        yield name, Setting(cases, rates, errors)


def outcomes(rng: np.random.Generator, setting: Setting) -> tuple[Array, Array]:
    """What people would say and what the judge says, each of shape (cases, 2): candidate, reference."""
    common = rng.standard_normal(setting.cases)
    own = rng.standard_normal((setting.cases, 2))
    ability = math.sqrt(0.6) * common[:, None] + math.sqrt(0.4) * own
    people = (ability < ndtri(np.array(setting.rates))).astype(float)
    rates = np.array(setting.errors)
    wrong = rng.random(people.shape) < np.where(people == 0, rates[:, 0], rates[:, 1])
    return people, np.where(wrong, 1 - people, people)


def equal(strata: list[int], labels: int, *, seed: int) -> list[int]:
    """As many from each stratum, for comparison."""
    return _by(strata, labels, seed=seed, weight=lambda _: 1.0)


def in_proportion(strata: list[int], labels: int, *, seed: int) -> list[int]:
    """A plain random draw, for comparison."""
    return random.Random(seed).sample(range(len(strata)), labels)


def _by(strata: list[int], labels: int, *, seed: int, weight: Callable[[int], float]) -> list[int]:
    members = defaultdict(list)
    for index, stratum in enumerate(strata):
        members[stratum].append(index)
    rng, chosen = random.Random(seed), []
    sizes = {stratum: len(inside) for stratum, inside in members.items()}
    given = dict.fromkeys(sizes, 0)
    for _ in range(labels):
        free = [stratum for stratum in sizes if given[stratum] < sizes[stratum]]
        given[min(free, key=lambda stratum: given[stratum] / weight(stratum))] += 1
    for stratum, inside in members.items():
        chosen += rng.sample(inside, given[stratum])
    return chosen


def plain(readings: Readings, *, trust: float) -> tuple[float, float]:
    """The textbook estimate and standard error, labels taken as a plain random draw: trust 1 is plain PPI, 0 people alone."""
    labelled = ~np.isnan(readings.people)
    rest = (readings.people - trust * readings.seen)[labelled]
    cases = len(readings.judged)
    error = math.sqrt(np.var(rest, ddof=1) / len(rest) + trust**2 * np.var(readings.judged, ddof=1) / cases)
    return trust * float(readings.judged.mean()) + float(rest.mean()), error


def seen(estimate: float, error: float, *, truth: float, quantile: float) -> Seen:
    return Seen(estimate - truth, abs(estimate - truth) <= quantile * error + 1e-12)


def seen_corrected(found: Corrected | None, *, truth: float) -> Seen:
    assert found is not None
    mean = found.mean
    return seen(mean.mean, mean.error, truth=truth, quantile=float(stdtrit(mean.freedom, 0.95)))


def trial(rng: np.random.Generator, setting: Setting, labels: int) -> Iterator[tuple[str, str, Seen]]:
    """Method, figure, estimate for one simulated run."""
    people, judge = outcomes(rng, setting)
    strata = strata_of(judge[:, 0], judge[:, 1])
    seed = int(rng.integers(1 << 30))
    z = float(ndtri(0.95))
    truths = (*setting.rates, setting.rates[0] - setting.rates[1])
    draws = {
        "PPI++ with pseudo-residuals": drawn(strata.tolist(), labels, seed=seed),
        "... drawn equally": equal(strata.tolist(), labels, seed=seed),
        "... drawn in proportion": in_proportion(strata.tolist(), labels, seed=seed),
    }
    for method, chosen in draws.items():
        calibration = calibrate(judge[:, 0], judge[:, 1], people=labelled(people, judge, chosen))
        assert calibration is not None
        means = (calibration.candidate, calibration.reference, calibration.difference)
        for figure, mean, truth in zip(FIGURES, means, truths, strict=True):
            yield method, figure, seen_corrected(mean, truth=truth)
    chosen = draws["... drawn in proportion"]
    columns = [(judge[:, 0], people[:, 0]), (judge[:, 1], people[:, 1])]
    columns.append((judge[:, 0] - judge[:, 1], people[:, 0] - people[:, 1]))
    for figure, (judged, right), truth in zip(FIGURES, columns, truths, strict=True):
        known = np.full(len(judged), np.nan)
        known[chosen] = right[chosen]
        shown = np.where(np.isnan(known), np.nan, judged)
        readings = Readings(
            judged=judged, people=known, seen=shown, strata=np.zeros(len(judged), dtype=np.int64)
        )
        yield "PPI++ of one figure", figure, seen_corrected(correct(readings), truth=truth)
        yield "plain PPI", figure, seen(*plain(readings, trust=1.0), truth=truth, quantile=z)
        yield "people alone", figure, seen(*plain(readings, trust=0.0), truth=truth, quantile=z)
        error = float(np.std(judged, ddof=1)) / math.sqrt(len(judged))
        yield "judge alone", figure, seen(float(judged.mean()), error, truth=truth, quantile=z)


FIGURES = ("candidate", "reference", "difference")


def labelled(people: Array, judge: Array, chosen: list[int]) -> PeopleScores:
    """What people said of the chosen cases, as a run hands it over."""
    mask = np.zeros(len(judge), dtype=bool)
    mask[chosen] = True
    rows = np.flatnonzero(mask)

    def only(values: Array) -> Array:
        return np.where(mask, values, np.nan)

    return PeopleScores(
        candidate=only(people[:, 0]),
        reference=only(people[:, 1]),
        candidate_seen=only(judge[:, 0]),
        reference_seen=only(judge[:, 1]),
        judged=np.ones(len(judge), dtype=bool),
        pairs=np.stack([judge[rows].ravel(), people[rows].ravel()], axis=1),
        pair_cases=np.repeat(rows, 2),
    )


def verdicts(rng: np.random.Generator, runs: int) -> Iterator[str]:
    """How often a target of 200 cases passes, by the judge alone and with labels: truth known, judge uneven or fair."""
    yield f"\ntarget of 200 cases: passes, {runs} runs each"
    yield f"{'candidate':12} {'judge':14} {'alone':>7} " + " ".join(f"{n:>4} labels" for n in LABELS)
    for (word, rates), judge in itertools.product(GAINS.items(), ("good, uneven", "good, even")):
        setting = Setting(200, rates, JUDGES[judge])
        passed = dict.fromkeys((0, *LABELS), 0)
        for _ in range(runs):
            people, judged = outcomes(rng, setting)
            strata = strata_of(judged[:, 0], judged[:, 1]).tolist()
            for labels in passed:
                chosen = drawn(strata, labels, seed=int(rng.integers(1 << 30)))
                scores = SuiteScores(
                    name="s",
                    role="target",
                    margin=None,
                    candidate=judged[:, :1],
                    reference=judged[:, 1:],
                    people=labelled(people, judged, chosen) if labels else None,
                )
                passed[labels] += decide([scores]).suites["s"].decision == "pass"
        yield f"{word:12} {judge:14} " + " ".join(
            f"{count / runs:>{7 if not n else 11}.3f}" for n, count in passed.items()
        )


GAINS = {"unchanged": (0.7, 0.7), "5 worse": (0.65, 0.7), "10 better": (0.8, 0.7), "20 better": (0.9, 0.7)}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for line in verdicts(np.random.default_rng(options.seed), options.runs):
        print(line)
    for labels in LABELS:
        found: defaultdict[tuple[str, str], list[list[Seen]]] = defaultdict(list)
        for _, setting in settings():
            here: defaultdict[tuple[str, str], list[Seen]] = defaultdict(list)
            for _ in range(options.runs):
                for method, figure, one in trial(rng, setting, labels):
                    here[method, "difference" if figure == "difference" else "rate"].append(one)
            for key, ones in here.items():
                found[key].append(ones)
        print(
            f"\n{labels} labelled cases, {len(list(settings()))} settings, {options.runs} runs each, seed {options.seed}"
        )
        print(f"{'method':28} {'figure':10} {'coverage':>8} {'least':>6} {'|bias|':>7} {'RMSE':>6}  (points)")
        for (method, figure), groups in sorted(found.items(), key=lambda item: item[0][::-1]):
            covered = [np.mean([one.covered for one in ones]) for ones in groups]
            bias = np.mean([abs(np.mean([one.error for one in ones])) for ones in groups])
            rmse = np.mean([math.sqrt(np.mean([one.error**2 for one in ones])) for ones in groups])
            print(
                f"{method:28} {figure:10} {np.mean(covered):8.3f} {min(covered):6.3f} {100 * bias:7.2f} {100 * rmse:6.2f}"
            )


if __name__ == "__main__":
    main()
