import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset.checking import seen_rows
from harness.dataset.findings import Finding
from harness.dataset.lines import read_lines
from harness.dataset.quality import labels
from harness.dataset.quality.labels import LabelsTally
from harness.dataset.tallies import Setting

WORDS = {
    "billing": ["invoice", "refund", "charged", "card", "payment"],
    "bug": ["crash", "error", "screen", "button", "freezes"],
}
FILLER = ["today", "please", "again", "since", "my", "the", "account", "week", "help", "with"]


def ticket(label: str, number: int) -> str:
    generator = random.Random(f"{label} {number}")
    return " ".join(generator.choices(WORDS[label], k=3) + generator.choices(FILLER, k=6))


def tickets(count: int) -> list[tuple[str, str]]:
    return [(ticket(label, number), label) for number in range(count) for label in WORDS]


def label_findings(path: Path, rows: list[tuple[str, str]], *cuts: int) -> list[Finding]:
    lines = (
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": label}]}
        for asked, label in rows
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, *later = [LabelsTally() for _ in range(len(cuts) + 1)]
    for number, row in enumerate(seen_rows(read_lines(path), model="gpt-4o-mini")):
        [first, *later][sum(number >= cut for cut in cuts)].add(row)
    for part in later:
        first.merge(part)
    return list(first.findings(Setting(path=path, model="gpt-4o-mini")))


def test_flipped_labels_are_listed_with_what_their_words_say(tmp_path: Path) -> None:
    rows = tickets(100)
    flipped = range(4, 200, 17)
    for index in flipped:
        rows[index] = (rows[index][0], "bug" if rows[index][1] == "billing" else "billing")
    (found,) = label_findings(tmp_path / "a", rows)
    assert (found.name, found.level, found.figures["judged"]) == ("label_errors", "warning", 200)
    assert {line - 1 for line in found.lines} <= {*flipped}, "no good label is doubted here"
    assert found.count == len(found.lines) >= 0.75 * len(flipped)
    for line, given_label, suggested, probability in found.figures["suspects"]:
        assert (given_label, suggested) == (rows[line - 1][1], "bug" if line % 2 == 0 else "billing")
        assert 0.5 < probability <= 1


def test_labels_that_fit_their_words_are_left_alone(tmp_path: Path) -> None:
    assert label_findings(tmp_path / "a", tickets(60)) == []


def test_where_words_say_nothing_about_labels_nothing_is_doubted(tmp_path: Path) -> None:
    generator = random.Random(1)
    rows = [(" ".join(generator.choices(FILLER, k=8)), generator.choice("ab")) for _ in range(120)]
    assert label_findings(tmp_path / "a", rows) == []
    assert label_findings(tmp_path / "a", [("?!", "a"), ("!?", "b")] * 40) == []


def test_free_answers_and_labels_with_few_rows_are_not_judged(tmp_path: Path) -> None:
    rows = tickets(60)
    rows[8] = (rows[8][0], "bug")
    assert (
        label_findings(tmp_path / "a", [*rows, ("Why?", "An answer that is far too long for any label " * 2)])
        == []
    )
    assert label_findings(tmp_path / "a", [(ticket("bug", n), "bug") for n in range(60)] + rows[:8:2]) == []


def test_of_many_rows_a_sample_is_judged_and_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "MOST_ROWS", 100)
    rows = [(asked, label if number % 20 else "bug") for number, (asked, label) in enumerate(tickets(80))]
    (found,) = label_findings(tmp_path / "a", rows)
    assert found.figures["judged"] == 100
    assert "of 100 that were judged" in found.what


def test_without_cleanlab_a_note_says_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "harness.dataset.quality.label_model", raising=False)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    (found,) = label_findings(tmp_path / "a", tickets(20))
    assert (found.name, found.level) == ("label_errors", "note")
    assert "cleanlab is not installed" in found.what
    assert "finetune-harness[data]" in found.remedy
    assert label_findings(tmp_path / "a", tickets(4)) == []


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=3).map(sorted))
def test_parts_merged_are_the_whole(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    path = tmp_path_factory.getbasetemp() / "labels.jsonl"
    rows = [(asked, "bug" if number == 8 else label) for number, (asked, label) in enumerate(tickets(20))]
    assert label_findings(path, rows, *cuts) == label_findings(path, rows)
