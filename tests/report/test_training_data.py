"""A training file's report in a terminal."""

from dataclasses import replace
from pathlib import Path

import pytest
from training_samples import HOSTILE, chat, hostile_rows, labelled, write

from harness.dataset import DatasetReport, check_file
from harness.dataset.histograms import histogram
from harness.report.lines import Line
from harness.report.training_data import WIDTH, _spark, dataset_text
from harness.report.wrapping import cells

MODEL = "gpt-4o-mini-2024-07-18"


def text_of(report: DatasetReport, *, plain: bool = False) -> str:
    return "\n".join(line.text for line in dataset_text(report, plain=plain))


def test_mistakes_come_first_figures_after_and_the_answer_last(tmp_path: Path) -> None:
    rows = [*labelled(30, "billing", "bug"), {"messages": []}, chat("x", "y", id=1)]
    lines = list(dataset_text(check_file(write(tmp_path / "train.jsonl", rows), model=MODEL)))
    text = "\n".join(line.text for line in lines)
    places = [
        text.index(part) for part in ("ERROR", "warning base_retires", "a row has", "an epoch", "next:")
    ]
    assert places == sorted(places)
    assert f"{tmp_path}/train.jsonl:31: messages is []" in text
    answer = Line(text="2 mistakes, 1 warning: not fit for a job", colour="red", bold=True)
    assert lines[1] == lines[-1] == answer
    assert lines[-2].text == "next: mend train.jsonl from line 31 on, and check it again"


def test_frequent_mistakes_come_first_and_only_some_are_shown(tmp_path: Path) -> None:
    rows = [chat("x", "y", id=1), *([{"messages": []}] * 5)]
    text = text_of(check_file(write(tmp_path / "train.jsonl", rows), model=MODEL))
    assert text.index("missing_messages_list: 5") < text.index("extra_key: 1")
    assert text.count("messages is []") == 3
    assert "  ... and 2 more" in text


def test_columns_stand_under_each_other(tmp_path: Path) -> None:
    text = text_of(
        check_file(write(tmp_path / "train.jsonl", labelled(40, "a", "b")), model=MODEL), plain=True
    )
    head, *table = text[text.index("a row has") :].splitlines()[:4]
    assert {len(line) for line in table} == {len(head)}
    assert [line.split()[-1] for line in table] == ["2", head and table[1].split()[-1], "1"]
    facts = ("an epoch", "if left open", "training ", "asking", "served until", "labels")
    starts = [line for line in text.splitlines() if line.startswith(facts)]
    assert len(starts) == len(facts)
    assert all(line[14] == " " and line[15] != " " for line in starts)


def test_lines_of_sentences_are_no_wider_than_the_page(tmp_path: Path) -> None:
    report = check_file(write(tmp_path / "train.jsonl", labelled(40, "a", "b")), model=MODEL)
    wide = replace(report.warnings[0], why="because " * 60, lines=tuple(range(1, 41, 2)), count=90)
    text = text_of(replace(report, warnings=(wide,)))
    assert max(len(line) for line in text.splitlines() if str(tmp_path) not in line) <= WIDTH
    assert "23 ... of 90" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_sentences_fit_the_terminal_in_any_writing(tmp_path: Path, width: int) -> None:
    rows = [chat(f"{'很长的问题' * 9}{number}", "答" * 300) for number in range(12)]
    rows += [chat("مرحبا " * 20 + str(number), "שלום " * 20) for number in range(12)]
    report = check_file(write(tmp_path / "train.jsonl", rows), model=MODEL)
    told = replace(report.warnings[0], what=f"{'你好，世界' * 40} and words {'x' * 200}", remedy="做 " * 90)
    lines = [line.text for line in dataset_text(replace(report, warnings=(told,)), width=width)]
    sentences = [line for line in lines if line.startswith(("warning", "note", "  "))]
    assert len(sentences) > 12
    assert width - 4 <= max(map(cells, sentences)) <= width


