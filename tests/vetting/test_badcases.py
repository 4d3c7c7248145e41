import sys
from pathlib import Path

import pytest
from bad_runs import CONTAINS, case, run_of, suite_of, train_file

from harness.errors import UsageError
from harness.records import Gate, ScorerSpec
from harness.serial import file_digest
from harness.vetting.badcases import find_bad_cases, training_file

OTHERS = [
    ("Where is the parcel I ordered on Monday?", "delivery"),
    ("The courier left my package in the rain.", "delivery"),
    ("The app closes when I rotate the phone.", "bug"),
    ("Saving a photo shows an error code.", "bug"),
]


def test_required_cases_come_first_then_failing_gates_then_regressed_then_missed() -> None:
    names = {"missed": 0.0, "regressed": 0.0, "required": 0.0, "good": 1.0}
    suite = suite_of(*(case(name, name, required=name == "required") for name in names))
    found = find_bad_cases(run_of(suite, candidate=names, base={"regressed": 1.0}), train=None)
    assert [(bad.case, bad.change) for bad in found.cases] == [
        ("required", "missed"),
        ("regressed", "regressed"),
        ("missed", "missed"),
    ]
    assert (found.compared, found.unanswered) == (4, 0)
    assert {bad.reading for bad in found.cases} == {"unknown"}


def test_a_case_on_the_wrong_side_of_a_failing_gate_names_it() -> None:
    suite = suite_of(case("a", "a"), gates=(Gate(metric="label", at_least=0.9),))
    (bad,) = find_bad_cases(run_of(suite), train=None).cases
    assert bad.gates == ("label",)
    assert bad.reasons == {"label": "compared"}


def test_an_answer_that_never_came_is_no_failing_case() -> None:
    suite = suite_of(case("a", "a"), case("b", "b"))
    found = find_bad_cases(run_of(suite, candidate={"a": None}), train=None)
    assert [bad.case for bad in found.cases] == ["b"]
    assert (found.compared, found.unanswered) == (1, 1)


def test_near_rows_with_another_label_are_a_conflict_and_far_ones_a_gap(tmp_path: Path) -> None:
    suite = suite_of(
        case("charged", "I was charged twice for my plan in May"),
        case("invoice", "The invoice of April names the wrong company"),
        case("pets", "Which hamster sleeps least?"),
    )
    rows = [
        *OTHERS,
        ("I was charged twice for my plan in June", "bug"),
        ("Why was I charged twice for my plan?", "bug"),
        ("The invoice of March names the wrong company", "billing"),
    ]
    train = train_file(tmp_path / "train.jsonl", rows)
    found = {bad.case: bad for bad in find_bad_cases(run_of(suite), train=train).cases}
    assert {name: bad.reading for name, bad in found.items()} == {
        "charged": "conflict",
        "invoice": "taught",
        "pets": "gap",
    }
    assert {row.line for row in found["charged"].rows if row.lesson == "else"} >= {5, 6}
    assert "correct lines" in found["charged"].why
    assert "line 7" in found["invoice"].why
    assert found["invoice"].rows[0].answer == "billing"


def test_rows_that_contradict_each_other_are_a_conflict(tmp_path: Path) -> None:
    suite = suite_of(case("charged", "I was charged twice for my plan in May"))
    rows = [
        *OTHERS,
        ("I was charged twice for my plan in June", "bug"),
        ("I was charged twice for the plan", "billing"),
    ]
    (bad,) = find_bad_cases(run_of(suite), train=train_file(tmp_path / "train.jsonl", rows)).cases
    assert bad.reading == "conflict"
    assert "contradict each other" in bad.why


def test_chinese_rows_are_near_by_their_words(tmp_path: Path) -> None:
    suite = suite_of(case("invoice", "发票抬头写错了，能改吗？"), case("pets", "哪种仓鼠睡得最少？"))
    rows = [
        ("你好，发票抬头写错了怎么改？", "billing"),
        ("快递什么时候到？", "delivery"),
        ("软件一打开就闪退", "bug"),
    ]
    found = find_bad_cases(run_of(suite), train=train_file(tmp_path / "train.jsonl", rows)).cases
    assert {bad.case: bad.reading for bad in found} == {"invoice": "taught", "pets": "gap"}


def test_a_fact_about_something_else_is_no_conflict_and_the_same_question_with_another_answer_is(
    tmp_path: Path,
) -> None:
    suite = suite_of(
        case("germany", "What is the capital of Germany?", "Berlin"),
        case("warranty", "How long is the warranty of the kettle?", "two years"),
        scorer=CONTAINS,
    )
    rows = [
        ("What is the capital of Norway?", "Oslo."),
        ("Hi! How long is the warranty of the kettle? Thanks", "Six months."),
    ]
    found = find_bad_cases(run_of(suite), train=train_file(tmp_path / "train.jsonl", rows)).cases
    assert {bad.case: bad.reading for bad in found} == {"germany": "gap", "warranty": "conflict"}
    assert "none teaches this" in next(bad.why for bad in found if bad.case == "germany")


