import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from harness.dataset import count_tokens
from harness.dataset.lines import raw_lines, read_lines
from harness.dataset.official import (
    MAX_TOKENS,
    blank_line,
    count_row,
    distribution,
    estimate,
    format_errors,
    official_report,
)
from harness.dataset.tokens import count_many

TRAINING = Path(__file__).parents[3] / "shared" / "data" / "training"


def reference() -> list[dict[str, object]]:
    path = TRAINING / "reference_figures.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize(
    "figures", reference(), ids=lambda figures: f"{figures['file']}-{figures['encoding']}"
)
def test_every_published_figure_of_the_script_is_met(figures: dict[str, object]) -> None:
    rows = [line.row for line in read_lines(TRAINING / str(figures["file"]))]
    if "load" in figures:  # the script cannot read the file; its lines are examples all the same
        assert rows
        assert not any(format_errors(row, edition="2024") for row in rows)
        stop = blank_line(raw_lines(TRAINING / str(figures["file"])))
        assert stop is not None
        assert stop.error == figures["load"]
        return
    assert len(rows) == figures["n"]
    for edition in ("2023", "2024"):
        errors = sum((format_errors(row, edition=edition) for row in rows), Counter[str]())
        assert dict(errors) == figures[f"err{edition}"]

    def count(text: str) -> int:
        return count_tokens(text, encoding=str(figures["encoding"]))

    if "count" in figures:
        with pytest.raises((KeyError, TypeError)) as caught:
            [count_row(row, count) for row in rows]
        assert f"{type(caught.value).__name__}: {caught.value}" == figures["count"]
        return
    counted = [count_row(row, count) for row in rows]
    assert sum(row.no_system for row in counted) == figures["no_system"]
    assert sum(row.no_user for row in counted) == figures["no_user"]
    totals = [row.total for row in counted]
    columns = {"nmsg": [row.messages for row in counted], "total": totals}
    columns["assistant"] = [row.assistant for row in counted]
    for name, values in columns.items():
        found = distribution(values)
        expected = figures[name]
        assert [found.min, found.max, found.mean, found.median, found.p5, found.p95] == pytest.approx(
            expected, abs=1e-4
        )
    money = estimate(totals, rows=len(rows), limit=int(str(figures["limit"])))
    assert (money.too_long, money.epochs, money.tokens, money.charged) == (
        figures["too_long"],
        figures["epochs"],
        figures["billing"],
        figures["charged"],
    )


@pytest.mark.parametrize(
    "figures",
    [figures for figures in reference() if figures["limit"] == MAX_TOKENS and "load" not in figures],
    ids=lambda figures: figures["file"],
)
def test_the_report_of_a_real_file_has_the_published_figures_and_says_where_the_script_ends(
    figures: dict[str, object],
) -> None:
    report = official_report(
        read_lines(TRAINING / str(figures["file"])),
        partial(count_many, encoding="cl100k_base"),
        edition="2024",
    )
    assert (report.rows, report.errors) == (figures["n"], figures["err2024"])
    if "count" in figures:
        assert report.stops[0].error == figures["count"]
        return
    assert report.stopped == 0
    assert (report.estimate.tokens, report.estimate.charged) == (figures["billing"], figures["charged"])


def test_each_category_of_a_row_is_counted_once_for_each_message() -> None:
    row = {
        "messages": [
            {"content": "no role"},
            {"role": "bot", "content": "x"},
            {"role": "user", "content": ""},
            {"role": "user", "content": "x", "tag": 1},
        ]
    }
    assert format_errors(row, edition="2024") == {
        "message_missing_key": 1,
        "unrecognized_role": 2,
        "missing_content": 1,
        "message_unrecognized_key": 1,
        "example_missing_assistant_message": 1,
    }
    assert format_errors([1], edition="2024") == {"data_type": 1}
    assert format_errors({"messages": []}, edition="2024") == {"missing_messages_list": 1}


def test_editions_differ_in_functions_and_weights() -> None:
    calls = {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}}
    weighted = {"role": "assistant", "content": "x", "weight": 0}
    row = {"messages": [calls, weighted, {"role": "function", "name": "f", "content": "1"}]}
    assert not format_errors(row, edition="2024")
    assert format_errors(row, edition="2023") == {
        "message_unrecognized_key": 2,
        "missing_content": 1,
        "unrecognized_role": 1,
    }


def test_a_call_without_content_is_missing_content_in_the_newer_edition_too() -> None:
    row = {"messages": [{"role": "assistant", "content": None, "function_call": {"name": "f"}}]}
    assert format_errors(row, edition="2024") == {"missing_content": 1}


def test_script_counts_every_value_of_a_message_and_a_token_for_a_name() -> None:
    row = {
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "name": "Ann", "content": "one two three"},
            {"role": "assistant", "content": "four five"},
        ]
    }
    found = count_row(row, words)
    assert (found.messages, found.total, found.assistant) == (3, 3 + 3 * 3 + 3 + (2 + 3 + 2) + 1 + 1, 2)
    assert not found.no_system
    assert not found.no_user


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"messages": [{"role": "assistant", "content": "x", "weight": 1}]}, TypeError),
        ({"messages": [{"role": "assistant", "content": [{"type": "text", "text": "x"}]}]}, TypeError),
        ({"messages": [{"role": "assistant", "content": "<|endoftext|>"}]}, ValueError),
        ({"messages": [{"content": "x"}]}, KeyError),
        ({"other": 1}, KeyError),
        ([1], TypeError),
    ],
)
def test_where_the_script_raises_so_do_its_counts(row: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        count_row(row, words)


def test_p5_and_p95_are_the_quantiles_the_script_takes() -> None:
    found = distribution(range(1, 12))
    assert (found.p5, found.median, found.p95) == (2.0, 6.0, 10.0)


def test_estimate_cuts_rows_at_the_scripts_limit() -> None:
    found = estimate([5000, 100], rows=2)
    assert (found.tokens, found.too_long, found.epochs, found.charged) == (4196, 1, 25, 4196 * 25)
