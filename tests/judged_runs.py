"""A stored run with a judge that errs in a known way, and people who know the truth."""

import csv
import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.evals import Plan, RunWriter, case_digest, new_manifest
from harness.labelling import Item
from harness.records import Case, Completion, Gate, ModelFacts, Result, Role, Score, ScorerSpec, Suite

ROLES: tuple[Role, Role] = ("candidate", "base")
RUBRIC = ScorerSpec(
    type="rubric",
    name="manners",
    settings={
        "criteria": [
            {
                "name": "kindness",
                "levels": {0: "rude", 1: "kind"},
                "description": "Would you like to be spoken to so?",
            }
        ]
    },
)
PAIRWISE = ScorerSpec(type="pairwise", name="pairwise")

Truth = Mapping[tuple[str, Role], float]


def judged_suite(cases: int, *, scorers: Sequence[ScorerSpec] = (RUBRIC,), name: str = "manners") -> Suite:
    return Suite(
        name=name,
        cases=tuple(
            Case(id=f"c{number}", messages=({"role": "user", "content": f"Question {number}?"},))
            for number in range(cases)
        ),
        scorers=tuple(scorers),
        gates=(),
    )


def truth_of(cases: int, *, candidate: float, base: float, seed: int = 1) -> dict[tuple[str, Role], float]:
    """Which answers are good, at these rates."""
    generator = random.Random(seed)
    return {
        (f"c{number}", role): float(generator.random() < rate)
        for number in range(cases)
        for role, rate in (("candidate", candidate), ("base", base))
    }


def erring(
    truth: Truth, *, false_good: Mapping[Role, float], false_bad: float = 0.03, seed: int = 2
) -> Truth:
    """What a judge says that calls bad answers good at its own rate for each role."""
    generator = random.Random(seed)
    return {
        key: float(generator.random() < false_good[key[1]] if not good else generator.random() >= false_bad)
        for key, good in truth.items()
    }


def text_of(case: str, role: Role) -> str:
    """An answer that says nothing of its role, but is told apart by it."""
    return f"Answer to {case}, {'first' if role == 'candidate' else 'second'} wording."


def store_judged(
    reports: Path,
    verdicts: Truth,
    *,
    suite: Suite,
    name: str = "20260401T120000Z-judged-0001",
    say: Callable[[str, Role], str] = text_of,
    gates: Sequence[Gate] = (),
    judge: str = "judge-1",
) -> Path:
    """Store a complete run in which the judge said `verdicts`."""
    suite = replace(suite, gates=tuple(gates))
    models: dict[Role, ModelFacts] = {
        "candidate": ModelFacts(model="ft:m:acme::abc", endpoint="test"),
        "base": ModelFacts(model="m", endpoint="test"),
        "judge": ModelFacts(model=judge, endpoint="test"),
    }
    plan = Plan(suites=(suite,), selected={suite.name: suite.cases}, models=models)
    manifest = new_manifest(plan, root=reports, skipped={}, job=None, data={})
    writer = RunWriter(reports, replace(manifest, id=name))
    for case in suite.cases:
        for role in ROLES:
            value = verdicts[case.id, role]
            score = Score(value=value, reason="as the judge says", measures={"kindness": value})
            writer.append(
                Result(
                    suite=suite.name,
                    case=case.id,
                    role=role,
                    model=models[role].model,
                    trial=0,
                    digest=case_digest(suite, case),
                    outcome=Completion(text=say(case.id, role)),
                    scores={spec.name: score for spec in suite.scorers},
                )
            )
    writer.finish("complete")
    return reports / name


def filled(sheet: Path, label: Callable[[str], str], *, out: Path, column: str = "label") -> Path:
    """A copy of a CSV sheet with a label by each row's id, as somebody would save it."""
    rows = list(csv.reader(io.StringIO(sheet.read_text(encoding="utf-8-sig"), newline="")))
    head = next(number for number, row in enumerate(rows) if "id" in row)
    place = rows[head].index("label")
    rows[head][place] = column
    for row in rows[head + 1 :]:
        row[place] = label(row[0])
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    out.write_text("\ufeff" + text.getvalue(), encoding="utf-8", newline="")
    return out


def by_truth(items: Sequence[Item], truth: Truth) -> Callable[[str], str]:
    """Labels of a person who knows: levels 1 and 0 of the rubric."""
    known = {item.id: str(int(truth[item.case, item.cells[0][0]])) for item in items}
    return known.__getitem__
