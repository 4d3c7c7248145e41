import json

import pytest
from grader_samples import CASE, LABEL_MODEL, MULTI, SCORE_MODEL, STRING_CHECK, judged, said, scorer_of

from harness.protocols import CheckedScorer, PanelScorer, Scorer
from harness.records import Completion, Failure, Json, ScorerSpec
from harness.scorers import metric_names
from harness.serial import ParseError
from harness.testing import check_scorer

RIGHT = json.dumps({"label": "billing", "why": "You were charged twice."})
WRONG = json.dumps({"label": "bug", "why": "You were charged twice."})


def problems_of(**changes: Json) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(ParseError) as caught:
        scorer_of(MULTI, **changes)
    return {problem.path: str(problem) for problem in caught.value.problems}


def asked(scorer: object, answer: str) -> list[str]:
    assert isinstance(scorer, PanelScorer)
    return [question.name for question in scorer.questions(CASE, said(answer))]


def test_formula_combines_what_the_graders_give() -> None:
    scorer = scorer_of(MULTI)
    score = judged(scorer, RIGHT, '{"result": 0.5}')
    assert (score.value, score.measures) == (0.75, {"label": 1.0, "explanation": 0.5})
    assert score.reason.startswith(
        "0.75: label 1 ('billing' is 'billing': true); explanation 0.5 (0.5 from 0 to 1"
    )
    assert judged(scorer, WRONG, '{"result": 0.5}').value == 0.25


def test_graders_names_are_measures() -> None:
    settings = {key: value for key, value in MULTI.items() if key not in {"type", "name"}}
    entry = ScorerSpec(type="multi", name="both", settings=settings)
    assert metric_names(entry) == ("both", "label", "explanation")


def test_each_judged_grader_asks_under_its_name() -> None:
    scorer = scorer_of(
        MULTI,
        graders={"tone": LABEL_MODEL, "helpful": SCORE_MODEL, "right": STRING_CHECK},
        calculate_output="right * tone * helpful",
    )
    assert asked(scorer, "billing") == ["tone", "helpful"]

    def judge(prompt: str) -> str:
        return '{"result": "warm"}' if "tone" in prompt else '{"result": 8}'

    score = judged(scorer, "billing", judge)
    assert (score.value, score.measures) == (1.0, {"tone": 1.0, "helpful": 1.0, "right": 1.0})


def test_number_of_a_judge_enters_on_its_own_scale() -> None:
    grader = {key: value for key, value in SCORE_MODEL.items() if key != "pass_threshold"}
    scorer = scorer_of(MULTI, graders={"helpful": grader}, calculate_output="helpful / 10")
    score = judged(scorer, "Of course.", '{"result": 8}')
    assert (score.value, score.measures) == (0.8, {"helpful": 8.0})


def test_graders_that_compare_texts_need_no_judge() -> None:
    scorer = scorer_of(MULTI, graders={"a": STRING_CHECK}, calculate_output="1 - a")
    assert isinstance(scorer, Scorer)
    assert judged(scorer, "bug").value == 1.0


@pytest.mark.parametrize("graders", [[{**STRING_CHECK, "name": "right"}], {**STRING_CHECK, "name": "right"}])
def test_graders_may_be_a_list_or_a_single_one(graders: Json) -> None:
    scorer = scorer_of(MULTI, graders=graders, calculate_output="right")
    assert judged(scorer, "billing").value == 1.0


def test_answer_that_one_grader_cannot_read_is_0_and_nobody_is_asked() -> None:
    scorer = scorer_of(MULTI, calculate_output="1 - label * explanation")
    assert asked(scorer, "billing") == []
    score = judged(scorer, "billing")
    assert score.value == 0.0
    assert score.reason == "label: `sample.output_json.label`: the answer is not JSON: 'billing'"


@pytest.mark.parametrize("reply", [said("hm"), Failure(kind="timeout", message="gave up")])
def test_judge_that_cannot_be_read_leaves_it_unscored(reply: Completion | Failure) -> None:
    score = judged(scorer_of(MULTI), RIGHT, reply)
    assert score.value is None
    assert score.reason.startswith("explanation: the judge")
    assert score.measures == {}


@pytest.mark.parametrize(
    ("formula", "what"),
    [
        ("label + explanation", "is 1.5, outside 0..1: divide it, or set `pass_threshold`"),
        ("label / (explanation - 0.5)", "has no value"),
        ("0 - label", "outside 0..1"),
    ],
)
def test_formula_that_leaves_the_scale_is_unscored(formula: str, what: str) -> None:
    score = judged(scorer_of(MULTI, calculate_output=formula), RIGHT, '{"result": 0.5}')
    assert score.value is None
    assert what in score.reason


def test_rounding_of_a_sum_of_shares_is_forgiven() -> None:
    scorer = scorer_of(
        MULTI, calculate_output=" + ".join(["label * 0.1"] * 9) + " + 0.1 + explanation * 1e-12"
    )
    assert judged(scorer, RIGHT, '{"result": 1}').value == 1.0


def test_threshold_makes_any_value_pass_or_fail() -> None:
    scorer = scorer_of(MULTI, calculate_output="10 * label + explanation", pass_threshold=10.5)
    assert judged(scorer, RIGHT, '{"result": 0.5}').value == 1.0
    assert judged(scorer, RIGHT, '{"result": 0.4}').value == 0.0


def test_every_mistake_of_a_combination_is_told_at_its_place() -> None:
    problems = problems_of(
        graders={
            "label": {**STRING_CHECK, "operation": "equals"},
            "near": {
                "type": "text_similarity",
                "input": "x",
                "reference": "y",
                "evaluation_metric": "cosine",
            },
            "code": {"type": "python", "source": "def grade(sample, item): return 1.0"},
            "odd": {"type": "string_chek"},
            "not-a-name": STRING_CHECK,
            "nothing": 5,
        },
        calculate_output="label + explanaton",
    )
    assert "'equals' is not one of" in problems["graders", "label", "operation"]
    assert "a scorer of its own beside the `multi`" in problems["graders", "near", "evaluation_metric"]
    assert "no code out of a suite file is ever run" in problems["graders", "code", "type"]
    assert "module:Class" in problems["graders", "code", "type"]
    assert "did you mean 'string_check'?" in problems["graders", "odd", "type"]
    assert "a formula cannot say 'not-a-name'" in problems["graders", "not-a-name"]
    assert "5 is no grader" in problems["graders", "nothing"]
    assert "no grader is called 'explanaton'" in problems["calculate_output",]


def test_case_that_one_grader_cannot_judge_is_told_when_the_suite_loads() -> None:
    scorer = scorer_of(
        MULTI, graders={"a": {**STRING_CHECK, "reference": "{{ item.answer }}"}}, calculate_output="a"
    )
    assert isinstance(scorer, CheckedScorer)
    assert (scorer.check_case(CASE) or "").startswith("a: `item.answer`: the case has no 'answer'")


def test_formula_and_templates_run_no_code() -> None:
    """What would act if it were evaluated is refused, or stays text."""
    assert "has no place in a formula" in problems_of(calculate_output="().__class__")["calculate_output",]
    attack = "{{ item.expected }}{% raise %}${7*7}__import__('os').abort()"
    scorer = scorer_of(MULTI, graders={"a": STRING_CHECK}, calculate_output="a")
    assert judged(scorer, attack).value == 0.0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"graders": {"right": STRING_CHECK, "tone": LABEL_MODEL}, "calculate_output": "right * tone"},
    ],
)
def test_multi_keeps_the_contract(changes: dict[str, Json]) -> None:
    check_scorer(scorer_of(MULTI, **changes))
