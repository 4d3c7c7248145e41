import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import FileError, UsageError
from harness.evals import open_run
from harness.labelling import Item, csv_text, read_sheets, sheet_of
from harness.labelling.sheets import read_label, read_rows, safe_cell
from tests.judged_runs import judged_suite, store_judged, text_of, truth_of

HOSTILE = '=HYPERLINK("http://x";"click")'
RUN = "run-1"


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Item]:
    truth = truth_of(12, candidate=0.5, base=0.5)
    run = open_run(store_judged(tmp_path_factory.mktemp("reports"), truth, suite=judged_suite(12)))
    return {item.id: item for item in sheet_of(run, suite=None, cases=12, seed=0)}


def table(text: str) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    return rows[next(number for number, row in enumerate(rows) if "id" in row) :]


def saved(
    path: Path,
    items: Mapping[str, Item],
    label: Callable[[int, Item], str] = lambda number, _: str(number % 2),
    *,
    separator: str = ",",
    encoding: str = "utf-8-sig",
    columns: Sequence[str] = ("id", "label"),
    ends: str = "\r\n",
) -> Path:
    """A sheet as a program saved it, with these columns in this order."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=ends)
    writer.writerow(columns)
    for number, item in enumerate(items.values()):
        cells = {"id": item.id, "answer": item.answers[0]}
        writer.writerow([cells.get(column, label(number, item)) for column in columns])
    path.write_bytes(out.getvalue().encode(encoding))
    return path


# --- writing ---------------------------------------------------------------------------------------


def test_a_spreadsheet_knows_the_encoding_and_finds_instructions_first(items: dict[str, Item]) -> None:
    text = csv_text(list(items.values()))
    assert text.startswith("\ufeff# Read each answer")
    assert "# manners, kindness: Would you like to be spoken to so?" in text
    assert "#     1 = kind" in text
    head, *rows = table(text)
    assert head[0] == "id"
    assert head[-1] == "label"
    assert len(rows) == 24
    assert all(row[-1] == "" for row in rows)


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_nothing_is_a_formula(start: str) -> None:
    assert safe_cell(start).startswith("'")


@pytest.mark.parametrize("text", ["a = b", "1 - 2", "", "你好", "a\nb\tc"])
def test_a_text_that_is_no_formula_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


def test_control_characters_are_left_out() -> None:
    assert safe_cell("a\0b\x1b[2Jc\x07") == "ab[2Jc"


def test_hostile_and_long_answers_are_kept_whole(tmp_path: Path) -> None:
    long = 'x, "y"\n' * 14_000
    texts = {"candidate": HOSTILE, "base": long}
    truth = truth_of(3, candidate=0.5, base=0.5)
    run = open_run(store_judged(tmp_path, truth, suite=judged_suite(3), say=lambda _, role: texts[role]))
    _, *rows = table(csv_text(sheet_of(run, suite=None, cases=3, seed=0)))
    assert {row[4] for row in rows} == {"'" + HOSTILE, long.strip()}


# --- reading ---------------------------------------------------------------------------------------


def test_a_sheet_filled_in_is_read_back(tmp_path: Path, items: dict[str, Item]) -> None:
    path = tmp_path / "ann.csv"
    head, *rows = table(csv_text(list(items.values())))
    out = io.StringIO()
    csv.writer(out).writerows([["# instructions"], head, *([*row[:-1], "1"] for row in rows)])
    path.write_text(out.getvalue(), encoding="utf-8")
    reading = read_sheets([path], items, run=RUN)
    assert (reading.items, reading.empty, reading.annotators) == (24, 0, ("ann",))
    assert {label.value for label in reading.labels} == {1.0}
    assert {(label.case, label.role) for label in reading.labels} == {
        (item.case, role) for item in items.values() for role, _ in item.cells
    }


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "utf-16", "cp1252"])
def test_whatever_a_spreadsheet_saves_is_read(
    tmp_path: Path, items: dict[str, Item], separator: str, encoding: str
) -> None:
    path = saved(
        tmp_path / "a.csv", items, separator=separator, encoding=encoding, columns=("answer", "Label", "ID")
    )
    text = path.read_bytes().decode(encoding).replace("Label", "LABEL").replace("ID", "Id", 1)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    out = io.StringIO()
    # Columns were moved: the ids stand last.
    fixed = [[row[0], row[1], identity] for row, identity in zip(rows[1:], items, strict=True)]
    csv.writer(out, delimiter=separator).writerows([["answer", "LABEL", "Id"], *reversed(fixed)])
    path.write_bytes(out.getvalue().encode(encoding))
    reading = read_sheets([path], items, run=RUN)
    assert reading.items == 24


def test_missing_rows_and_empty_labels_are_no_mistake(tmp_path: Path, items: dict[str, Item]) -> None:
    some = dict(list(items.items())[:10])
    path = saved(tmp_path / "a.csv", some, lambda number, _: "1" if number < 4 else "")
    reading = read_sheets([path], items, run=RUN)
    assert (reading.items, reading.empty) == (4, 6)


@pytest.mark.parametrize("text", ["1", " 1 ", "1.0", "1,0", "'1", "1 = kind"])
def test_a_level_is_read_however_a_spreadsheet_writes_it(items: dict[str, Item], text: str) -> None:
    assert read_label(text, next(iter(items.values())).form) == "1"


@pytest.mark.parametrize("text", ["2", "1.5", "11", "kind", "-1", "1;0"])
def test_what_is_no_level_is_none(items: dict[str, Item], text: str) -> None:
    assert read_label(text, next(iter(items.values())).form) is None


@pytest.mark.parametrize("text", ["cannot say", "Cannot Say", "?", "can't say", "n/a"])
def test_who_cannot_say_says_so(items: dict[str, Item], text: str) -> None:
    assert read_label(text, next(iter(items.values())).form) == "cannot say"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80), st.text(max_size=80))
def test_no_prompt_and_no_answer_breaks_the_sheet(
    tmp_path: Path, items: dict[str, Item], prompt: str, answer: str
) -> None:
    some = [replace(item, prompt=prompt, answers=(answer,)) for item in list(items.values())[:3]]
    path = tmp_path / "a.csv"
    path.write_text(csv_text(some), encoding="utf-8", errors="replace", newline="")
    assert [row.id for row in read_rows(path)] == [item.id for item in some]
    assert [row.labels for row in read_rows(path)] == [{"": ""}] * 3


def test_cannot_say_is_a_label_without_a_value(tmp_path: Path, items: dict[str, Item]) -> None:
    path = saved(tmp_path / "a.csv", items, lambda number, _: "cannot say")
    reading = read_sheets([path], items, run=RUN)
    assert {(label.label, label.value) for label in reading.labels} == {("cannot say", None)}


def test_all_typos_are_told_with_line_and_nearest_label(tmp_path: Path, items: dict[str, Item]) -> None:
    words = {1: "canot say", 3: "7"}
    path = saved(tmp_path / "a.csv", items, lambda number, _: words.get(number, "1"))
    with pytest.raises(FileError) as caught:
        read_sheets([path], items, run=RUN)
    first, second = caught.value.mistakes
    assert (first.line, first.what) == (3, "row 3: 'canot say' is no label")
    assert "did you mean 'cannot say'?" in first.remedy
    assert (second.line, second.what) == (5, "row 5: '7' is no label")


def test_a_line_is_the_files_and_a_row_the_spreadsheets(tmp_path: Path, items: dict[str, Item]) -> None:
    first, second = list(items)[:2]
    path = tmp_path / "a.csv"
    path.write_text(f'id,answer,label\n{first},"two\nlines",1\n{second},x,oops\n', encoding="utf-8")
    with pytest.raises(FileError, match=r"a\.csv:4: row 3: 'oops'"):
        read_sheets([path], items, run=RUN)


def test_a_cell_of_any_length_is_read(tmp_path: Path, items: dict[str, Item]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'id,answer,label\n{next(iter(items))},"{"long " * 100_000}",1\n', encoding="utf-8")
    assert read_sheets([path], items, run=RUN).items == 1


def test_columns_of_several_people_are_told_apart(tmp_path: Path, items: dict[str, Item]) -> None:
    path = saved(
        tmp_path / "both.csv", items, lambda number, _: "1", columns=("id", "label Ann", "label: Bo")
    )
    assert read_sheets([path], items, run=RUN).annotators == ("Ann", "Bo")


def test_files_of_several_people_go_by_their_names(tmp_path: Path, items: dict[str, Item]) -> None:
    paths = [saved(tmp_path / name, items) for name in ("ann.csv", "bo.csv")]
    assert read_sheets(paths, items, run=RUN).annotators == ("ann", "bo")


def test_the_same_person_in_two_files_is_refused(tmp_path: Path, items: dict[str, Item]) -> None:
    first = saved(tmp_path / "a.csv", items, columns=("id", "label Ann"))
    second = saved(tmp_path / "b.csv", items, columns=("id", "label Ann"))
    with pytest.raises(UsageError, match="'Ann' has labelled in an earlier file"):
        read_sheets([first, second], items, run=RUN)


def test_two_labels_of_one_person_for_one_answer_are_a_mistake(
    tmp_path: Path, items: dict[str, Item]
) -> None:
    first = next(iter(items))
    path = tmp_path / "a.csv"
    path.write_text(f"id,label\n{first},1\n{first},0\n", encoding="utf-8")
    with pytest.raises(FileError, match=r"a\.csv:3: row 3: .* is labelled '0' here and '1' above"):
        read_sheets([path], items, run=RUN)


def test_a_sheet_of_another_run_is_refused(tmp_path: Path, items: dict[str, Item]) -> None:
    truth = truth_of(12, candidate=0.5, base=0.5)
    other = open_run(
        store_judged(
            tmp_path / "other",
            truth,
            suite=judged_suite(12),
            say=lambda case, role: "New: " + text_of(case, role),
        )
    )
    others = {item.id: item for item in sheet_of(other, suite=None, cases=12, seed=0)}
    with pytest.raises(UsageError, match="was written for another run"):
        read_sheets([saved(tmp_path / "a.csv", others)], items, run=RUN)
    mixed = {**items, **dict(list(others.items())[:2])}
    with pytest.raises(FileError) as caught:
        read_sheets([saved(tmp_path / "b.csv", mixed)], items, run=RUN)
    assert len(caught.value.mistakes) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no row names the columns"),
        (b"a,b\n1,2\n", "no row names the columns"),
        (b"id,label\n", "no row with an id"),
        (b"PK\x03\x04rest", "is a workbook"),
        (b"\x00\xff\xfe", "no row names the columns"),
    ],
)
def test_what_is_no_sheet_is_refused_with_a_remedy(
    tmp_path: Path, items: dict[str, Item], content: bytes, words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        read_sheets([path], items, run=RUN)
    assert caught.value.remedy


def test_a_file_that_is_not_there_is_told(tmp_path: Path, items: dict[str, Item]) -> None:
    with pytest.raises(UsageError, match=r"gone\.csv: No such file"):
        read_sheets([tmp_path / "gone.csv"], items, run=RUN)


def test_values_of_a_label_are_those_of_the_question(tmp_path: Path, items: dict[str, Item]) -> None:
    reading = read_sheets([saved(tmp_path / "a.csv", items)], items, run=RUN)
    assert {(label.label, label.value, label.question) for label in reading.labels} == {
        ("0", 0.0, "kindness"),
        ("1", 1.0, "kindness"),
    }
