import pytest

from harness.dataset.leaks import weight_of
from harness.dataset.nearest import nearest_rows

ROWS = [
    "发票抬头写错了怎么改",
    "快递什么时候能到",
    "软件一打开就闪退",
    "Where is my parcel?",
    "The app crashes on start",
]


def test_the_nearest_row_comes_first_and_itself_does_not_count() -> None:
    indices, likes = nearest_rows(["Where is the parcel of mine?"], ROWS, count=2, own=[3])
    assert indices[0, 0] == 3
    assert likes[0, 0] > 0.3 > likes[0, 1]
    assert 3 not in indices[1][likes[1] > 0]


def test_two_letters_of_chinese_are_found_where_no_four_in_a_row_are_shared() -> None:
    indices, likes = nearest_rows(["开票以后还能改抬头吗"], ROWS, count=1)
    assert indices[0, 0] == 0
    assert likes[0, 0] > 0.1


def test_width_and_case_do_not_count() -> None:
    _, likes = nearest_rows(["ＷＨＥＲＥ ｉｓ my  PARCEL?"], ROWS, count=1)
    assert likes[0, 0] == pytest.approx(1.0, abs=1e-5)


def test_nothing_alike_has_similarity_0() -> None:
    _, likes = nearest_rows(["ψψψψψ", ""], ROWS, count=3)
    assert likes.max() == 0


def test_a_letter_of_chinese_says_as_much_as_several_of_latin() -> None:
    assert weight_of("发票怎么改") == 15
    assert weight_of("hello") == 5
