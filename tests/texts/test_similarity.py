import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.texts.similarity import chrf


@pytest.mark.parametrize(
    ("text", "reference", "score"),
    [  # sacrebleu 2.5 sentence_chrf
        ("the cat sat on the mat", "the cat is on the mat", 64.5779),
        ("hello", "goodbye", 6.0606),
        ("今天天气很好", "今天的天气真好", 18.0025),
        ("ab", "abcdefgh", 23.4043),
        ("kitten", "sitting", 19.0251),
    ],
)
def test_scores_are_those_of_sacrebleu(text: str, reference: str, score: float) -> None:
    assert 100 * chrf(text, reference) == pytest.approx(score, abs=1e-4)


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_score_is_a_share_and_equal_texts_have_all(text: str, reference: str) -> None:
    assert 0 <= chrf(text, reference) <= 1
    assert chrf(text, text) == pytest.approx(1)


def test_nothing_is_only_like_nothing() -> None:
    assert (chrf("", " "), chrf("", "a"), chrf("a", "")) == (1, 0, 0)
