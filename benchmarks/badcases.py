"""Are planted gaps and conflicts told from what was taught? Precision and recall of the readings of `harness badcases`.

    python benchmarks/badcases.py [--seeds 5]

Each task of `planted/intents.jsonl` (24 in English, 24 in Chinese, five wordings each) is left out of a training file, taught with a wrong answer,
taught with right and wrong answers, or taught; then every wording is a failing case. Training rows keep a share of a wording's words, in one of
twelve frames ("Hi! ...", "... Please answer soon."), or are other wordings of the same task that were written to share few words. Answers are
labels, or sentences that hold a fact. Tickets are the project's own: the cases of suites/ticket_routing against fixtures/support, with the rows of
some desks removed and of others sent to a wrong desk. Facts are those of suites/marv among rows that ask such things ("the capital of ...").
"""

import argparse
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.evals import load_suite
from harness.records import (
    Case,
    Completion,
    Manifest,
    ModelFacts,
    Result,
    Role,
    Run,
    Score,
    ScorerSpec,
    Suite,
    record,
)
from harness.vetting.badcases import find_bad_cases

ROOT = Path(__file__).parent.parent
PLANTED = Path(__file__).parent / "planted" / "intents.jsonl"
READINGS = ("gap", "conflict", "taught")
KEPT = (0.8, 0.6, 0.4)
ROWS_OF_A_WORDING = 2
# The thresholds were chosen with the seeds before.
FIRST_SEED = 100
FRAMES = {
    "en": ("{}", "Hi! {}", "Hello, {} Thanks!", "{} Please answer soon.", "Good morning. {}", "One question: {}", "{} Best wishes, Anna",
           "I tried the help page first. {}", "Me again. {} It is urgent.", "{} I could not find it anywhere.", "Dear team, {}", "Sorry to bother you, {}"),
    "zh": ("{}", "你好，{}", "您好！{}谢谢。", "{}请尽快回复。", "早上好，{}", "问一下，{}", "{}祝好，小林", "我先看过帮助页面了。{}", "又是我。{}比较急。",
           "{}我哪儿都找不到。", "客服你好，{}", "打扰了，{}"),
}  # fmt: skip
SENTENCES = {"en": "You should know: {}.", "zh": "回复您：{}。"}


@record
class Task:
    """What people ask in five wordings, its label, and what is right and wrong to say."""

    language: str
    label: str
    right: str
    wrong: str
    asked: tuple[str, ...]


@record
class Planted:
    """A case that fails, and what was planted for it."""

    case: Case
    truth: str


Plan = tuple[Suite, list[Planted], list[tuple[str, str]]]
"""A suite, what was planted for its cases, and the rows that were trained on: prompt and answer."""


def tasks(language: str) -> list[Task]:
    lines = PLANTED.read_text(encoding="utf-8").splitlines()
    found = [Task(**{**row, "asked": tuple(row["asked"])}) for row in map(json.loads, lines)]
    return [task for task in found if task.language == language]


def varied(text: str, kept: float, language: str, generator: random.Random) -> str:
    """A share of a text's words in some frame."""
    parts = text.split() if language == "en" else re.findall(r"[\u3400-\u9fff]{1,2}|[^\u3400-\u9fff]+", text)
    left = [part for part in parts if generator.random() < kept] or parts[:1]
    return generator.choice(FRAMES[language]).format((" " if language == "en" else "").join(left))


def plant(language: str, *, kept: float | None, labels: bool, seed: int) -> Plan:
    """Failing cases of one language; `kept` None takes the other wordings of a task as rows."""
    generator = random.Random(seed)
    known = tasks(language)
    every_label = sorted({task.label for task in known})
    planted: list[Planted] = []
    rows: list[tuple[str, str]] = []
    for number, task in enumerate(known):
        truth = generator.choice(("gap", "conflict", "contradiction", "taught", "taught"))
        right, wrong = SENTENCES[language].format(task.right), SENTENCES[language].format(task.wrong)
        if labels:
            right, wrong = task.label, generator.choice([one for one in every_label if one != task.label])
        held = generator.randrange(len(task.asked))
        for wording, text in enumerate(task.asked):
            if kept is None and wording != held:
                continue
            case = Case(
                id=f"{number}-{wording}",
                messages=({"role": "user", "content": text},),
                expected=task.label if labels else task.right,
            )
            planted.append(Planted(case=case, truth="conflict" if truth == "contradiction" else truth))
        for wording, text in enumerate(task.asked):
            if truth == "gap" or (kept is None and wording == held):
                continue
            for copy in range(ROWS_OF_A_WORDING):
                is_wrong = truth == "conflict" or (truth == "contradiction" and (wording + copy) % 2 == 0)
                rows.append((varied(text, kept or 1.0, language, generator), wrong if is_wrong else right))
    spec = (
        ScorerSpec(type="label", name="label", settings={"labels": every_label})
        if labels
        else ScorerSpec(type="contains", name="contains")
    )
    suite = Suite(name="planted", cases=tuple(one.case for one in planted), scorers=(spec,))
    generator.shuffle(rows)
    return suite, planted, rows


