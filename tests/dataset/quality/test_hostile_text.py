"""Whatever a file holds, no check of its data raises, and parts merged are the whole."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset.checking import QUALITY, seen_rows
from harness.dataset.lines import read_lines
from harness.dataset.quality.agreement import VOTE_KEYS
from harness.dataset.tallies import Setting, Tally

TEXT = st.text(max_size=30) | st.sampled_from(
    [
        "",
        "\ud800",
        "\0",
        "a\0",
        "١٢٣ ٤",
        "½ ² 10²",
        "一万千",
        "Ünder A-",
        "“”",
        "1,000.000,00",
        "İ",
        "é" * 9,
        "x" * 5000,
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CHAT = st.builds(
    lambda system, asked, answer: {
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": asked},
            {"role": "assistant", "content": answer or "x"},
        ]
    },
    TEXT,
    TEXT,
    TEXT,
)
VOTES = st.dictionaries(st.sampled_from(VOTE_KEYS), st.lists(JSON, max_size=4) | JSON, max_size=2)


def findings(make: Callable[[], Tally], path: Path, cut: int) -> list[object]:
    first, later = make(), make()
    for number, row in enumerate(seen_rows(read_lines(path), model="gpt-4o-mini")):
        (first if number < cut else later).add(row)
    first.merge(later)
    return list(first.findings(Setting(path=path, model="gpt-4o-mini")))


@pytest.mark.parametrize("name", sorted({*QUALITY} - {"labels"}))
@settings(max_examples=25, deadline=None)
@given(st.lists(CHAT | VOTES | JSON, max_size=25), st.integers(0, 25))
def test_no_row_stops_a_check(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[object], cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"hostile-{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert findings(QUALITY[name], path, cut) == findings(QUALITY[name], path, 0)


def test_labels_and_questions_of_odd_characters_are_judged_like_others(tmp_path: Path) -> None:
    path = tmp_path / "a"
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": label}]}
        for asked, label in [("\ud800 alpha", "a\0"), ("\0 beta", "\ud800"), ("", "a")] * 20
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert findings(QUALITY["labels"], path, 7) == []
