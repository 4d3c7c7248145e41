import pytest
from judging import judge

from harness.scorers import Emoji, Length
from harness.scorers.length import Unit

FAMILY, FLAG, THUMB, KEYCAP, HEART = "👨‍👩‍👧‍👦", "🇨🇳", "👍🏽", "1️⃣", "❤️"


@pytest.mark.parametrize(
    ("unit", "text", "length"),
    [
        ("characters", FAMILY, 7),
        ("characters", "  ab\n", 2),
        ("graphemes", FAMILY + FLAG + THUMB + KEYCAP + HEART, 5),
        ("graphemes", "नमस्ते", 3),
        ("graphemes", "e\u0301", 1),
        ("hanzi", "这个API真的太好用了吧", 10),
        ("hanzi", "太好看了！！！👍🏽 强烈推荐。", 8),
        ("hanzi", "第3章，讲2026年", 6),
        ("hanzi", "葛\U000e0100城\u200b市", 3),
        ("words", "Don't re-read U.S. law 3.14 times", 6),
        ("words", "می\u200cخواهم بروم", 2),
        ("words", "", 0),
        ("words", "naïve café – état d'urgence", 4),
        ("characters", "\u200b\ufeffab\u2060", 2),
        ("graphemes", HEART * 3, 3),
        ("graphemes", "각", 1),
        ("hanzi", "人工智能(AI)在2026年，很热门！", 11),
        ("hanzi", FAMILY + FLAG + KEYCAP + HEART, 0),
        ("bytes", FAMILY, 25),
        ("bytes", "北京", 6),
        ("bytes", "\ud83d", 1),
        ("tokens", "hello world", 2),
        ("sentences", "Dr. Smith paid $3.14. Really? Yes!", 3),
        ("sentences", "太好了！我喜欢。真的", 3),
        ("sentences", "1. One thing\n2. Another", 2),
        ("sentences", "He said no... She left!!", 2),
        ("sentences", "", 0),
    ],
)
def test_length_in_its_unit(unit: Unit, text: str, length: int) -> None:
    assert judge(Length(unit=unit, at_least=0), text).measures["length"] == length


def test_long_answers_are_tokenized_in_pieces_without_stopping() -> None:
    score = judge(Length(unit="tokens", at_least=1), "x" + " " * 900_000 + "y")
    assert score.value == 1


@pytest.mark.parametrize(
    ("text", "value"), [("一二", 0), ("一二三", 1), ("一二三四五", 1), ("一二三四五六", 0)]
)
def test_bounds_are_inclusive(text: str, value: float) -> None:
    assert judge(Length(unit="hanzi", at_least=3, at_most=5), text).value == value


def test_reason_gives_count_and_bounds() -> None:
    score = judge(Length(unit="hanzi", at_least=10, at_most=20), "太短")
    assert score.reason == "2 hanzi, wanted at least 10 and at most 20"


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        ({}, "every answer would do"),
        ({"at_least": 3, "at_most": 2}, "more than"),
        ({"at_least": -1}, "negative"),
    ],
)
def test_bounds_that_say_nothing_are_refused(bounds: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Length(unit="words", **bounds)
    with pytest.raises(ValueError, match=sentence):
        Emoji(**{"at_least": None, **bounds})


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("no emoji: 1 # * :) ★ © ™ ®", 0),
        (FAMILY, 1),
        (FLAG + FLAG, 2),
        (THUMB, 1),
        (KEYCAP + " and 1", 1),
        (f"好{HEART}看❤", 2),
        ("ℹ️‼️", 2),
    ],
)
def test_emoji_are_counted_as_people_see_them(text: str, count: int) -> None:
    score = judge(Emoji(at_least=1, at_most=1), text)
    assert score.measures["emoji_count"] == count
    assert score.value == float(count == 1)


@pytest.mark.parametrize(
    ("text", "distance"), [("", 3), ("一二", 1), ("一二三", 0), ("一二三四五", 0), ("一二三四五六七", 2)]
)
def test_distance_is_how_far_outside_the_bounds_the_answer_is(text: str, distance: int) -> None:
    measures = judge(Length(unit="hanzi", at_least=3, at_most=5), text).measures
    assert measures["length_distance"] == distance


def test_distance_of_emoji_counts_those_missing_and_those_too_many() -> None:
    few = Emoji(at_least=2, at_most=3)
    assert judge(few, "nice").measures["emoji_distance"] == 2
    assert judge(few, FLAG * 5).measures["emoji_distance"] == 2


def test_tokens_are_those_of_the_encoding_which_the_reason_names() -> None:
    text = "人工智能正在改变世界"
    new = judge(Length(unit="tokens", at_most=50), text)
    old = judge(Length(unit="tokens", at_most=50, encoding="cl100k_base"), text)
    assert (new.reason, old.reason) == (
        "5 tokens (o200k_base), wanted at most 50",
        "11 tokens (cl100k_base), wanted at most 50",
    )


def test_encoding_of_another_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="the unit is words"):
        Length(unit="words", at_most=5, encoding="cl100k_base")
