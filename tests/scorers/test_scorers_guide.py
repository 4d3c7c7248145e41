"""Every example of docs/scorers.md is loaded as a suite and scores what its table says."""

import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.evals import load_suite
from harness.protocols import AnyScorer, FileScorer, PairedScorer, PanelScorer, Scorer, VectorScorer
from harness.records import Case, Completion, Score, ToolCall
from harness.scorers import BUILT_IN, ToolCalls, build

GUIDE = Path(__file__).parents[2] / "docs" / "scorers.md"
_YAML = re.compile(r"```yaml\n(.*?)```\n(.*)", re.DOTALL)
_ROW = re.compile(r"^\| ([\w-]+) \| `(.*)` \| ([\d.]+) \| (.+) \|$", re.MULTILINE)
(ROWS,) = re.findall(r"```jsonl\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
_CALL = re.compile(r"(\w+)\((\{.*?\})\)")
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


class Example(NamedTuple):
    scorer: str
    suite: str
    rows: list[tuple[str, str, float, str]]


def sections() -> dict[str, str]:
    _, *parts = GUIDE.read_text(encoding="utf-8").split("\n## ")
    return {part.split("\n", 1)[0]: part for part in parts}


def examples() -> list[Example]:
    found = []
    for title, text in sections().items():
        match = _YAML.search(text)
        if match:
            rows = [
                (case, answer, float(value), why) for case, answer, value, why in _ROW.findall(match.group(2))
            ]
            found.append(Example(title, f"name: {title}\n{match.group(1)}", rows))
    return found


def said(text: str) -> Completion:
    return Completion(text=text, finish_reason="stop")


def calling(text: str) -> Completion:
    """An answer that calls tools, spelled `look_up({"city": "Rome"})`; any other text calls none."""
    calls = [ToolCall(name=name, arguments=arguments) for name, arguments in _CALL.findall(text)]
    return Completion(text="" if calls else text, tool_calls=tuple(calls), finish_reason="stop")


def scored(scorer: AnyScorer, case: Case, cells: list[str]) -> Score:
    """What an answer scores; after it stand the reference's, for a scorer that compares, and the judge's
    replies, `–` where it is not asked."""
    answer, *others = cells
    if isinstance(scorer, Scorer):
        return scorer.score(case, calling(answer) if isinstance(scorer, ToolCalls) else said(answer))
    if isinstance(scorer, VectorScorer):
        assert scorer.texts(case, said(answer)) == ()
        return scorer.read_vectors(case, said(answer), ())
    if isinstance(scorer, FileScorer):
        prepared = scorer.prepare((1, json.loads(row)) for row in ROWS.splitlines())
        return scorer.score_by(case, said(answer), prepared)
    if isinstance(scorer, PairedScorer):
        pair = (said(answer), said(others.pop(0)))
        asked = scorer.comparisons(case, *pair)
    else:
        assert isinstance(scorer, PanelScorer)
        asked = scorer.questions(case, said(answer))
    texts = iter(others[0].replace("⏎", "\n").split("` `") if others[0] != "–" else ())
    replies = {item.name: tuple(said(next(texts)) for _ in range(item.repeats)) for item in asked}
    assert list(texts) == []
    if isinstance(scorer, PairedScorer):
        return scorer.read_comparison(case, said(answer), replies)
    return scorer.read_all(case, said(answer), replies)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.scorer)
def test_example_scores_what_the_guide_says(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "guide.suite.yaml"
    path.write_text(example.suite, encoding="utf-8")
    (tmp_path / "train.jsonl").write_text(ROWS, encoding="utf-8")
    suite = load_suite(path)
    (spec,) = suite.scorers
    scorer = build(spec)
    assert spec.type == example.scorer
    assert example.rows
    cases = {case.id: case for case in suite.cases}
    for case, cells, value, reason in example.rows:
        score = scored(scorer, cases[case], cells.split("` | `"))
        assert (score.value, score.reason) == (pytest.approx(value), reason)
    assert {case for case, *_ in example.rows} == set(cases)


@pytest.mark.parametrize("name", BUILT_IN)
def test_guide_names_each_scorer_with_its_settings_and_measures(name: str) -> None:
    text = sections()[name]
    overview = GUIDE.read_text(encoding="utf-8").split("\n## ")[0]
    assert f"[`{name}`](#{name})" in overview
    scorer = BUILT_IN[name]
    assert is_dataclass(scorer)
    assert [item.name for item in fields(scorer) if f"`{item.name}`" not in text] == []
    (row,) = (line for line in overview.splitlines() if f"(#{name})" in line)
    measures = getattr(scorer, "measures", ())
    assert re.findall(r"`(\w+)`", row.rsplit("|", 2)[1]) == list(measures)


def test_own_scorer_of_the_guide_keeps_the_contract() -> None:
    names: dict[str, object] = {"__name__": "guide"}
    exec(compile(_PYTHON.findall(sections()["Your own"])[0], str(GUIDE), "exec"), names)
    check = names["test_shouting_keeps_the_contract"]
    assert callable(check)
    check()
