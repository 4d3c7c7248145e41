import pytest
from judging import case, judge

from harness.protocols import Scorer, VectorScorer
from harness.records import Completion, ScorerSpec
from harness.scorers import Similarity, build
from harness.scorers.similarity import EmbeddingSimilarity, Metric
from harness.testing import check_scorer

BY_WORDS: tuple[Metric, ...] = ("rouge_1", "rouge_l", "bleu", "gleu", "meteor")


def embedding(**settings: object) -> VectorScorer:
    scorer = build(ScorerSpec(type="similarity", name="x", settings={"metric": "embedding", **settings}))
    assert isinstance(scorer, VectorScorer)
    return scorer


@pytest.mark.parametrize("metric", ["chrf", "ratio", *BY_WORDS])
@pytest.mark.parametrize(
    "text", ["Paris is the capital of France", "巴黎是法国的首都", "パリはフランスの首都です"]
)
def test_same_text_is_alike_in_any_script(metric: Metric, text: str) -> None:
    likeness = judge(Similarity(metric=metric), text, text).value
    # METEOR's penalty for one run of n words is 1 / (2 n³).
    assert likeness == pytest.approx(1, abs=0.003)


@pytest.mark.parametrize("metric", ["chrf", "ratio", *BY_WORDS, "rouge_5"])
@pytest.mark.parametrize("text", ["", " \n ", "\u200b"])
def test_empty_answer_is_like_nothing(metric: Metric, text: str) -> None:
    assert judge(Similarity(metric=metric), text, "北京").value == 0


def test_case_width_and_spacing_do_not_count() -> None:
    assert judge(Similarity(), "ＰＡＲＩＳ  is  nice", "paris is nice").value == 1
    assert judge(Similarity(ignore_case=False), "PARIS", "paris").value == 0


def test_likest_of_several_texts_counts() -> None:
    score = judge(Similarity(metric="ratio"), "Peking", ["Beijing", "Peking", "北京"])
    assert (score.value, score.reason) == (1, "ratio 1.000 with 'peking'")


@pytest.mark.parametrize(("at_least", "value"), [(0.8, 1), (0.81, 0)])
def test_mark_makes_it_pass_or_fail(at_least: float, value: float) -> None:
    score = judge(Similarity(metric="rouge_l", at_least=at_least), "我喜欢这部小说", "我很喜欢这本小说")
    assert (score.value, score.measures) == (value, {"similarity": 0.8})


@pytest.mark.parametrize("expected", [None, "", ["a", " "], [], {"a": 1}])
def test_case_without_a_text_is_refused(expected: object) -> None:
    assert "needs `expected`" in (Similarity().check_case(case(expected)) or "")
    assert judge(Similarity(), "a", expected).value is None


@pytest.mark.parametrize("mark", [0, 1.1, -1])
def test_mark_that_says_nothing_is_refused(mark: float) -> None:
    with pytest.raises(ValueError, match="at_least"):
        Similarity(at_least=mark)


def test_other_metrics_need_no_vectors() -> None:
    assert isinstance(build(ScorerSpec(type="similarity", name="x", settings={"metric": "bleu"})), Scorer)
    assert judge(Similarity(metric="embedding"), "a", "a").value is None


def test_vectors_are_asked_of_the_answer_and_each_text() -> None:
    texts = embedding().texts(case(["Beijing", "北京"]), Completion(text=" Peking "))
    assert texts == ("peking", "beijing", "北京")


@pytest.mark.parametrize("completion", [Completion(text=""), Completion(text=" ")])
def test_empty_answer_asks_for_no_vectors_and_is_zero(completion: Completion) -> None:
    scorer = embedding()
    assert scorer.texts(case("a"), completion) == ()
    assert scorer.read_vectors(case("a"), completion, ()).value == 0


@pytest.mark.parametrize(
    ("vectors", "value"),
    [
        (((1.0, 0.0), (2.0, 0.0)), 1.0),
        (((1.0, 0.0), (3.0, 4.0)), 0.6),
        (((1.0, 0.0), (-1.0, 0.0)), 0.0),
        (((1.0, 0.0), (0.0, 0.0)), None),
        (((1.0, 0.0), (1.0,)), None),
        (((1.0, 0.0),), None),
        (((1e300, 1e300), (1e300, 1e300)), None),
    ],
)
def test_cosine_of_the_vectors_is_the_likeness(
    vectors: tuple[tuple[float, ...], ...], value: float | None
) -> None:
    assert embedding().read_vectors(case("b"), Completion(text="a"), vectors).value == value


def test_mark_holds_for_vectors_too() -> None:
    score = embedding(at_least=0.7).read_vectors(case("b"), Completion(text="a"), ((1.0, 0.0), (3.0, 4.0)))
    assert (score.value, score.measures) == (0, {"similarity": 0.6})


def test_embedding_keeps_the_contract() -> None:
    check_scorer(EmbeddingSimilarity(settings=Similarity(metric="embedding")))
