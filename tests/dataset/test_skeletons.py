import json
from pathlib import Path

import pytest

from harness.dataset import read_dataset
from harness.dataset.rows import row_problems
from harness.dataset.skeletons import to_write
from harness.errors import DatasetError
from harness.records import Json


def row(asked: Json, answer: Json = "billing") -> dict[str, Json]:
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}


@pytest.mark.parametrize(
    "unwritten",
    [
        row(to_write("what a user says")),
        row("Where is it?", to_write("the answer")),
        row(f"Where is it? {to_write('what a user says')}"),
        row([{"type": "text", "text": to_write("what a user says")}]),
    ],
)
def test_a_row_with_a_place_left_to_write_is_refused(unwritten: dict[str, Json], tmp_path: Path) -> None:
    assert [problem.category for problem in row_problems(unwritten)] == ["unwritten_row"]
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(unwritten) + "\n")
    with pytest.raises(
        DatasetError, match=r"train\.jsonl:1: .*still to be written: a row of `harness badcases`"
    ):
        read_dataset(path)


def test_a_written_row_is_no_skeleton() -> None:
    assert list(row_problems(row("What does << mean in C++? It is to be written down."))) == []
