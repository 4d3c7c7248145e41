"""Every kind of verdict there is, and what it says: the table that `test_words.py` holds to the approved `words.txt`.

After a change of words: `python -m tests.verdict.scenarios > tests/verdict/words.txt`, then read it aloud.
"""

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.records import (
    Bill,
    Completion,
    Gate,
    Json,
    ModelFacts,
    Result,
    Role,
    Run,
    Score,
    SuiteRole,
    Usage,
    Verdict,
)
from harness.verdict import SuiteScores, decide, verdict_of
from tests.verdict.samples import answer, answers, failure, run_of, scores, suite_of
from tests.verdict.test_calibration import flattered, judged_run

NAN = float("nan")
PRICE = {"input": 2.0, "output": 8.0}


def counted(
    name: str,
    role: SuiteRole,
    *,
    better: int = 0,
    worse: int = 0,
    cases: int,
    margin: float | None = None,
    families: Sequence[int] | None = None,
) -> SuiteScores:
    """Yes and no outcomes: some cases better, some worse, the others as before."""
    same = [1.0] * (cases - better - worse)
    return scores(
        name,
        role,
        candidate=[1.0] * better + [0.0] * worse + same,
        reference=[0.0] * better + [1.0] * worse + same,
        margin=margin,
        families=families,
    )


GAIN = counted("routing", "target", better=30, cases=60)
MAYBE = counted("routing", "target", better=5, worse=2, cases=60)
SAFE = counted("marv", "guard", cases=150)
SAFE_TOO = counted("facts", "guard", cases=400)


def _random(name: str, *, gain: float, cases: int, trials: int, seed: int) -> SuiteScores:
    """Models that answer at random, asked several times: most of what is not known is noise."""
    rng = np.random.default_rng(seed)
    return scores(
        name,
        "target",
        candidate=(rng.random((cases, trials)) < 0.5 + gain).astype(float),
        reference=(rng.random((cases, trials)) < 0.5).astype(float),
    )


def _critical(**settings: int | float) -> SuiteScores:
    return counted("safety", "critical", **settings)  # type: ignore[arg-type]


