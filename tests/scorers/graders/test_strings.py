import pytest
from grader_samples import CASE, STRING_CHECK, TEXT_SIMILARITY, judged, said, scorer_of

from harness.protocols import Scorer, VectorScorer
from harness.records import Json, ToolCall
from harness.scorers.graders import StringCheck, TextSimilarity
from harness.serial import ParseError
from harness.testing import check_scorer


@pytest.mark.parametrize(
    ("operation", "answer", "value"),
    [
        ("eq", "billing", 1.0),
        ("eq", "Billing", 0.0),
        ("eq", "billing ", 0.0),
        ("ne", "Billing", 1.0),
        ("ne", "billing", 0.0),
        ("like", "It is billing.", 1.0),
        ("like", "It is Billing.", 0.0),
        ("ilike", "It is BILLING.", 1.0),
        ("ilike", "It is a bug.", 0.0),
        ("eq", "", 0.0),
    ],
)
def test_operation_compares_character_by_character(operation: str, answer: str, value: float) -> None:
    assert judged(scorer_of(STRING_CHECK, operation=operation), answer).value == value


def test_ilike_knows_the_cases_of_other_scripts() -> None:
    scorer = StringCheck(input="{{ sample.output_text }}", reference="STRASSE 北京", operation="ilike")
    assert judged(scorer, "Die Straße 北京").value == 1.0


def test_input_and_reference_may_stand_either_way() -> None:
    scorer = scorer_of(STRING_CHECK, input="{{ item.expected }}", reference="{{ sample.output_text }}")
    score = judged(scorer, "billing")
    assert (score.value, score.reason) == (1.0, "'billing' is 'billing': true")


@pytest.mark.parametrize("operation", ["eq", "ne"])
def test_answer_without_what_the_template_names_is_0(operation: str) -> None:
    scorer = scorer_of(STRING_CHECK, input="{{ sample.output_json.label }}", operation=operation)
    score = judged(scorer, "billing")
    assert (score.value, score.reason) == (
        0.0,
        "`sample.output_json.label`: the answer is not JSON: 'billing'",
    )


def test_called_tool_is_compared() -> None:
    scorer = StringCheck(
        input="{{ sample.output_tools[0].function.name }}", reference="refund", operation="eq"
    )
    call = ToolCall(name="refund", arguments="{}")
    assert judged(scorer, said("", call)).value == 1.0
    assert judged(scorer, said("refund")).value == 0.0


def test_case_without_what_the_template_names_is_told_when_the_suite_loads() -> None:
    scorer = scorer_of(STRING_CHECK, reference="{{ item.label }}")
    assert isinstance(scorer, StringCheck)
    assert "`item.label`: the case has no 'label'" in (scorer.check_case(CASE) or "")
    assert judged(scorer, "billing").value is None


def test_every_wrong_template_is_reported_at_its_key() -> None:
    with pytest.raises(ParseError) as caught:
        scorer_of(STRING_CHECK, input="{{ output }}", reference="{{ sample.text }}")
    assert [problem.path for problem in caught.value.problems] == [("input",), ("reference",)]


@pytest.mark.parametrize(
    "metric",
    [
        "fuzzy_match",
        "bleu",
        "gleu",
        "meteor",
        "rouge_1",
        "rouge_2",
        "rouge_3",
        "rouge_4",
        "rouge_5",
        "rouge_l",
    ],
)
def test_likeness_is_1_for_the_same_text_and_0_for_another(metric: str) -> None:
    scorer = TextSimilarity(
        input="{{ sample.output_text }}",
        reference="{{ item.reference_answer }}",
        evaluation_metric=metric,  # type: ignore[arg-type]
    )
    same = "You will get your money back within five days."
    near = "You will get your money back in five days."
    assert judged(scorer, same).value == pytest.approx(1.0, abs=0.01)
    assert 0.2 < (judged(scorer, near).value or 0) < 1
    assert (judged(scorer, "北京").value or 0) < 0.05
    assert judged(scorer, "").value == 0.0


def test_threshold_makes_a_likeness_pass_or_fail() -> None:
    scorer = scorer_of(TEXT_SIMILARITY)
    near = judged(scorer, "You will get your money back in five days.")
    assert near.value == 1.0
    assert near.measures["raw_score"] == pytest.approx(0.9545, abs=0.001)
    assert near.reason.startswith("fuzzy_match 0.955 of 'You will get your money back in five days.'")
    assert near.reason.endswith("reaches 0.8")
    far = judged(scorer, "No.")
    assert far.value == 0.0
    assert far.measures["raw_score"] < 0.2


def test_cosine_compares_embeddings() -> None:
    scorer = scorer_of(TEXT_SIMILARITY, evaluation_metric="cosine", pass_threshold=None)
    assert isinstance(scorer, VectorScorer)
    answer = said("Your money comes back.")
    assert scorer.texts(CASE, answer) == ("Your money comes back.", CASE.metadata["reference_answer"])
    for vectors, value in (
        ([(1.0, 0.0), (1.0, 0.0)], 1.0),
        ([(3.0, 4.0), (4.0, 3.0)], 0.96),
        ([(1.0, 0.0), (0.0, 1.0)], 0.0),
        ([(1.0, 0.0), (-1.0, 0.0)], 0.0),
        ([(0.0, 0.0), (1.0, 0.0)], None),
        ([(float("nan"), 0.0), (1.0, 0.0)], None),
        ([(1.0,), (1.0, 0.0)], None),
        ([], None),
    ):
        found = scorer.read_vectors(CASE, answer, vectors).value
        assert found == (None if value is None else pytest.approx(value))


def test_only_cosine_asks_for_embeddings() -> None:
    assert isinstance(scorer_of(TEXT_SIMILARITY), Scorer)
    cosine = scorer_of(TEXT_SIMILARITY, evaluation_metric="cosine")
    assert not isinstance(cosine, Scorer)
    assert (
        TextSimilarity(input="a", reference="b", evaluation_metric="cosine").score(CASE, said("")).value
        is None
    )


def test_empty_answer_needs_no_embedding() -> None:
    scorer = scorer_of(TEXT_SIMILARITY, evaluation_metric="cosine")
    assert isinstance(scorer, VectorScorer)
    assert scorer.texts(CASE, said(" ")) == ()
    assert scorer.read_vectors(CASE, said(" "), ()).value == 0.0


@pytest.mark.parametrize(
    "settings",
    [
        {"evaluation_metric": "fuzzy_match", "pass_threshold": 0.5},
        {"evaluation_metric": "rouge_l"},
        {"evaluation_metric": "bleu"},
        {"evaluation_metric": "meteor"},
        {"evaluation_metric": "cosine"},
        {"evaluation_metric": "gleu", "input": "{{ sample.output_json.city }}"},
    ],
)
def test_text_similarity_keeps_the_contract(settings: dict[str, Json]) -> None:
    check_scorer(scorer_of({**TEXT_SIMILARITY, "reference": "billing"}, **settings))


def test_string_check_keeps_the_contract() -> None:
    check_scorer(scorer_of(STRING_CHECK, operation="ilike"))
    check_scorer(scorer_of(STRING_CHECK, input="{{ sample.output_json.city }}"))
