"""The rows behind a finding's sentence."""

from dataclasses import replace

import pytest

from harness.dataset import Finding
from harness.records import Json
from harness.report.finding_lists import MOST_ROWS, FindingList, list_of

PLAIN = Finding(name="x", level="note", what="w", count=1, lines=(), why="y", remedy="r")


def listed(name: str, value: Json) -> FindingList | None:
    return list_of(replace(PLAIN, figures={"share": 0.5, name: value}))


@pytest.mark.parametrize(
    ("name", "value", "row"),
    [
        ("suspects", [[7, "bug", "billing", 0.9312]], ("7", "bug", "billing", "0.93")),
        ("copies", [[12, 3]], ("12", "3")),
        ("facts", {"11": ["1994", "Ulm"]}, ("11", "1994, Ulm")),
        ("cases", [["routing", "r-1"]], ("routing", "r-1")),
        ("cases", [["routing", "r-1", [[4, 0.5], [9, 0.25]]]], ("routing", "r-1", "4 (0.50), 9 (0.25)")),
        ("cases", [["routing", "r-1", []]], ("routing", "r-1", "none")),
        (
            "conflicts",
            [{"question": "Why?", "lines": [1, 2, 3], "answers": [["a", 2], ["b", 1]]}],
            ("1, 2, 3", "Why?", "a (2) · b (1)"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_list_is_a_table_with_a_head_for_each_column(
    name: str, value: Json, row: tuple[str, ...]
) -> None:
    found = listed(name, value)
    assert found is not None
    assert found.rows == (row,)
    assert len(found.heads) == len(row)


def test_long_lists_say_how_much_is_left_out() -> None:
    found = listed("copies", [[number, 1] for number in range(2, 90)])
    assert found is not None
    assert (len(found.rows), found.more) == (MOST_ROWS, 88 - MOST_ROWS)


def test_findings_without_a_list_have_no_table() -> None:
    assert list_of(PLAIN) is None
    assert listed("copies", []) is None
    assert listed("labels", {"a": 3}) is None