SUITES: dict[str, Sequence[SuiteScores]] = {
    "a clear gain, a safe guard": [GAIN, SAFE],
    "a clear gain, nothing to guard": [GAIN],
    "one of two targets improved": [GAIN, counted("trips", "target", better=1, worse=1, cases=60), SAFE],
    "both targets improved": [GAIN, replace(GAIN, name="trips"), SAFE],
    "a gain that may be chance": [MAYBE, SAFE],
    "a gain that may be chance, in a suite asked several times": [
        _random("chat", gain=0.04, cases=200, trials=3, seed=2)
    ],
    "a gain that more trials would settle": [_random("chat", gain=0.04, cases=200, trials=3, seed=11)],
    "a gain that needs far more cases": [_random("chat", gain=0.03, cases=400, trials=3, seed=3)],
    "a gain that is enough alone and not among two": [
        counted("trips", "target", better=6, worse=1, cases=60),
        counted("routing", "target", better=1, worse=1, cases=60),
    ],
    "a gain of less than a point": [
        scores("routing", "target", candidate=np.tile([0.504, 0.5], 30), reference=np.tile([0.5, 0.502], 30))
    ],
    "a gain too small for its interval": [counted("routing", "target", better=21, worse=20, cases=400)],
    "a guard that gained and is not proved": [GAIN, counted("marv", "guard", better=3, worse=2, cases=60)],
    "a guard far below its margin": [GAIN, counted("marv", "guard", better=3, worse=9, cases=60), SAFE_TOO],
    "no change at all": [counted("routing", "target", cases=60), SAFE],
    "as many gained as lost": [counted("routing", "target", better=3, worse=3, cases=60)],
    "a loss that may be chance": [counted("routing", "target", better=2, worse=4, cases=60)],
    "the target got worse": [counted("routing", "target", worse=12, cases=60), SAFE],
    "a guard got worse": [GAIN, counted("marv", "guard", worse=9, cases=100)],
    "a guard likely got worse": [GAIN, counted("marv", "guard", better=1, worse=5, cases=40)],
    "one case of a guard got worse, and it is small": [
        GAIN,
        counted("small", "guard", worse=1, cases=6),
        SAFE,
    ],
    "two guards got worse": [
        GAIN,
        *(counted(name, "guard", worse=12, cases=100) for name in ("marv", "facts")),
    ],
    "every guard lost a little": [
        GAIN,
        *(counted(name, "guard", worse=3, better=1, cases=60) for name in ("a", "b", "c", "d", "e", "f")),
    ],
    "guards too small": [GAIN, counted("marv", "guard", cases=30), counted("facts", "guard", cases=30)],
    "guards that lost a little": [
        GAIN,
        counted("marv", "guard", worse=1, cases=60),
        counted("facts", "guard", worse=1, better=1, cases=60),
    ],
    "a guard that may lose nothing": [GAIN, counted("marv", "guard", cases=60, margin=0.0)],
    "a guard nobody could score": [
        GAIN,
        SAFE,
        scores("blind", "guard", candidate=[NAN] * 30, reference=[1] * 30),
    ],
    "a critical suite proved": [GAIN, _critical(cases=300)],
    "a critical suite too small": [GAIN, _critical(cases=60)],
    "a critical suite with one case lost": [GAIN, _critical(worse=1, cases=80)],
    "a critical suite that got worse": [GAIN, _critical(worse=8, cases=80)],
    "a critical suite without a new failure": [GAIN, _critical(cases=40, margin=0.0)],
    "a critical suite with a new failure": [GAIN, _critical(worse=1, cases=40, margin=0.0)],
    "a suite for information": [GAIN, counted("notes", "info", worse=40, cases=50)],
    "families": [GAIN, counted("marv", "guard", cases=200, families=[n // 4 for n in range(200)])],
    "few families": [GAIN, counted("marv", "guard", worse=1, cases=40, families=[n // 8 for n in range(40)])],
    "one family": [GAIN, counted("talk", "guard", cases=20, families=[0] * 20), SAFE],
    "one case": [counted("routing", "target", better=1, cases=1)],
    "no case": [counted("routing", "target", cases=0)],
    "some cases without a score": [
        scores("routing", "target", candidate=[1.0] * 30 + [NAN] * 2, reference=[0.0] * 15 + [1.0] * 17)
    ],
    "no target": [SAFE],
    "no suite": [],
}


def _as_rows(**settings: Json) -> list[Result]:
    """A gain in routing: candidate right on 5 more of 60, wrong on 2; each answer of 120 tokens."""
    suite, usage = suite_of(60), Usage(prompt_tokens=100, completion_tokens=20)
    new, old = [1.0] * 5 + [0.0] * 55, [0.0] * 5 + [1.0] * 2 + [0.0] * 53
    return [
        replace(answer(suite, case, role=role, value=value, usage=usage), **settings)  # type: ignore[arg-type]
        for role, values in (("candidate", new), ("base", old))
        for case, value in enumerate(values)  # type: ignore[arg-type]
    ]


def _priced(run: Run, *roles: Role) -> Run:
    models = {
        role: replace(facts, price=PRICE if role in roles else {})
        for role, facts in run.manifest.models.items()
    }
    return replace(run, manifest=replace(run.manifest, models=models))


def _judged() -> Run:
    bill = Bill(answered=2, usage=Usage(prompt_tokens=1600, completion_tokens=200))
    run = run_of(suite_of(60), results=_as_rows(bills={"judge": bill}))
    models = {**run.manifest.models, "judge": ModelFacts(model="judge-model", endpoint="remote", price=PRICE)}
    return replace(run, manifest=replace(run.manifest, models=models, judging={"routing: label": "digest"}))


def _won(*, by: int = 15, gates: Sequence[Gate] = ()) -> Run:
    suite = suite_of(20, gates=gates)
    return run_of(
        suite,
        results=[
            *answers(suite, [1.0] * by + [0.0] * (20 - by)),
            *answers(suite, [0.0] * 20, role="base"),
        ],
    )


def _required(number: int) -> Run:
    run = _won()
    suite = run.manifest.suites[0]
    bad = {f"case-{19 - n}" for n in range(number)}
    cases = tuple(replace(case, required=case.id in bad) for case in suite.cases)
    return replace(run, manifest=replace(run.manifest, suites=(replace(suite, cases=cases),)))


def _with(run: Run, **settings: Json) -> Run:
    return replace(run, manifest=replace(run.manifest, **settings))  # type: ignore[arg-type]


def _without(run: Run, row: int, *instead: Result) -> Run:
    return replace(run, results=(*run.results[:row], *run.results[row + 1 :], *instead))


def _broken() -> Run:
    run = _won()
    broke = {"label": Score(value=None, reason="label raised KeyError: 'x'\nlabel.py:3", broken=True)}
    return replace(run, results=(replace(run.results[0], scores=broke), *run.results[1:]))


def _untold() -> Run:
    rows = [replace(row, outcome=Completion(text="billing")) for row in _as_rows()]
    return _priced(run_of(suite_of(60), results=rows), "candidate", "base")


RUNS: dict[str, Callable[[], Run]] = {
    "what it costs, prices known": lambda: _priced(
        run_of(suite_of(60), results=_as_rows()), "candidate", "base"
    ),
    "what it costs, no prices": lambda: run_of(suite_of(60), results=_as_rows()),
    "what it costs, one price of two": lambda: _priced(run_of(suite_of(60), results=_as_rows()), "candidate"),
    "what it costs, the endpoint tells no tokens": _untold,
    "what it costs with a judge nobody checked": _judged,
    "a judge nobody checked, a promotion": lambda: _with(_won(), judging={"routing: label": "digest"}),
    "a judge that people corrected": lambda: judged_run(*flattered(), labelled=range(80)),
    "a judge that people do not agree with": lambda: judged_run(
        {"candidate": [1.0, 0.0] * 30, "base": [0.0, 1.0] * 30},
        {"candidate": [0.0, 1.0] * 30, "base": [1.0, 0.0] * 30},
        labelled=range(40),
    ),
    "gates met": lambda: _won(gates=[Gate(metric="label", at_least=0.7)]),
    "a gate not met": lambda: _won(gates=[Gate(metric="label", at_least=0.9)]),
    "two gates not met": lambda: _won(
        gates=[Gate(metric="label", at_least=0.9), Gate(metric="latency_s", at_most=0.1)]
    ),
    "a gate nobody can judge": lambda: _won(gates=[Gate(metric="tokens", at_most=100)]),
    "a required case is not good": lambda: _required(1),
    "two required cases are not good": lambda: _required(2),
    "an answer never came": lambda: _without(_won(), 39, failure(suite_of(20), 19, role="base")),
    "a case was not asked": lambda: _without(_won(), 39),
    "only some cases were selected": lambda: _with(
        _won(), selected={"routing": ("case-0", "case-1", "case-2")}
    ),
    "interrupted": lambda: _with(_won(), status="interrupted"),
    "a scorer broke": _broken,
    "no reference": lambda: replace(_won(), results=_won().results[:20]),
    "migration: as good": lambda: _with(
        run_of(
            suite_of(200),
            results=[
                row
                for role in ("candidate", "base")
                for row in answers(suite_of(200), [1.0] * 200, role=role)  # type: ignore[arg-type]
            ],
        ),
        goal="migration",
    ),
    "migration: worse": lambda: _with(
        run_of(
            suite_of(60),
            results=[
                *answers(suite_of(60), [1.0] * 45 + [0.0] * 15),
                *answers(suite_of(60), [1.0] * 60, role="base"),
            ],
        ),
        goal="migration",
    ),
    "migration: open": lambda: _with(
        run_of(
            suite_of(30),
            results=[
                *answers(suite_of(30), [1.0] * 30),
                *answers(suite_of(30), [1.0] * 30, role="base"),
            ],
        ),
        goal="migration",
    ),
}


def verdicts() -> Iterator[tuple[str, Verdict]]:
    """Every scenario with its verdict."""
    yield from ((name, decide(made)) for name, made in SUITES.items())
    yield from ((name, verdict_of(make())) for name, make in RUNS.items())


def spoken(name: str, verdict: Verdict) -> str:
    """A verdict as the table has it."""
    lines = [f"# {name}", f"{verdict.outcome}: {verdict.summary}"]
    lines += [f"  - {reason}" for reason in verdict.reasons]
    lines += [f"  next: {step}" for step in verdict.next_steps]
    return "\n".join(textwrap.fill(line, 160, subsequent_indent="    ") for line in lines)


def main() -> None:
    """Print the table."""
    sys.stdout.write("\n\n".join(spoken(name, verdict) for name, verdict in verdicts()) + "\n")


if __name__ == "__main__":
    main()
