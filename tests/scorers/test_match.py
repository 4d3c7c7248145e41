import time

import pytest
from judging import case, judge

from harness.records import Json
from harness.scorers import Contains, ExactMatch, Regex


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("北京。", "北京"),
        ("１２３４", 1234),
        ("25％", "25%"),
        ("25 %", 0.25),
        ("1,234", "1234"),
        ("1,234,567", 1234567),
        ("3.0", 3),
        (".5", 0.5),
        ("5.", 5),
        ("\u22125", -5),
        ("1e-7", 1e-07),
        ("cafe\u0301", "café"),
        ("  New\n York ", "new york"),
        ("**Paris**", "Paris"),
        ("**Paris.**", "Paris"),
        ("- Paris", "Paris"),
        ('"Paris".', "Paris"),
        ("ＰＡＲＩＳ！", "paris"),
        ("北\u200b京", "北京"),
        ("It’s", "it's"),
        ("True", True),
        ("...", "..."),
        ("Rome", ["Paris", "Rome"]),
        ("42", ["forty-two", 42]),
    ],
)
def test_same_answer_in_another_notation_is_right(answer: str, expected: Json) -> None:
    assert judge(ExactMatch(), answer, expected).value == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A+", "A"),
        ("A*", "A"),
        ("C#", "C"),
        ("-5", 5),
        ("1.5", 15),
        (".5", 5),
        ("10²", 102),
        ("007", 7),
        ("1,23", 123),
        ("25%", 25),
        ("$5", 5),
        ("Paris, France", "Paris"),
        ("The Hague", "Hague"),
        ("Answer: Paris", "Paris"),
        ("", "Paris"),
        ("1", True),
    ],
)
def test_other_answer_is_wrong(answer: str, expected: Json) -> None:
    assert judge(ExactMatch(), answer, expected).value == 0


@pytest.mark.parametrize(
    ("answer", "raw", "normalised", "value"),
    [("New York", 1, 1, 1), ("new york.", 0, 1, 1), ("Answer: NYC", 0, 0, 1), ("Boston", 0, 0, 0)],
)
def test_bytes_normal_form_and_meaning_are_told_apart(
    answer: str, raw: float, normalised: float, value: float
) -> None:
    scorer = ExactMatch(aliases={"NYC": "New York"}, ignore_answer_prefix=True)
    score = judge(scorer, answer, "New York")
    assert (score.value, score.measures) == (value, {"raw_exact": raw, "normalised_exact": normalised})


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Two and two.\n\nFour", 1),
        ("Four\n\n", 1),
        ("Four\nThat was easy.", 0),
        ("", 0),
        ("二加二\r\n**four**。", 1),
    ],
)
def test_last_line_is_the_answer_when_asked(answer: str, value: float) -> None:
    assert judge(ExactMatch(take="last_line"), answer, "four").value == value


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (r"So $\boxed{42}$, as 6·7 = 42.", 42),
        (r"\boxed{1}, or rather \boxed{2}", 2),
        (r"\boxed{\text{北京}}", "北京"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{25\%}", 0.25),
        (r"\boxed{x^{2}}", "x^{2}"),
        ("42", 42),
        (r"\boxed{42", r"\boxed{42"),
    ],
)
def test_box_holds_the_answer_when_asked(answer: str, expected: Json) -> None:
    assert judge(ExactMatch(take="boxed"), answer, expected).value == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("一百二十", 120),
        ("120", "一百二十"),
        ("壹佰贰拾。", 120),
        ("百分之二十五", "25%"),
        ("三分之一", "1/3"),
        ("负三点五", -3.5),
    ],
)
def test_chinese_numerals_are_numbers_only_when_asked(answer: str, expected: Json) -> None:
    right = judge(ExactMatch(chinese_numerals=True), answer, expected).value
    assert (right, judge(ExactMatch(), answer, expected).value) == (float("/" not in str(expected)), 0)


def test_codes_stay_codes_among_chinese_numerals() -> None:
    assert judge(ExactMatch(chinese_numerals=True), "007", 7).value == 0
    assert judge(ExactMatch(chinese_numerals=True), "一般", "一").value == 0


def test_aliases_mean_the_same_on_both_sides() -> None:
    scorer = ExactMatch(aliases={"NYC": "New York"})
    assert judge(scorer, "nyc.", "New York").value == 1
    assert judge(scorer, "New York", "NYC").value == 1
    assert judge(scorer, "LA", "New York").value == 0


