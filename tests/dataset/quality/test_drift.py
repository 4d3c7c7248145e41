import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset.checking import check_file, seen_rows
from harness.dataset.findings import Finding
from harness.dataset.leaks import SuitePrompt
from harness.dataset.lines import read_lines
from harness.dataset.quality import drift
from harness.dataset.quality.drift import DriftTally, roles_asked, suite_drift, validation_drift

LONG = "You are the assistant of a parcel service. Be brief and kind."
Turns = tuple[str, ...]


def tallied(path: Path, rows: list[tuple[str, Turns]], *cuts: int) -> DriftTally:
    """Rows of a system prompt ("" for none) and the roles that follow it."""
    path.write_text(
        "".join(
            json.dumps(
                {
                    "messages": [
                        *([{"role": "system", "content": system}] if system else []),
                        *({"role": role, "content": f"{role} {number}"} for role in (*turns, "assistant")),
                    ]
                }
            )
            + "\n"
            for number, (system, turns) in enumerate(rows)
        )
    )
    first, *later = [DriftTally() for _ in range(len(cuts) + 1)]
    for number, row in enumerate(seen_rows(read_lines(path), model="gpt-4o-mini")):
        [first, *later][sum(number >= cut for cut in cuts)].add(row)
    for part in later:
        first.merge(part)
    return first


def drift_of(
    path: Path, trained: list[tuple[str, Turns]], asked: list[tuple[str, Turns]], *cuts: int
) -> dict[str, Finding]:
    paths = path / "train", path / "valid"
    train, valid = tallied(paths[0], trained, *cuts), tallied(paths[1], asked, *cuts)
    return {found.name: found for found in validation_drift(train, valid, paths=paths)}


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        (("system", "user", "assistant"), "system, user"),
        (("developer", "user", "assistant"), "system, user"),
        (("user", "assistant", "user", "assistant", "user", "assistant"), "user, assistant"),
        (("user", "assistant", "tool", "assistant"), "user, assistant, tool"),
        (("assistant",), "nobody"),
    ],
)
def test_roles_are_told_in_the_order_they_first_appear(roles: Turns, told: str) -> None:
    assert roles_asked([{"role": role} for role in roles]) == told


def test_the_same_forms_are_no_drift(tmp_path: Path) -> None:
    rows: list[tuple[str, Turns]] = [(LONG, ("user",))] * 40 + [("", ("user", "assistant", "user"))] * 10
    assert drift_of(tmp_path, rows, rows[::4]) == {}


def test_a_system_prompt_left_out_or_shortened_is_new_to_the_model(tmp_path: Path) -> None:
    asked: list[tuple[str, Turns]] = [
        ("", ("user",)),
        ("Be brief.", ("user",)),
        ("", ("user",)),
        (LONG, ("user",)),
    ]
    found = drift_of(tmp_path, [(LONG, ("user",))] * 200, asked)
    assert list(found) == ["system_prompt_drift", "role_drift"]
    system = found["system_prompt_drift"]
    assert (system.level, system.count, system.lines) == ("warning", 3, (1, 2, 3))
    assert "3 of 4 validation rows" in system.what
    assert "none at all 2, 'Be brief.' 1" in system.what
    assert found["role_drift"].lines == (1, 3)


def test_long_system_prompts_that_begin_alike_are_shown_from_where_they_differ(tmp_path: Path) -> None:
    alike = "You are the assistant of a parcel service and answer its customers by letter. "
    train = tallied(tmp_path / "train", [(f"{alike}Be brief and kind, always.", ("user",))] * 40)
    valid = tallied(tmp_path / "valid", [(f"{alike}Take all the time you need.", ("user",))] * 10)
    (found,) = validation_drift(train, valid, paths=(tmp_path / "train", tmp_path / "valid"))
    assert "'… by letter. Take all the time you need.' 10" in found.what
    assert "'… by letter. Be brief and kind, always.'" in found.what