def test_findings_that_concern_most_rows_come_first_and_those_that_concern_none_last(tmp_path: Path) -> None:
    rows = [*labelled(20, "Certainly, here it is."), *[chat("Why?", "Because.")] * 3, chat("Why?", "No.")]
    text = text_of(check_file(write(tmp_path / "train.jsonl", rows), model=MODEL))
    places = [
        text.index(f"warning {name}") for name in ("conflicting_answers", "exact_duplicates", "base_retires")
    ]
    assert places == sorted(places)
    assert "next: settle what costs quality, conflicting_answers first (from line 21 on)" in text


def test_a_file_without_examples_costs_nothing_to_tell(tmp_path: Path) -> None:
    text = text_of(check_file(write(tmp_path / "train.jsonl", [{"messages": []}] * 3), model=MODEL))
    assert "USD" not in text
    assert "epochs" not in text


def test_graded_prompts_have_no_answers_to_measure(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": f"q{n}"}], "reference": str(n)} for n in range(12)]
    text = text_of(check_file(write(tmp_path / "train.jsonl", rows), model=MODEL))
    assert "tokens" in text
    assert "answer tokens" not in text


def test_refusals_are_told_against_what_is_expected(tmp_path: Path) -> None:
    rows = [
        *labelled(18, "Certainly, here it is."),
        *[chat(f"q{n}", "I can't help with that.") for n in range(2)],
    ]
    file = write(tmp_path / "train.jsonl", rows)
    assert "10.0% of 20 answers, 5.0% expected" in text_of(
        check_file(file, model=MODEL, expected_refusals=0.05)
    )
    assert "10.0% of 20 answers\n" in text_of(check_file(file, model=MODEL))
    assert "\nrefusals" not in text_of(check_file(write(file, labelled(20, "Here it is.")), model=MODEL))


def test_validation_file_is_told_after_and_counts_in_the_answer(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", labelled(30, "a", "b"))
    valid = write(tmp_path / "valid.jsonl", [{"messages": []}])
    text = text_of(check_file(train, model=MODEL, valid=valid))
    assert text.index("train.jsonl") < text.index("an epoch") < text.index("valid.jsonl")
    assert "1 mistake," in text.splitlines()[-1]


def test_unknown_price_is_told_and_is_no_zero(tmp_path: Path) -> None:
    text = text_of(check_file(write(tmp_path / "train.jsonl", labelled(30, "a", "b")), model="own-model"))
    assert "no price of own-model is known" in text
    assert "USD" not in text


def test_small_amounts_keep_digits_that_tell_them_apart(tmp_path: Path) -> None:
    report = check_file(write(tmp_path / "train.jsonl", labelled(30, "a", "b")), model=MODEL)
    dear = replace(report, cost=replace(report.cost, training_usd=1234.5678))
    cheap = replace(report, cost=replace(report.cost, training_usd=0.01234))
    assert "1,234.57 USD for" in text_of(dear)
    assert "0.0123 USD for" in text_of(cheap)


def test_what_a_file_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    text = text_of(check_file(write(tmp_path / "train.jsonl", hostile_rows()), model=MODEL))
    assert "alert(1)" in text
    assert HOSTILE not in text
    assert all(line.isprintable() for line in text.splitlines())


def test_plain_text_is_ascii(tmp_path: Path) -> None:
    report = check_file(write(tmp_path / "train.jsonl", labelled(40, "a", "b")), model=MODEL)
    assert text_of(report, plain=True).isascii()
    assert not text_of(report).isascii()


def test_bars_of_a_line_show_every_row_and_a_gap_before_those_far_beyond() -> None:
    assert _spark(histogram([5, 5])) == ""
    assert _spark(histogram([1, 1, 1, 3])) == "█ ▄"
    assert _spark(histogram([*range(100, 200), *range(100, 200), 8000])).endswith(" ▂")
    assert len(_spark(histogram(list(range(30))))) == 15
