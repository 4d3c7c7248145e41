import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset.checking import seen_rows
from harness.dataset.findings import Finding
from harness.dataset.lines import read_lines
from harness.dataset.quality import grounding
from harness.dataset.quality.grounding import GroundingTally
from harness.dataset.tallies import Setting

CITIES = ["Oslo", "Lima", "Cairo", "Quito", "Turin"]
Row = tuple[str, str]


def told_row(number: int) -> Row:
    city = CITIES[number % len(CITIES)]
    return (
        f"Order {4000 + number} went to {city}. Where is it?",
        f"Your order {4000 + number} is in {city} now.",
    )


def made_up_row(number: int) -> Row:
    return (
        f"Where is order {4000 + number}?",
        f"Your order {4000 + number} arrives on {2000 + number} from Zu{number}rich.",
    )


def grounding_findings(
    path: Path, rows: list[Row], *cuts: int, extra: dict[str, object] | None = None
) -> list[Finding]:
    lines = (
        {
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}],
            **(extra or {}),
        }
        for asked, answer in rows
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, *later = [GroundingTally() for _ in range(len(cuts) + 1)]
    for number, row in enumerate(seen_rows(read_lines(path), model="gpt-4o-mini")):
        [first, *later][sum(number >= cut for cut in cuts)].add(row)
    for part in later:
        first.merge(part)
    return list(first.findings(Setting(path=path, model="gpt-4o-mini")))


def test_answers_that_make_things_up_among_others_that_do_not_are_told(tmp_path: Path) -> None:
    rows = [told_row(number) for number in range(38)] + [made_up_row(1), made_up_row(2)]
    (found,) = grounding_findings(tmp_path / "a", rows)
    assert (found.name, found.level, found.count, found.lines) == ("untold_facts", "note", 2, (39, 40))
    assert "2 of 40 answers with facts (5.0%)" in found.what
    assert found.figures["facts"] == {"39": ["2001", "Zu1rich"], "40": ["2002", "Zu2rich"]}
    (found,) = grounding_findings(tmp_path / "a", [*rows, *map(made_up_row, range(3, 6))])
    assert (found.level, found.count) == ("warning", 5)


def test_answers_that_pass_on_what_they_were_told_are_left_alone(tmp_path: Path) -> None:
    assert grounding_findings(tmp_path / "a", [told_row(number) for number in range(40)]) == []


def test_where_many_answers_bring_facts_that_is_the_task(tmp_path: Path) -> None:
    rows = [told_row(number) for number in range(30)] + [made_up_row(number) for number in range(30)]
    assert grounding_findings(tmp_path / "a", rows) == []


def test_a_fact_that_many_rows_bring_is_taught_knowingly(tmp_path: Path) -> None:
    rows = [(asked, f"{answer} Call 5550199.") for asked, answer in map(told_row, range(40))]
    assert grounding_findings(tmp_path / "a", rows) == []
    (found,) = grounding_findings(tmp_path / "a", [*rows, made_up_row(7)])
    assert found.lines == (41,)


def test_a_word_that_other_rows_write_small_is_no_name(tmp_path: Path) -> None:
    rows = [told_row(number) for number in range(30)] + [("Which share?", "Ask about the Share here.")]
    assert grounding_findings(tmp_path / "a", rows) == []


def test_tools_and_their_calls_are_part_of_the_conversation(tmp_path: Path) -> None:
    rows = [told_row(number) for number in range(30)] + [("Which one?", "It is the one in Bergamo.")]
    assert len(grounding_findings(tmp_path / "a", rows)) == 1
    tools = [{"type": "function", "function": {"name": "find", "description": "shops in Bergamo"}}]
    assert grounding_findings(tmp_path / "a", rows, extra={"tools": tools}) == []


def test_a_few_answers_do_not_show_what_the_task_is(tmp_path: Path) -> None:
    assert grounding_findings(tmp_path / "a", [*map(told_row, range(10)), made_up_row(1)]) == []


def test_more_than_can_be_kept_is_forgotten_whole_or_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounding, "MOST_KEPT_ROWS", 3)
    rows = [*map(told_row, range(40)), *map(made_up_row, range(4))]
    assert grounding_findings(tmp_path / "a", rows) == grounding_findings(tmp_path / "a", rows, 42) == []
    assert len(grounding_findings(tmp_path / "a", rows[:-1], 42)) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.integers(20, 50),
    st.lists(st.integers(0, 9), max_size=9),
    st.integers(0, 9),
    st.lists(st.integers(0, 60), max_size=3).map(sorted),
)
def test_parts_merged_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, told: int, made_up: list[int], seed: int, cuts: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "grounding.jsonl"
    rows = [*map(told_row, range(told)), *map(made_up_row, made_up)]
    random.Random(seed).shuffle(rows)
    assert grounding_findings(path, rows, *cuts) == grounding_findings(path, rows)
