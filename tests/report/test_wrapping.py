import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.wrapping import cells, wrapped


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("你好", 4), ("ＡＢ", 4), ("e\u0301", 1), ("a\u200bb", 2), ("한글", 4), ("", 0)],
)
def test_wide_letters_take_two_columns_and_accents_none(text: str, columns: int) -> None:
    assert cells(text) == columns


def test_words_stay_whole_and_later_lines_are_indented() -> None:
    assert [*wrapped("one two three", width=9, first="> ", later="  ")] == ["> one two", "  three"]


def test_chinese_breaks_anywhere_but_before_a_full_stop() -> None:
    assert [*wrapped("我们明天再说。好的", width=10)] == ["我们明天再", "说。好的"]
    assert [*wrapped("我们明天说。好的", width=10)] == ["我们明天", "说。好的"]


def test_a_word_wider_than_a_line_is_cut() -> None:
    assert [*wrapped("a bcdefgh i", width=4)] == ["a", "bcde", "fgh", "i"]


def test_nothing_makes_no_line() -> None:
    assert [*wrapped("  ", width=9)] == []


@given(st.text(st.sampled_from("ab 你，。é한\u0301"), max_size=60), st.integers(6, 20))
def test_no_line_is_too_wide_and_no_letter_is_lost(text: str, width: int) -> None:
    lines = [*wrapped(text, width=width, later="  ")]
    assert all(cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