def test_article_goes_only_from_the_front_and_only_when_asked() -> None:
    scorer = ExactMatch(ignore_articles=True)
    assert judge(scorer, "The Hague", "Hague").value == 1
    assert judge(scorer, "vitamin A", "vitamin").value == 0


@pytest.mark.parametrize(
    "prefix", ["Answer: ", "The final answer is: ", "**Answer:** ", "答案：", "正确答案是："]
)
def test_answer_prefix_is_dropped_when_asked(prefix: str) -> None:
    assert judge(ExactMatch(ignore_answer_prefix=True), f"{prefix}42", 42).value == 1


def test_reason_names_both_sides() -> None:
    assert judge(ExactMatch(), "Rome", "Paris").reason == "expected 'Paris', read 'Rome'"
    assert judge(ExactMatch(), "Rome", ["a", "b"]).reason == "expected one of 'a', 'b', read 'Rome'"


@pytest.mark.parametrize("expected", [None, {"a": 1}, [], [["a"]], [None]])
def test_exact_match_cannot_judge_without_a_text(expected: Json) -> None:
    assert "needs `expected`" in (ExactMatch().check_case(case(expected)) or "")
    assert judge(ExactMatch(), "x", expected).value is None


# --- contains ------------------------------------------------------------------------------------------


def test_contains_finds_expected_in_any_notation() -> None:
    assert judge(Contains(), "It is ＰＡＲＩＳ, of course", "Paris").value == 1
    assert judge(Contains(), "It is Rome", ["Paris", "Rome"]).value == 1
    assert judge(Contains(), "It is Oslo", ["Paris", "Rome"]).value == 0


def test_case_counts_when_it_should() -> None:
    assert judge(Contains(any=("US",), ignore_case=False), "tell us").value == 0


def test_all_must_occur_and_none_may() -> None:
    scorer = Contains(all=("1969", "Apollo"), none=("as an AI",))
    assert judge(scorer, "Apollo 11, in 1969").value == 1
    missing = judge(scorer, "in 1969")
    assert (missing.value, missing.reason) == (0, "missing 'Apollo'")
    forbidden = judge(scorer, "As an AI: Apollo, 1969")
    assert (forbidden.value, forbidden.reason) == (0, "must not contain 'as an AI'")


def test_none_joins_what_the_case_expects() -> None:
    scorer = Contains(none=("sorry",))
    assert judge(scorer, "Paris", "Paris").value == 1
    assert judge(scorer, "Sorry, Paris", "Paris").value == 0
    assert judge(scorer, "anything").value == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("concatenate", 0), ("the cat.", 1), ("cat", 1), ("cats", 0), ("养了cat三年", 1), ("cat_food", 0)],
)
def test_whole_words_have_edges(text: str, value: float) -> None:
    assert judge(Contains(any=("cat",), whole_words=True), text).value == value


def test_chinese_has_no_word_edges() -> None:
    assert judge(Contains(any=("退款",), whole_words=True), "我要退款吗").value == 1


def test_empty_text_to_look_for_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="contained in every answer"):
        Contains(any=("\u200b",))
    assert "every answer contains" in (Contains().check_case(case(["a", ""])) or "")
    assert judge(Contains(), "x", "").value is None


# --- regex ---------------------------------------------------------------------------------------------


def test_search_finds_and_full_wants_everything() -> None:
    assert judge(Regex(pattern=r"\d{4}"), "in 1969.").value == 1
    assert judge(Regex(pattern=r"\d{4}", mode="full"), "in 1969.").value == 0
    assert judge(Regex(pattern=r"\d{4}", mode="full"), " 1969\n").value == 1


def test_match_is_the_answer_read() -> None:
    assert judge(Regex(pattern="[A-Z]{3}-\\d+"), "See ABC-12 there").answer == "ABC-12"


def test_case_is_ignored_only_when_asked() -> None:
    assert judge(Regex(pattern="abc"), "ABC").value == 0
    assert judge(Regex(pattern="abc", ignore_case=True), "ABC").value == 1


def test_bad_pattern_is_refused_before_any_answer() -> None:
    with pytest.raises(ValueError, match="not a regular expression: missing"):
        Regex(pattern="((")
    with pytest.raises(ValueError, match="empty pattern"):
        Regex(pattern="")


def test_endless_backtracking_is_unscored() -> None:
    started = time.perf_counter()
    score = judge(Regex(pattern="(a|aa)+$"), "a" * 40 + "b")
    assert score.value is None
    assert "make it simpler" in score.reason
    assert time.perf_counter() - started < 10
