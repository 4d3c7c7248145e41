import json
import random
import time
from pathlib import Path

import pytest
from run_samples import cases_of, scored, store, suite

from harness.advice import advise, note_training_data, sightings_of
from harness.advice.light_check import DATA_SIGHT, MOST_BYTES
from harness.advice.related import read_data_sight
from harness.advice.sightings import DataSight
from harness.dataset import Finding
from harness.records import Case, Run
from harness.serial import file_digest
from harness.verdict import verdict_of

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def row(asked: str, answer: str) -> str:
    return json.dumps(
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
    )


def rows(number: int) -> list[str]:
    """Rows that have nothing in common, about 400 bytes each."""
    draw = random.Random(1)

    def words(count: int) -> str:
        return " ".join("".join(draw.choices(LETTERS, k=draw.randint(3, 9))) for _ in range(count))

    return [row(f"{words(25)}?", f"{words(20)}.") for _ in range(number)]


def write(file: Path, lines: list[str]) -> Path:
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def held(tmp_path: Path, *, trained_on: Path | None = None, cases: tuple[Case, ...] = ()) -> Run:
    """A run whose candidate fails half of its cases."""
    data = {"train": file_digest(trained_on)} if trained_on else {}
    tested = suite("routing", cases=cases or cases_of(20))
    says = lambda case, _: scored(float(int(case.id[1:]) > 9))  # noqa: E731
    return store(tmp_path / "reports", {"routing": (tested, says)}, data=data)


def noted(run: Run, train: Path | None) -> DataSight | None:
    assert run.path is not None
    note_training_data(run.path, run.manifest, train=train, name="data/train.jsonl")
    return read_data_sight(run.path)


def found(run: Run, train: Path) -> dict[str, Finding]:
    sight = noted(run, train)
    assert sight is not None
    assert sight.findings is not None
    return {finding.name: finding for finding in sight.findings}


def test_faults_are_noted_in_the_runs_folder_and_lead_the_advice(tmp_path: Path) -> None:
    conflict = [
        row("Where is my parcel, it was due on Monday?", answer)
        for answer in ("shipping", "billing", "shipping")
    ]
    train = write(tmp_path / "train.jsonl", [*rows(20), *conflict])
    run = held(tmp_path, trained_on=train)
    assert found(run, train)["conflicting_answers"].lines == (21, 22, 23)
    train.unlink()  # the folder is enough
    (first, *_) = advise(sightings_of(run, verdict_of(run)))
    assert first.action == "cleaner_data"
    assert first.says.startswith("settle in data/train.jsonl: conflicting_answers (lines 21, 22, 23)")
    assert "answered in different ways" in first.saw


def test_a_case_among_the_training_rows_goes_before_every_other_fault(tmp_path: Path) -> None:
    asked = "Where is my parcel, it was due on Monday?"
    case = Case(id="c0", messages=({"role": "user", "content": asked},), expected="yes")
    train = write(tmp_path / "train.jsonl", [*rows(20), row(asked, "shipping"), row(asked, "billing")])
    run = held(tmp_path, trained_on=train, cases=(case, *cases_of(20)[1:]))
    assert "suite_leak" in found(run, train)
    (first, *_) = advise(sightings_of(run, verdict_of(run)))
    assert first.action == "cleaner_data"
    assert "routing" in first.saw


def test_a_file_without_fault_is_noted_too(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", rows(20))
    sight = noted(held(tmp_path, trained_on=train), train)
    assert sight is not None
    assert (sight.findings, sight.rows, sight.is_the_jobs) == ((), 20, True)


def test_another_file_than_the_one_trained_on_is_not_judged(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", rows(20))
    run = held(tmp_path, trained_on=train)
    write(train, rows(21))
    sight = noted(run, train)
    assert sight is not None
    assert sight.findings is None
    assert "changed since" in sight.why
    assert (
        "harness data check data/train.jsonl"
        in [advice.says for advice in advise(sightings_of(run, verdict_of(run)))][-1]
    )


def test_a_candidate_trained_elsewhere_leaves_a_doubt(tmp_path: Path) -> None:
    sight = noted(held(tmp_path), write(tmp_path / "train.jsonl", rows(20)))
    assert sight is not None
    assert not sight.is_the_jobs
    assert sight.findings == ()


def test_a_large_file_is_left_to_the_whole_check(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", ["x" * MOST_BYTES])
    sight = noted(held(tmp_path), train)
    assert sight is not None
    assert sight.findings is None
    assert "too large" in sight.why


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json\n",
        "[]\n",
        '{"messages": 3}\n',
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_a_file_of_anything_ends_no_run(tmp_path: Path, content: str) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text(content, encoding="utf-8")
    assert noted(held(tmp_path), train) is not None


def test_no_file_is_no_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = held(tmp_path)
    assert noted(run, None) is None
    assert not caplog.records
    assert noted(run, tmp_path / "gone.jsonl") is None
    assert "gone.jsonl was not looked at" in caplog.text


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    run = held(tmp_path)
    assert run.path is not None
    (run.path / DATA_SIGHT).write_text('{"file": 3', encoding="utf-8")
    assert read_data_sight(run.path) is None


def test_a_thousand_rows_take_less_than_a_second(tmp_path: Path) -> None:
    """In processor time, because the machine may be busy; what other tests loaded already is not counted."""
    train = write(tmp_path / "train.jsonl", rows(1000))
    run = held(tmp_path, trained_on=train)
    noted(run, train)
    started = time.process_time()
    noted(run, train)
    assert time.process_time() - started < 1.0
