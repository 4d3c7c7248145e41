import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset.checking import check_file, seen_rows
from harness.dataset.findings import Finding
from harness.dataset.lines import read_lines
from harness.dataset.quality import agreement
from harness.dataset.quality.agreement import AgreementTally
from harness.dataset.tallies import Setting

Row = dict[str, object]


def agreement_findings(path: Path, rows: list[Row], *cuts: int) -> list[Finding]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, *later = [AgreementTally() for _ in range(len(cuts) + 1)]
    for number, row in enumerate(seen_rows(read_lines(path), model="gpt-4o-mini")):
        [first, *later][sum(number >= cut for cut in cuts)].add(row)
    for part in later:
        first.merge(part)
    return list(first.findings(Setting(path=path, model="gpt-4o-mini")))


def chat(asked: str, answer: str) -> Row:
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}


def voted(count: int, *, apart: float, key: str = "annotations") -> list[Row]:
    """Rows with three people's labels, of which a share differs in one."""
    generator = random.Random(1)
    rows: list[Row] = []
    for number in range(count):
        one, other = generator.sample(["bug", "billing"], 2)
        rows.append({"text": str(number), key: [one, one, other if generator.random() < apart else one]})
    return rows


def test_people_who_differ_are_told_with_what_a_model_can_reach(tmp_path: Path) -> None:
    (found,) = agreement_findings(tmp_path / "a", voted(200, apart=0.6))
    assert (found.name, found.level) == ("annotator_agreement", "warning")
    assert "the same 200 items (the lists `annotations`)" in found.what
    alpha = found.figures["alpha"]
    assert found.figures["alpha_low"] < alpha < found.figures["alpha_high"] < 0.667
    # Two of three agree in the rows that differ, .6 of them.
    assert found.figures["pairwise_agreement"] == pytest.approx(1 - 0.6 * 2 / 3, abs=0.05)
    assert found.figures["ceiling_of_majority"] == pytest.approx(1 - 0.6 / 3, abs=0.03)
    assert f"{found.figures['ceiling_of_majority']:.0%}" in found.remedy


def test_people_who_agree_are_left_alone(tmp_path: Path) -> None:
    assert agreement_findings(tmp_path / "a", voted(200, apart=0.05)) == []
    assert agreement_findings(tmp_path / "a", voted(12, apart=0.6)) == []


def test_a_job_that_refuses_the_key_still_gets_the_finding(tmp_path: Path) -> None:
    rows = [
        {**chat(str(number), "x"), "annotations": row["annotations"]}
        for number, row in enumerate(voted(60, apart=0.6))
    ]
    (tmp_path / "a").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check_file(tmp_path / "a", model="gpt-4o-mini")
    assert report.error_counts == {"extra_key": 60}
    assert "annotator_agreement" in {found.name for found in report.findings}


def test_answers_may_be_objects_and_some_missing(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"votes": [{"annotator": 1, "label": "A"}, {"annotator": 2, "label": label}, None]}
        for label in ["a", "b", "c", "A "] * 20
    ]
    (found,) = agreement_findings(tmp_path / "a", rows)
    assert found.lines == tuple(number for number in range(1, 81) if number % 4 in (2, 3))[:20]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([{"labels": ["sport", "news"]}, {"labels": ["news", "local"]}] * 30, id="tags"),
        pytest.param([{"labels": [1, 0, 0]}, {"labels": [0, 1, 0]}] * 30, id="one of several"),
        pytest.param(
            [{"labels": [1, 0, 0, 1], "tokens": ["a", "b"]}, {"labels": [0, 0]}] * 30, id="labels of tokens"
        ),
        pytest.param(
            [{"answers": [f"text {n}", f"text {n}", f"text {n + 1}"]} for n in range(60)], id="free texts"
        ),
        pytest.param(
            [{"answers": ["x" * 200, "y"]}, {"answers": {"text": ["a"]}}, {"answers": 3}] * 30, id="no lists"
        ),
    ],
)
def test_lists_that_are_no_votes_are_not_taken_for_some(tmp_path: Path, rows: list[Row]) -> None:
    assert agreement_findings(tmp_path / "a", rows) == []


def test_rows_that_ask_the_same_are_votes_where_answers_are_labels(tmp_path: Path) -> None:
    generator = random.Random(2)
    rows = [chat(f"ticket {number % 40}", generator.choice(["bug", "billing"])) for number in range(120)]
    (found,) = agreement_findings(tmp_path / "a", rows)
    assert "the same 40 items (rows that ask the same)" in found.what
    assert found.figures["alpha_low"] < 0 < found.figures["alpha_high"]
    free = chat("Why?", "An answer that no label is as long as, and so these answers are no labels.")
    assert agreement_findings(tmp_path / "a", [*rows, free]) == []


def test_a_few_repeats_in_a_large_file_are_no_votes(tmp_path: Path) -> None:
    generator = random.Random(2)
    rows = [chat(f"ticket {number % 40}", generator.choice(["bug", "billing"])) for number in range(120)]
    others = [chat(f"other {number}", generator.choice(["bug", "billing"])) for number in range(170)]
    assert agreement_findings(tmp_path / "a", [*rows, *others]) == []
    assert len(agreement_findings(tmp_path / "a", [*rows, *others[:150]])) == 1


def test_lists_of_ever_other_texts_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "_MOST_WAYS", 5)
    rows: list[Row] = [{"answers": [str(number), str(number)]} for number in range(10)] + voted(
        60, apart=0.6, key="answers"
    )
    assert agreement_findings(tmp_path / "a", rows) == agreement_findings(tmp_path / "a", rows, 3, 30) == []


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.lists(st.sampled_from("ab"), max_size=4)),
        max_size=90,
    ),
    st.lists(st.integers(0, 90), max_size=3).map(sorted),
)
def test_parts_merged_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, str, list[str]]], cuts: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "agreement.jsonl"
    rows: list[Row] = [chat(f"ticket {asked}", label) for asked, label, _ in drawn] + [
        {"votes": votes} for *_, votes in drawn
    ]
    assert agreement_findings(path, rows, *cuts) == agreement_findings(path, rows)