def test_what_dominates_training_and_is_not_asked_is_told_too(tmp_path: Path) -> None:
    rows: list[tuple[str, Turns]] = [(LONG, ("user",))] * 70 + [("Be brief.", ("user",))] * 30
    (found,) = drift_of(tmp_path, rows, [("Be brief.", ("user",))] * 9).values()
    assert (found.name, found.level, found.count) == ("system_prompt_drift", "note", 0)
    assert "70% of the training rows" in found.what
    assert LONG[:40] in found.what


def test_system_prompts_that_differ_from_row_to_row_are_no_drift(tmp_path: Path) -> None:
    rows: list[tuple[str, Turns]] = [(f"The customer is number {number}.", ("user",)) for number in range(60)]
    assert drift_of(tmp_path, rows[:40], rows[40:]) == {}


def test_of_ever_other_system_prompts_only_the_presence_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "_MOST_SYSTEMS", 10)
    rows: list[tuple[str, Turns]] = [(f"The customer is number {number}.", ("user",)) for number in range(60)]
    assert drift_of(tmp_path, rows[:40], rows[40:], 7, 21) == {}
    found = drift_of(tmp_path, rows[:40], [*rows[40:], ("", ("user",))], 7, 21)
    assert found["system_prompt_drift"].lines == (21,)
    assert "none at all 1" in found["system_prompt_drift"].what
    assert found == drift_of(tmp_path, rows[:40], [*rows[40:], ("", ("user",))])
    train = tallied(tmp_path / "train", rows[:40], 3)
    prompts = [SuitePrompt(suite="tone", case="a", text="x", system="Be kind.", roles=("system", "user"))]
    assert list(suite_drift(train, prompts, path=tmp_path / "train")) == []


def test_turns_and_tools_that_training_never_showed_are_told(tmp_path: Path) -> None:
    asked: list[tuple[str, Turns]] = [("", ("user",))] * 5 + [("", ("user", "assistant", "user"))]
    (found,) = drift_of(tmp_path, [("", ("user",))] * 50, asked).values()
    assert (found.name, found.lines) == ("role_drift", (6,))
    assert "user, assistant 1" in found.what


def test_cases_of_suites_are_named(tmp_path: Path) -> None:
    train = tallied(tmp_path / "train", [(LONG, ("user",))] * 50)
    prompts = [
        SuitePrompt(suite="tone", case="a", text="x", system=LONG, roles=("system", "user")),
        SuitePrompt(suite="tone", case="b", text="x", roles=("user",)),
        SuitePrompt(suite="tone", case="unknown", text="x"),
    ]
    found = {told.name: told for told in suite_drift(train, prompts, path=tmp_path / "train")}
    assert found["system_prompt_drift"].figures["cases"] == [["tone", "b"]]
    assert "1 of 2 cases of the suites" in found["system_prompt_drift"].what
    assert found["role_drift"].figures["cases"] == [["tone", "b"]]
    assert found["system_prompt_drift"].level == "warning"
    few = list(suite_drift(train, [*prompts, prompts[0]], path=tmp_path / "train"))
    assert [told.level for told in few] == ["note", "note"], "a suite may guard what was not trained"
    assert list(suite_drift(train, prompts[2:], path=tmp_path / "train")) == []


def test_a_check_tells_drift_among_its_warnings(tmp_path: Path) -> None:
    tallied(tmp_path / "train", [(LONG, ("user",))] * 20)
    tallied(tmp_path / "valid", [("", ("user",))] * 5)
    report = check_file(tmp_path / "train", model="gpt-4o-mini", valid=tmp_path / "valid")
    assert {"system_prompt_drift", "role_drift"} <= {found.name for found in report.warnings}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["", LONG, "Be brief."]), max_size=12),
    st.lists(st.sampled_from(["", LONG, "Be kind."]), max_size=12),
    st.lists(st.integers(0, 12), max_size=3).map(sorted),
)
def test_parts_merged_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, trained: list[str], asked: list[str], cuts: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp()
    rows = [[(system, ("user",)) for system in systems] for systems in (trained, asked)]
    assert drift_of(path, *rows, *cuts) == drift_of(path, *rows)
