"""Figures of the definitions' usual implementations: rouge_score 0.1.2, sacrebleu 2.6 (lower case, by spaces, effective order), nltk 3.9."""

import pytest

from harness.texts.similarity import LIKENESSES
from harness.texts.word_overlap import words_of

FOX = "The quick brown fox jumps over the lazy dog", "A quick brown fox jumped over a lazy dog"
PARTY = (
    "It is a guide to action which ensures that the military always obeys the commands of the party",
    "It is a guide to action that ensures that the military will forever heed Party commands",
)
CAT = "the cat", "the cat sat on the mat"
BACKWARDS = "a b c d e f", "f e d c b a"


@pytest.mark.parametrize(
    ("pair", "figures"),
    [
        (FOX, {"rouge_1": 0.666667, "rouge_2": 0.375, "rouge_3": 0.142857, "rouge_l": 0.666667}),
        (PARTY, {"rouge_1": 0.705882, "rouge_2": 0.5, "rouge_3": 0.4, "rouge_l": 0.647059}),
        (CAT, {"rouge_1": 0.5, "rouge_2": 0.333333, "rouge_3": 0.0, "rouge_l": 0.5}),
        (BACKWARDS, {"rouge_1": 1.0, "rouge_2": 0.0, "rouge_l": 0.166667}),
        (FOX, {"bleu": 0.233569, "gleu": 0.333333, "meteor": 0.625}),
        (PARTY, {"bleu": 0.42086, "gleu": 0.454545}),
        (CAT, {"bleu": 0.135335, "gleu": 0.166667}),
        (BACKWARDS, {"bleu": 0.127033, "gleu": 0.333333, "meteor": 0.5}),
    ],
)
def test_figures_are_those_of_the_usual_implementations(
    pair: tuple[str, str], figures: dict[str, float]
) -> None:
    assert {name: LIKENESSES[name](*pair) for name in figures} == pytest.approx(figures, abs=1e-6)


def test_bleu_of_chinese_is_sacrebleus_with_its_chinese_tokenizer() -> None:
    assert LIKENESSES["bleu"]("我喜欢这部小说", "我很喜欢这本小说") == pytest.approx(0.2789, abs=1e-4)


def test_meteor_aligns_a_word_where_the_run_goes_on() -> None:
    """One run of two, not the first word with the second `the`: P = 1, R = 1/3, penalty 1/16."""
    mean = 1 / 3 / (0.9 + 0.1 / 3)
    assert LIKENESSES["meteor"](*CAT) == pytest.approx(mean * (1 - 0.5 / 8))


def test_words_are_runs_of_letters_and_single_characters_of_unspaced_scripts() -> None:
    assert words_of("Don't use API v2，好吗？ไทย naïve") == [
        "don",
        "t",
        "use",
        "api",
        "v2",
        "好",
        "吗",
        "ไ",
        "ท",
        "ย",
        "naïve",
    ]


@pytest.mark.parametrize("name", LIKENESSES)
@pytest.mark.parametrize(
    ("text", "reference", "alike"), [("", "", 1), ("", "a", 0), ("a", "", 0), ("!?", "!?", 1), ("!", "?", 0)]
)
def test_texts_without_words_are_alike_when_equal(name: str, text: str, reference: str, alike: float) -> None:
    assert LIKENESSES[name](text, reference) == alike


@pytest.mark.parametrize("name", LIKENESSES)
def test_likeness_is_within_0_and_1(name: str) -> None:
    for text, reference in (
        FOX,
        PARTY,
        CAT,
        BACKWARDS,
        ("a a a a a", "a"),
        ("a", "a a a a a"),
        ("你好", "hello"),
    ):
        assert 0 <= LIKENESSES[name](text, reference) <= 1
