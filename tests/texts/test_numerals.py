from fractions import Fraction

import pytest

from harness.texts.numerals import chinese_number, plain_numerals, read_numerals, whole_numeral


def read(text: str) -> list[str]:
    return [str(item.share) for item in read_numerals(plain_numerals(text))]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("The answer is -5.", "-5"),
        ("\u22125", "-5"),
        ("minus 5", "-5"),
        ("$-5", "-5"),
        ("-$5", "-5"),
        ("3.14.", "157/50"),
        (".5", "1/2"),
        ("1,234,567", "1234567"),
        ("1\u202f234\u202f567", "1234567"),
        ("1{,}234", "1234"),
        (r"\$1\,234", "1234"),
        ("€1,000.50", "2001/2"),
        ("1e-7", "1/10000000"),
        ("1.5×10⁸", "150000000"),
        (r"1.5 \times 10^{8}", "150000000"),
        ("10^6", "1000000"),
        ("10⁻³", "1/1000"),
        ("3/4 cup", "3/4"),
        (r"-\frac{1}{2}", "-1/2"),
        ("2.5 million people", "2500000"),
        ("25 %", "1/4"),
        ("25％", "1/4"),
        (r"25\%", "1/4"),
        ("12 percent", "3/25"),
        ("5 per cent", "1/20"),
        ("5km", "5"),
        ("１２３４", "1234"),
        ("GPT-4 scored 87", "87"),
        ("x^2 + 3", "3"),
        ("007", "7"),
        ("1.5万", "15000"),
        ("1亿2000万", "120000000"),
        ("12万3千", "123000"),
        ("总共一百二十个苹果", "120"),
        ("一萬兩千", "12000"),
        ("壹佰贰拾元整", "120"),
        ("二〇二六年", "2026"),
        ("负三点五", "-7/2"),
        ("零下五度", "-5"),
        ("百分之二十五", "1/4"),
        ("百分之25", "1/4"),
        ("三分之一", "1/3"),
        ("千分之三", "3/1000"),
        ("一千万", "10000000"),
        ("统一的五个", "5"),
        ("答案是五，没有例外，一般如此", "5"),
        ("一共有三个", "3"),
    ],
)
def test_one_number_is_read(text: str, value: str) -> None:
    assert read(text) == [value]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("10-5", ["10", "5"]),
        ("5 - 3 = 2", ["5", "3", "2"]),
        ("3,4,5", ["3", "4", "5"]),
        ("1,23", ["1", "23"]),
        ("- 5\n- 6", ["5", "6"]),
        ("3个苹果，一共五元", ["3"]),
    ],
)
def test_several_numbers_are_read_in_order(text: str, values: list[str]) -> None:
    assert read(text) == values


@pytest.mark.parametrize(
    "text",
    [
        *("", "none", "GPT-4", "H2O", "v2", "1.2.3", "2026-11-22", "2026/11/22", "10:30", "2^10", "1/0", "1e999"),
        *("1" * 50, "万一", "十分好", "一般", "一起", "老百姓", r"\frac{1}{0}", "万万", "一百" * 30, "\x00\ud83d"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_not_read(text: str) -> None:
    assert read(text) == []


def test_values_are_exact() -> None:
    (tenth, fifth) = read_numerals("0.1 and 0.2")
    assert tenth.value + fifth.value == Fraction("0.3")


def test_whole_numeral_is_all_of_the_text() -> None:
    found = whole_numeral(" 百分之五 ")
    assert found is not None
    assert (found.share, whole_numeral("五个"), whole_numeral("1 2"), whole_numeral("")) == (
        Fraction(1, 20), None, None, None,
    )  # fmt: skip


def test_only_chinese_that_is_well_formed_is_a_number() -> None:
    assert chinese_number("两百零五") == 205
    assert chinese_number("百万") == 1_000_000
    assert chinese_number("百") is None
    assert chinese_number("一百一百") is None
    assert chinese_number("一" * 41) is None
    assert chinese_number("一点" + "一" * 16) is not None
    assert chinese_number("一点" + "一" * 17) is None
    assert chinese_number("1." + "1" * 17 + "万") is None
