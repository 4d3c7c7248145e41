import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dataset.checking import seen_rows
from harness.dataset.findings import Finding
from harness.dataset.lines import read_lines
from harness.dataset.quality.repeats import RepeatsTally
from harness.dataset.tallies import Setting


def row(asked: str, answer: str, system: str = "") -> dict[str, object]:
    messages = [{"role": "system", "content": system}] if system else []
    return {
        "messages": [*messages, {"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    }


def findings(path: Path, rows: list[dict[str, object]], *cuts: int) -> dict[str, Finding]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parts = [RepeatsTally() for _ in range(len(cuts) + 1)]
    for number, seen in enumerate(seen_rows(read_lines(path), model="gpt-4o-mini")):
        parts[sum(number >= cut for cut in cuts)].add(seen)
    first, *later = parts
    for part in later:
        first.merge(part)
    setting = Setting(path=path, model="gpt-4o-mini")
    return {finding.name: finding for finding in first.findings(setting)}


def question(number: int) -> str:
    generator = random.Random(number)
    return " ".join("".join(generator.choices("abcdefghijklmnop", k=7)) for _ in range(12))


def test_rows_that_differ_say_nothing(tmp_path: Path) -> None:
    assert findings(tmp_path / "a", [row(question(n), str(n)) for n in range(40)]) == {}


def test_copies_are_counted_beyond_the_first_whatever_their_case_and_spaces(tmp_path: Path) -> None:
    rows = [row(question(n), "yes") for n in range(8)]
    rows += [row(question(3).upper(), "YES"), row(question(3) + "  ", "yes"), row(question(5), "yes")]
    found = findings(tmp_path / "a", rows)
    assert list(found) == ["exact_duplicates"]
    assert (found["exact_duplicates"].count, found["exact_duplicates"].lines) == (3, (9, 10, 11))
    assert found["exact_duplicates"].what.startswith(
        "3 rows repeat an earlier row word for word, 27.3% of all"
    )
    assert found["exact_duplicates"].figures["copies"] == [[9, 4], [10, 4], [11, 6]]


def test_labels_that_conflict_bound_what_can_be_learned(tmp_path: Path) -> None:
    rows = [row(question(0), "billing")] * 3 + [row(question(0), "bug")] + [row(question(1), "bug")] * 2
    found = findings(tmp_path / "a", rows)["conflicting_answers"]
    assert (found.count, found.lines) == (4, (1, 2, 3, 4))
    assert found.figures["agreement_ceiling"] == pytest.approx(5 / 6)
    assert found.figures["agreement_ceiling_of_all_rows"] == pytest.approx(5 / 6)
    assert "1 question is answered" in found.what
    assert "lines 1, 2, 3… say 'billing' (3), 'bug'" in found.what
    (listed,) = found.figures["conflicts"]
    assert (listed["lines"], listed["answers"]) == ([1, 2, 3, 4], [["billing", 3], ["bug", 1]])
    assert listed["entropy_bits"] == pytest.approx(0.811, abs=0.001)


def test_long_answers_conflict_only_when_they_say_something_else(tmp_path: Path) -> None:
    answer = "Your parcel is on its way and will reach you by Thursday at the latest, we promise."
    reworded = "Your parcel is on its way and will arrive by Thursday at the latest, that is a promise."
    other = "We are sorry: nothing can be sent to this country, so the money was paid back yesterday."
    assert "conflicting_answers" not in findings(
        tmp_path / "a", [row(question(0), answer), row(question(0), reworded)]
    )
    assert "conflicting_answers" in findings(
        tmp_path / "a", [row(question(0), answer), row(question(0), other)]
    )


def test_another_system_prompt_asks_something_else(tmp_path: Path) -> None:
    rows = [row(question(0), "ja", "German"), row(question(0), "oui", "French")]
    assert "conflicting_answers" not in findings(tmp_path / "a", rows)


def test_questions_nearly_the_same_are_grouped(tmp_path: Path) -> None:
    rows = [row(question(n), "x") for n in range(30)] + [row(question(n) + " please", "x") for n in range(4)]
    found = findings(tmp_path / "a", rows)["near_duplicates"]
    assert (found.count, found.lines, found.level) == (4, (31, 32, 33, 34), "warning")
    assert found.figures == {
        "groups": 4,
        "share": pytest.approx(4 / 34),
        "largest": 2,
        "copies": [[31, 1], [32, 2], [33, 3], [34, 4]],
    }
    assert "line 31 as 1, line 32 as 2, line 33 as 3 and so on" in found.what


def test_a_template_around_every_question_makes_no_repeats(tmp_path: Path) -> None:
    template = "Read the following ticket with care, then say which team it is for and why. {} Answer in one sentence."
    assert findings(tmp_path / "a", [row(template.format(question(n)[:20]), "x") for n in range(12)]) == {}


def test_templates_of_several_tasks_make_no_repeats_either(tmp_path: Path) -> None:
    tasks = [question(1000 + task) * 4 + ": {}" for task in range(2)]
    rows = [row(tasks[n % 2].format(question(n)[:30]), str(n)) for n in range(40)]
    assert findings(tmp_path / "a", rows) == {}
    copied = tasks[0].format(question(6)[:30] + "!")
    found = findings(tmp_path / "a", [*rows, row(copied, "x")])["near_duplicates"]
    assert found.figures["copies"] == [[41, 7]]


@pytest.mark.parametrize("form", ["{}: Text: {}", "{1}. {0}"], ids=["before", "after"])
def test_a_few_rows_that_are_alike_otherwise_hide_no_template(tmp_path: Path, form: str) -> None:
    task = question(1000) * 3
    rows = [row(form.format(task, question(n)[:30]), str(n)) for n in range(20)]
    rows += [row(f"Dear all, {task} {question(n)[:9]} thanks", str(n)) for n in range(50, 52)]
    found = findings(tmp_path / "a", rows)
    assert found["near_duplicates"].figures["copies"] == [[22, 21]]


def test_words_put_in_place_of_others_are_nearly_the_same_however_many(tmp_path: Path) -> None:
    rows = [row(f"{question(0)} for {name}", str(n)) for n, name in enumerate("ABCDEFGHIJKL")]
    rows += [row(question(n), "x") for n in range(1, 9)]
    assert findings(tmp_path / "a", rows)["near_duplicates"].count == 11


def calling(asked: str, name: str, arguments: str, call: str = "c1") -> dict[str, object]:
    function = {"name": name, "arguments": arguments}
    calls = [{"id": call, "type": "function", "function": function}]
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}]
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "tool_calls": calls}]
    return {"messages": messages, "tools": tools}


