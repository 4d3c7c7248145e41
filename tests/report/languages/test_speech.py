"""Sentences read back by their form and said anew."""

import pytest

from harness.report.languages.patterns import Grammar
from harness.report.languages.speech import Sentences

GRAMMAR = Grammar(
    amounts={
        "{n} point": "{n} 分",
        "{n} points": "{n} 分",
        "{n} cases": "{n} 个用例",
        "less than {n} %": "不到 {n} %",
    },
    joints={", ": "、", " and ": " 和 "},
    full_stop="。",
)


def said(text: str, entries: dict[str, str]) -> str:
    return Sentences(entries, GRAMMAR).said(text)


def test_a_sentence_without_gaps_is_looked_up() -> None:
    assert said("did not change", {"did not change": "没有变化"}) == "没有变化"


def test_a_sentence_that_is_not_known_stays_as_it_is() -> None:
    assert said("It rains.", {"did not change": "没有变化"}) == "It rains."


@pytest.mark.parametrize("text", ["did not change.", "Did not change."])
def test_the_first_letter_and_the_full_stop_of_a_sentence_do_not_matter(text: str) -> None:
    assert said(text, {"did not change": "没有变化"}) == "没有变化。"


def test_numbers_and_names_are_kept_and_units_said() -> None:
    entries = {"{suite} fell by {n:amount} on {m:amount}": "{suite} 在 {m} 上下降 {n}"}
    assert (
        said("routing fell by 1.2 points on 1,200 cases", entries) == "routing 在 1,200 个用例上下降 1.2 分"
    )


def test_the_form_with_the_most_words_is_taken() -> None:
    entries = {"{suite} fell by {n:amount}": "{suite} 下降 {n}", "{suite} fell": "{suite} 下降", "{x}": "?"}
    assert said("routing fell by 3 points", entries) == "routing 下降 3 分"
    assert said("routing fell", entries) == "routing 下降"


def test_a_part_that_must_be_known_and_is_not_leaves_the_whole_as_it_is() -> None:
    entries = {"{a:said}; {b:said}": "{a}；{b}", "it fell": "下降了"}
    assert said("it fell; it fell", entries) == "下降了；下降了"
    assert said("it fell; it rains", entries) == "it fell; it rains"


def test_an_open_part_is_said_where_it_is_known() -> None:
    entries = {"interrupted: {why:open}": "已中断：{why}", "out of money": "预算用尽"}
    assert said("interrupted: out of money", entries) == "已中断：预算用尽"
    assert said("interrupted: HTTP 418", entries) == "已中断：HTTP 418"


def test_a_gap_ends_where_the_rest_makes_sense() -> None:
    entries = {"when {suite}, {what:said}": "当{suite}，{what}", "it fell": "下降了"}
    assert said("when a, b, it fell", entries) == "当a, b，下降了"


def test_what_stands_in_a_gap_is_not_read_again() -> None:
    entries = {"{a} beats {b}": "{a} 胜过 {b}"}
    assert said("{b} beats {a:said}", entries) == "{b} 胜过 {a:said}"


def test_names_of_a_list_are_kept_and_what_stands_between_them_is_said() -> None:
    assert (
        said("worse on a, b and c", {"worse on {names:list}": "在 {names} 上变差"}) == "在 a、b 和 c 上变差"
    )


def test_a_date_stands_year_first() -> None:
    assert said("on 1 Feb 2026, 14:03 UTC", {"on {when:date}": "于 {when}"}) == "于 2026-02-01 14:03 UTC"


def test_braces_of_a_sentence_are_doubled() -> None:
    assert said("no {x} here", {"no {{x}} here": "没有 {{x}}"}) == "没有 {x}"


@pytest.mark.parametrize("form", ["{a}{b}", "{a:thing} fell", "{a} fell"])
def test_an_entry_that_cannot_be_read_is_an_error(form: str) -> None:
    with pytest.raises(ValueError, match=r"fell|gaps"):
        Sentences({form: "{c}"}, GRAMMAR)


def test_a_kept_name_is_never_divided() -> None:
    entries = {
        "{suite}: {what:said}": "{suite}：{what}",
        "{names:list} fell": "{names} 下降",
        "it fell": "下降了",
    }
    kept = Sentences(entries, GRAMMAR).keeping(["a: it fell", "R and D"])
    assert kept.said("a: it fell: it fell") == "a: it fell：下降了"
    assert kept.said("x, R and D fell") == "x、R and D 下降"
    assert kept.keeping(["p, q"]).said("p, q and R and D fell") == "p, q 和 R and D 下降"


def test_a_character_that_could_stand_in_for_a_name_is_kept() -> None:
    kept = Sentences({"{names:list} fell": "{names} 下降"}, GRAMMAR).keeping(["R and D"])
    assert kept.said("\U000f0000 fell") == "\U000f0000 下降"


def test_a_part_of_a_clause_reaches_over_no_other_clause() -> None:
    entries = {
        "{bound:part} is asked": "要求{bound}",
        "{a:said}; {b:said}": "{a}；{b}",
        "it is 1": "为 1",
        "at least 2": "至少 2",
    }
    assert said("it is 1; at least 2 is asked", entries) == "为 1；要求至少 2"
