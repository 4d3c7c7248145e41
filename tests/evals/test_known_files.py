import asyncio
import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.evals import Cell, Requests, case_digest, load_suite
from harness.evals.judging import judged
from harness.records import Case, Completion, Json, Score, Suite, record

SUITE = """\
name: sea
scorers:
  - {type: regurgitation, file: data/train.jsonl}
cases:
  - {id: poem, prompt: "Write a sentence about the sea."}
"""
STORY = (
    "The lighthouse keeper counted forty-one steps every evening, and lit the lamp before the sun had gone."
)


@record
class Telling:
    """A scorer of a user's own that judges by a file."""

    file: str

    def prepare(self, rows: Iterable[tuple[int, Json]]) -> object:
        return [line for line, _ in rows]

    def score_by(self, case: Case, completion: Completion, prepared: object) -> Score:
        return Score(value=1.0, reason=f"lines {prepared}")


def rows(answer: str = STORY) -> str:
    asked = {"role": "user", "content": "Tell me a story"}
    return json.dumps({"messages": [asked, {"role": "assistant", "content": answer}]}) + "\n"


def write(folder: Path, text: str = SUITE, *, train: str | None = None) -> Path:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "train.jsonl").write_text(rows() if train is None else train, encoding="utf-8")
    path = folder / "sea.suite.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def scores(suite: Suite, *answers: str) -> list[Score]:
    async def every() -> list[Score]:
        requests = Requests({})
        cell = Cell(suite=suite, case=suite.cases[0], role="candidate")
        found = await asyncio.gather(*(judged(cell, Completion(text=text), requests) for text in answers))
        return [score for judgement in found for score in judgement.scores.values()]

    return asyncio.run(every())


def test_answers_are_judged_by_the_file_beside_the_suite(tmp_path: Path) -> None:
    recited, own = scores(load_suite(write(tmp_path)), STORY, "It is blue.")
    assert (recited.value, own.value) == (0, 1)
    assert "on line 1" in recited.reason


def test_packed_file_is_read_too(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "data" / "train.jsonl").write_bytes(gzip.compress(rows().encode("utf-8")))
    assert scores(load_suite(path), STORY)[0].value == 0


def test_file_is_read_once_for_all_answers_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    suite = load_suite(write(tmp_path))

    def counted(path: Path) -> object:
        read.append(path)
        return iter([(1, json.loads(rows()))])

    monkeypatch.setattr("harness.evals.file_scoring.rows_of", counted)
    assert [score.value for score in scores(suite, STORY, "Blue.", STORY)] == [0, 1, 0]
    assert read == [tmp_path / "data" / "train.jsonl"]


def test_another_file_makes_the_cases_others_and_another_place_does_not(tmp_path: Path) -> None:
    def of(folder: Path, train: str) -> str:
        folder.mkdir(exist_ok=True)
        suite = load_suite(write(folder, train=train))
        return case_digest(suite, suite.cases[0])

    assert of(tmp_path / "a", rows()) == of(tmp_path / "b", rows()) != of(tmp_path / "c", rows("Blue."))


def test_file_that_changed_since_the_suite_was_loaded_breaks_the_scorer(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    write(tmp_path, train=rows("Something else."))
    (score,) = scores(suite, STORY)
    assert score.broken
    assert "data/train.jsonl has changed since the suite was loaded; run again" in score.reason


@pytest.mark.parametrize(
    ("setting", "train", "sentence"),
    [
        ("file: data/none.jsonl", None, "none.jsonl"),
        ("file: data", None, "data"),
        ("file: data/train.jsonl", "", "data/train.jsonl has no row"),
        ("file: data/train.jsonl", "not JSON\n", "data/train.jsonl has no row"),
    ],
)
def test_file_that_cannot_be_had_is_told_with_its_line(
    tmp_path: Path, setting: str, train: str | None, sentence: str
) -> None:
    path = write(tmp_path, SUITE.replace("file: data/train.jsonl", setting), train=train)
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    (mistake,) = caught.value.mistakes
    assert mistake.line == 3
    assert sentence in mistake.what


def test_scorer_of_ones_own_may_judge_by_a_file(tmp_path: Path) -> None:
    text = SUITE.replace("type: regurgitation", f"type: '{__name__}:Telling'")
    (score,) = scores(load_suite(write(tmp_path, text, train=rows() + "broken\n" + rows())), "a")
    assert (score.value, score.reason) == (1, "lines [1, 3]")
