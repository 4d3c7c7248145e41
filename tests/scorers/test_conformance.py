from dataclasses import replace

import pytest

from harness.protocols import AnyScorer
from harness.scorers import (
    BUILT_IN,
    Contains,
    Criterion,
    Emoji,
    ExactMatch,
    JsonFields,
    JsonSchema,
    Label,
    LabelModel,
    Language,
    Length,
    MultiGrader,
    Number,
    Pairwise,
    Pii,
    Refusal,
    Regex,
    Regurgitation,
    Rubric,
    ScoreModel,
    Similarity,
    StringCheck,
    TextSimilarity,
    ToolCalls,
)
from harness.scorers.graders.messages import GraderMessage
from harness.testing import check_scorer

CRITERION = Criterion(name="humour", levels={1: "flat", 5: "hilarious"})
ANSWER = "{{ sample.output_text }}"
ASKED = (GraderMessage(role="user", content=f"Grade this: {ANSWER}"),)
SCORERS: list[AnyScorer] = [
    ExactMatch(aliases={"NYC": "New York"}, ignore_articles=True, ignore_answer_prefix=True),
    Contains(),
    Contains(any=("a",), all=("b",), none=("c",), whole_words=True, ignore_case=False),
    Regex(pattern=r"\d+", mode="full", ignore_case=True),
    ExactMatch(take="boxed", chinese_numerals=True),
    ExactMatch(take="last_line"),
    Number(tolerance=0.5, relative_tolerance=0.01, percent="either"),
    Number(pick="first"),
    Number(pick="only"),
    Label(labels=("billing", "bug", "北京"), aliases={"invoice": "billing"}),
    JsonFields(lenient=True, allow_extra=False),
    JsonSchema(schema={"type": "object", "properties": {"city": {"pattern": "^(a|aa)+$"}}}, lenient=True),
    JsonSchema(schema={"anyOf": [{"items": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}]}),
    ToolCalls(),
    ToolCalls(ordered=True, allow_extra=True, coerce=True),
    Length(unit="graphemes", at_least=1, at_most=20),
    Length(unit="tokens", at_most=20),
    Length(unit="sentences", at_most=2),
    Emoji(),
    Language(),
    Language(language="zh-CN", at_most_foreign=0.5),
    Language(language="prompt"),
    Pii(),
    Pii(kinds=("ip", "secret"), allow=("@acme.com",)),
    Regurgitation(file="train.jsonl"),
    Similarity(),
    *(Similarity(metric=metric, at_least=0.5) for metric in ("ratio", "rouge_l", "bleu", "gleu", "meteor")),
    Similarity(metric="rouge_2", ignore_case=False),
    Refusal(),
    Refusal(expect="comply", cannot_is_refusal=True),
    Rubric(criteria=(CRITERION,)),
    Rubric(criteria=(CRITERION, replace(CRITERION, name="{0} %s")), repeats=2, logprobs=False),
    Pairwise(),
    Pairwise(criteria="{0} %s", repeats=2),
    StringCheck(input=ANSWER, reference="billing", operation="ilike"),
    TextSimilarity(input=ANSWER, reference="billing", evaluation_metric="fuzzy_match"),
    ScoreModel(input=ASKED, range=(1.0, 5.0)),
    LabelModel(input=ASKED, labels=("good", "bad"), passing_labels=("good",)),
    MultiGrader(
        graders={"a": {"type": "string_check", "input": ANSWER, "reference": "北京", "operation": "eq"}},
        calculate_output="1 - a",
    ),
]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
def test_scorer_keeps_its_contract(scorer: AnyScorer) -> None:
    check_scorer(scorer)


def test_every_built_in_scorer_is_checked() -> None:
    assert {type(scorer) for scorer in SCORERS} == set(BUILT_IN.values())