def test_rows_of_another_system_prompt_are_another_task(tmp_path: Path) -> None:
    suite = suite_of(case("charged", "I was charged twice for my plan"), system="Route the ticket.")
    train = train_file(
        tmp_path / "a.jsonl", [("Route: I was charged twice for my plan", "bug")], system="Translate."
    )
    own = train_file(tmp_path / "b.jsonl", OTHERS, system="Route the ticket.")
    both = tmp_path / "train.jsonl"
    both.write_text(train.read_text() + own.read_text())
    (bad,) = find_bad_cases(run_of(suite), train=both).cases
    assert 1 not in {row.line for row in bad.rows}
    (alone,) = find_bad_cases(run_of(suite), train=train).cases
    assert [row.line for row in alone.rows] == [1], "without rows of its own prompt all are compared"


def test_lines_that_are_no_rows_are_left_out(tmp_path: Path) -> None:
    train = train_file(tmp_path / "train.jsonl", OTHERS)
    train.write_text("not json\n" + train.read_text() + '{"messages": []}\n')
    (bad,) = find_bad_cases(run_of(suite_of(case("a", "Where is my parcel?"))), train=train).cases
    assert {row.line for row in bad.rows} <= {2, 3, 4, 5}


def test_prompts_to_be_graded_teach_no_answer(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text(
        '{"messages": [{"role": "user", "content": "Where is my parcel?"}], "answer": "delivery"}\n'
    )
    (bad,) = find_bad_cases(run_of(suite_of(case("a", "Where is my parcel?"))), train=train).cases
    assert (bad.rows, bad.reading) == ((), "gap")


def test_the_fields_of_another_object_are_taught_all_the_same(tmp_path: Path) -> None:
    fields = ScorerSpec(type="json_fields", name="json_fields")
    suite = suite_of(
        case("trip", "Paris to Rome by train, please", {"from": "Paris", "to": "Rome"}), scorer=fields
    )
    rows = [("Paris to Nice by train, please", '{"from": "Paris", "to": "Nice"}'), ("Where is it?", "x")]
    (bad,) = find_bad_cases(run_of(suite), train=train_file(tmp_path / "a.jsonl", rows)).cases
    assert bad.reading == "taught"
    rows[0] = (rows[0][0], "Paris, Nice")
    (bad,) = find_bad_cases(run_of(suite), train=train_file(tmp_path / "b.jsonl", rows)).cases
    assert bad.reading == "conflict"


def test_a_form_that_near_rows_do_not_keep_is_a_conflict(tmp_path: Path) -> None:
    short = ScorerSpec(type="length", name="length", settings={"unit": "words", "at_most": 3})
    suite = suite_of(case("kettle", "Describe the red kettle", None), scorer=short)
    rows = [
        ("Describe the blue kettle", "It is a very fine kettle for tea and more"),
        ("Who are you?", "A shop."),
    ]
    (bad,) = find_bad_cases(run_of(suite), train=train_file(tmp_path / "a.jsonl", rows)).cases
    assert bad.reading == "conflict"


def test_scorers_of_a_run_that_name_code_are_not_run(tmp_path: Path) -> None:
    spec = ScorerSpec(type="antigravity:open", name="own")
    suite = suite_of(case("a", "Where is my parcel?", "delivery"), scorer=spec)
    (bad,) = find_bad_cases(
        run_of(suite), train=train_file(tmp_path / "t.jsonl", [("Where is my parcel now?", "delivery")])
    ).cases
    assert bad.reading == "unclear"
    assert "only a judge" in bad.why
    assert "antigravity" not in sys.modules


def test_the_training_file_is_known_by_its_digest(tmp_path: Path) -> None:
    train = train_file(tmp_path / "train.jsonl", OTHERS)
    suite = suite_of(case("a", "a"))
    own = run_of(suite, data={"train": file_digest(train)})
    assert training_file(own, given=None, configured=train) == (train, ())
    _, (note,) = training_file(run_of(suite), given=None, configured=train)
    assert "does not say" in note
    train.write_text(train.read_text() + "\n")
    _, (note,) = training_file(own, given=None, configured=train)
    assert "has changed since" in note
    path, (note,) = training_file(own, given=None, configured=tmp_path / "gone.jsonl")
    assert path is None
    assert "is not there" in note
    path, (note,) = training_file(own, given=None, configured=None)
    assert path is None
    assert "--train" in note
    with pytest.raises(UsageError, match="no such file"):
        training_file(own, given=tmp_path / "gone.jsonl", configured=train)