def test_rows_that_call_other_tools_are_no_copies_but_conflict(tmp_path: Path) -> None:
    rows = [calling(question(0), "weather", "{}"), calling(question(0), "stock", "{}")]
    assert list(findings(tmp_path / "a", rows)) == ["conflicting_answers"]
    same = [calling(question(0), "weather", "{}"), calling(question(0), "weather", "{}", call="c2")]
    assert list(findings(tmp_path / "a", same)) == ["exact_duplicates"]


def test_graded_prompts_with_other_references_are_no_copies(tmp_path: Path) -> None:
    def graded(reference: str) -> dict[str, object]:
        return {"messages": [{"role": "user", "content": question(0)}], "reference": reference}

    assert "exact_duplicates" not in findings(tmp_path / "a", [graded("1"), graded("2")])
    assert "exact_duplicates" in findings(tmp_path / "a", [graded("1"), graded("1")])


def test_pictures_tell_questions_apart(tmp_path: Path) -> None:
    def picture(url: str, answer: str) -> dict[str, object]:
        parts = [{"type": "text", "text": "How many?"}, {"type": "image_url", "image_url": {"url": url}}]
        return {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": answer}]}

    assert findings(tmp_path / "a", [picture("x://1", "one"), picture("x://2", "two")]) == {}


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=20),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_parts_merged_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int]], one: int, other: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "parts.jsonl"
    rows = [row(question(asked), f"answer {answer}") for asked, answer in drawn]
    assert findings(path, rows, *sorted((one, other))) == findings(path, rows)