def tickets(seed: int) -> Plan:
    """The project's own tickets: some desks never shown, some shown wrongly."""
    generator = random.Random(seed)
    suite = load_suite(ROOT / "suites" / "ticket_routing.suite.yaml")
    rows = fixture_rows(suite)
    desks = sorted({answer for _, answer in rows})
    generator.shuffle(desks)
    truths = dict(zip(desks, ("gap", "gap", "conflict", "conflict", "taught", "taught"), strict=True))
    wrong = {desk: generator.choice([other for other in desks if other != desk]) for desk in desks}
    taught = [
        (prompt, wrong[desk] if truths[desk] == "conflict" else desk)
        for prompt, desk in rows
        if truths[desk] != "gap"
    ]
    planted = [Planted(case=case, truth=truths[str(case.expected)]) for case in suite.cases]
    return replace(suite, system=None), planted, taught


def facts(seed: int) -> Plan:
    """The project's own facts, asked like others of their kind: a third never told, a third told wrongly, a third told."""
    generator = random.Random(seed)
    suite = load_suite(ROOT / "suites" / "marv.suite.yaml")
    rows = fixture_rows(suite)
    planted = [Planted(case=case, truth=generator.choice(READINGS)) for case in suite.cases]
    for one in planted:
        right = one.case.expected[0] if isinstance(one.case.expected, list | tuple) else one.case.expected
        if one.truth != "gap":
            told = f"It is {right}." if one.truth == "taught" else "Nobody knows."
            prompt = str(one.case.messages[0]["content"])
            rows += [(varied(prompt, 0.8, "en", generator), told) for _ in range(ROWS_OF_A_WORDING)]
    return replace(suite, system=None, scorers=suite.scorers[:1]), planted, rows


def fixture_rows(suite: Suite) -> list[tuple[str, str]]:
    """The project's own training rows for a suite."""
    lines = (ROOT / "fixtures" / "support" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["messages"] for line in lines]
    return [(row[1]["content"], row[2]["content"]) for row in found if row[0]["content"] == suite.system]


def failing_run(suite: Suite) -> Run:
    """A run in which the candidate is wrong about everything."""
    names = ("candidate", "base")
    manifest = Manifest(
        schema=1,
        id="planted",
        status="complete",
        created="2026-01-01T00:00:00Z",
        suites=(suite,),
        models={name: ModelFacts(model=name, endpoint="none") for name in names},
        selected={suite.name: tuple(case.id for case in suite.cases)},
        plan="",
    )
    roles: tuple[Role, ...] = ("candidate", "base")
    results = tuple(
        Result(
            suite=suite.name,
            case=case.id,
            role=role,
            model=role,
            trial=0,
            digest=case.id,
            outcome=Completion(text="?"),
            scores={spec.name: Score(value=0.0, reason="wrong") for spec in suite.scorers},
        )
        for case in suite.cases
        for role in roles
    )
    return Run(manifest=manifest, results=results)


def read(
    suite: Suite, planted: Sequence[Planted], rows: Sequence[tuple[str, str]]
) -> Counter[tuple[str, str]]:
    """How often each truth got each reading."""
    lines = [
        json.dumps(
            {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
        )
        for asked, answer in rows
    ]
    with tempfile.TemporaryDirectory() as folder:
        train = Path(folder) / "train.jsonl"
        train.write_text("\n".join(lines) + "\n", encoding="utf-8")
        found = find_bad_cases(failing_run(suite), train=train)
    readings = {case.case: case.reading for case in found.cases}
    return Counter((one.truth, readings[one.case.id]) for one in planted)


def figures(seen: Counter[tuple[str, str]]) -> Iterator[str]:
    """Precision and recall of each reading."""
    for reading in READINGS:
        hits = seen[reading, reading]
        read_so = sum(count for (_, given), count in seen.items() if given == reading)
        planted = sum(count for (truth, _), count in seen.items() if truth == reading)
        yield f"{hits / read_so if read_so else float('nan'):.2f} / {hits / planted if planted else float('nan'):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(FIRST_SEED, FIRST_SEED + parser.parse_args().seeds)
    print("| rows | language | answers | cases | gap | conflict | taught |\n|---|---|---|---|---|---|---|")
    for kept in (*KEPT, None):
        for language in ("en", "zh"):
            for labels in (True, False):
                seen: Counter[tuple[str, str]] = Counter()
                for seed in seeds:
                    seen += read(*plant(language, kept=kept, labels=labels, seed=seed))
                told = f"{kept:.0%} of the words" if kept else "other words"
                print(
                    f"| {told} | {language} | {'labels' if labels else 'facts'} | {seen.total()} | {' | '.join(figures(seen))} |"
                )
    for name, own in (("tickets", tickets), ("facts", facts)):
        seen = Counter()
        for seed in seeds:
            seen += read(*own(seed))
        print(
            f"| the project's {name} | en | {'labels' if own is tickets else 'facts'} | {seen.total()} | {' | '.join(figures(seen))} |"
        )


if __name__ == "__main__":
    main()
