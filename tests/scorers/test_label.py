import pytest
from judging import case, judge

from harness.records import Json
from harness.scorers import Label

TICKETS = Label(
    labels=("billing", "bug", "bug report", "feature"), aliases={"invoice": "billing", "发票": "billing"}
)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("billing", "billing"),
        (" Billing.\n", "billing"),
        ("**Billing**", "billing"),
        ("Category: billing", "billing"),
        ("答案：billing", "billing"),
        ("invoice", "billing"),
        ("The ticket is about billing.", "billing"),
        ("这是关于发票的问题", "billing"),
        ('{"label": "billing"}', "billing"),
        ("It is not a bug, it is a feature.", "feature"),
        ("billing, clearly billing", "billing"),
        ("an invoice, so billing", "billing"),
    ],
)
def test_one_label_is_read(text: str, read: str) -> None:
    score = judge(TICKETS, text, read)
    assert (score.value, score.answer, score.measures) == (1, read, {"invalid": 0.0})


def test_longest_label_wins() -> None:
    assert judge(TICKETS, "I think: bug report", "bug report").value == 1
    assert judge(TICKETS, "I think: bug report", "bug").value == 0


@pytest.mark.parametrize(
    "text", ["", "debugging", "bug-free", "bugs", "refund", "not a bug", "我不知道", "billing_2"]
)
def test_answer_without_a_label_is_invalid(text: str) -> None:
    score = judge(TICKETS, text, "bug")
    assert (score.value, score.answer, score.measures) == (0, None, {"invalid": 1.0})


def test_two_labels_are_invalid_even_when_one_is_right() -> None:
    score = judge(TICKETS, "billing or feature", "billing")
    assert (score.value, score.answer, score.measures) == (0, None, {"invalid": 1.0})
    assert score.reason == "expected 'billing', but the answer names 'billing' and 'feature'"


def test_exact_wants_nothing_but_the_label() -> None:
    scorer = Label(labels=("billing", "bug"), exact=True)
    assert judge(scorer, "Billing.", "billing").value == 1
    assert judge(scorer, "Label: billing", "billing").value == 1
    assert judge(scorer, "It is billing", "billing").measures == {"invalid": 1.0}


def test_grades_keep_their_signs() -> None:
    grades = Label(labels=("A", "A+", "C", "C++"))
    assert judge(grades, "Grade A+", "A+").value == 1
    assert judge(grades, "in C++", "C++").value == 1
    assert judge(grades, "in C#", "C").value == 0


def test_wrong_label_is_named() -> None:
    assert judge(TICKETS, "bug", "billing").reason == "expected 'billing', read 'bug'"


@pytest.mark.parametrize(
    ("expected", "sentence"),
    [(None, "needs `expected`"), ("biling", "did you mean 'billing'?"), ({"a": 1}, "no label")],
)
def test_unknown_expected_label_is_the_suites_mistake(expected: Json, sentence: str) -> None:
    assert sentence in (TICKETS.check_case(case(expected)) or "")
    assert judge(TICKETS, "bug", expected).value is None


@pytest.mark.parametrize(
    ("labels", "aliases", "sentence"),
    [
        (("a",), {}, "at least two labels"),
        (("a", "A."), {}, "could mean 'a' or 'A.'"),
        (("a", "a"), {}, "differ only in"),
        (("bug", "billing"), {"x": "bugs"}, "did you mean 'bug'?"),
        (("a", "b"), {"A": "b"}, "could mean 'a' or 'b'"),
        (("a", "b"), {" ": "b"}, "could mean"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(
    labels: tuple[str, ...], aliases: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
        Label(labels=labels, aliases=aliases)
