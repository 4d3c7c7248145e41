import json
from pathlib import Path

import pytest
from bad_runs import CONTAINS, case, suite_of, train_file

from harness.records import Suite
from harness.vetting import check_dataset
from harness.vetting.contamination import Likeness, check_rows

ENGLISH = "I was charged twice for my plan in May, please pay one of them back."
CHINESE = "发票抬头写错了，能改吗？"
SUITE = suite_of(
    case("twice", ENGLISH),
    case("title", CHINESE),
    case("short", "Hello"),
    case("parcel", "The courier left my package in the rain."),
)


def likenesses(path: Path, suite: Suite, *asked: tuple[str, str]) -> list[tuple[int, str, Likeness]]:
    checked = check_rows(train_file(path / "rows.jsonl", asked), [suite])
    assert checked.is_clean == (not checked.repeats)
    return [(repeat.line, repeat.case, repeat.likeness) for repeat in checked.repeats]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (ENGLISH, ("twice", "equal")),
        (ENGLISH.upper().replace(",", " -"), ("twice", "equal")),
        (
            "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in ENGLISH),
            ("twice", "equal"),
        ),
        ("发票 抬头写错了,能改吗?", ("title", "equal")),
        ("hello!", ("short", "equal")),
        (f"Good morning! {ENGLISH} Thank you and best wishes.", ("twice", "holds")),
        (f"你好，{CHINESE}谢谢", ("title", "holds")),
        ("I was charged twice for my plan in May, please pay one", ("twice", "holds")),
        (ENGLISH.replace("please", "kindly"), ("twice", "near")),
        ("发票抬头写错了，能换吗？", ("title", "near")),
    ],
)
def test_a_case_is_known_in_whatever_form_it_is_written(
    asked: str, found: tuple[str, Likeness], tmp_path: Path
) -> None:
    assert likenesses(tmp_path, SUITE, ("Where is my bike?", "delivery"), (asked, "billing")) == [(2, *found)]


def test_siblings_are_no_cases(tmp_path: Path) -> None:
    siblings = [
        ("My card shows your fee two times this month.", "billing"),
        ("Say hello to the team. My order has not come.", "delivery"),
        ("收据上的公司名称不对。", "billing"),
        ("The package was left at a neighbour's door.", "delivery"),
    ]
    assert likenesses(tmp_path, SUITE, *siblings) == []


def test_a_template_that_all_cases_share_makes_no_row_a_case(tmp_path: Path) -> None:
    template = "Read the ticket below with care, and answer as the support team of the shop would do it: "
    own = ["my lamp is broken", "when do you open", "the coat is too small"]
    suite = suite_of(*(case(text[:4], template + text) for text in own))
    assert likenesses(tmp_path, suite, (template + "do you sell umbrellas", "billing")) == []
    assert likenesses(tmp_path, suite, (template + "My lamp is broken!", "billing")) == [(1, "my l", "equal")]


def test_a_case_in_other_words_with_its_own_answer_is_told(tmp_path: Path) -> None:
    suite = suite_of(
        case("kettle", "How long is the warranty of the kettle?", ["two years", "24 months"]),
        case("toaster", "How long is the warranty of the toaster?", "one year"),
        scorer=CONTAINS,
    )
    given_away = ("The kettle: its warranty is how long?", "It has a warranty of two years.")
    other = ("The kettle: its colour is what?", "It comes in red.")
    assert likenesses(tmp_path, suite, other, given_away) == [(2, "kettle", "reworded")]


def test_labels_give_no_case_away(tmp_path: Path) -> None:
    suite = suite_of(
        case("a", "The app closes when I rotate it", "bug"), case("b", "Saving shows an error", "bug")
    )
    assert likenesses(tmp_path, suite, ("When I rotate my tablet the picture stays", "bug")) == []


def test_rows_still_to_be_written_are_unfit(tmp_path: Path) -> None:
    path = train_file(tmp_path / "rows.jsonl", [("<<to be written: what>>", "billing"), ("Where is it?", "")])
    with path.open("a") as file:
        file.write("{\n")
    checked = check_rows(path, [SUITE])
    assert [unfit.line for unfit in checked.unfit] == [1, 2, 3]
    assert "still to be written" in checked.unfit[0].what
    assert not checked.is_clean


def test_an_empty_file_is_not_clean(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    assert not check_rows(path, [SUITE]).is_clean


def test_the_check_of_training_data_finds_filled_rows_that_are_cases(tmp_path: Path) -> None:
    entries = [
        {"id": "twice", "prompt": ENGLISH, "expected": "billing"},
        {"id": "title", "prompt": "发票怎么改？", "expected": "billing"},
    ]
    suite = {"name": "desk", "scorers": [{"type": "label", "labels": ["billing", "bug"]}], "cases": entries}
    (tmp_path / "desk.suite.yaml").write_text(json.dumps(suite, ensure_ascii=False), encoding="utf-8")
    rows = [("I lost my way", "bug"), (ENGLISH.upper(), "billing"), ("发票怎么改?", "billing")]
    report = check_dataset(train_file(tmp_path / "rows.jsonl", rows), model="gpt-4o-mini", suites=tmp_path)
    (leak,) = [finding for finding in report.warnings if finding.name == "suite_leak"]
    assert (leak.level, leak.lines) == ("error", (2, 3))
    assert leak.figures == {"cases": [["desk", "title"], ["desk", "twice"]]}
