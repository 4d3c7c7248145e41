"""The guide to training curves: its example runs, its list of faults is whole, its message is the one that is given."""

import re
from pathlib import Path
from typing import get_args

import pytest

from harness import read_curve
from harness.errors import FileError
from harness.training.curve_faults import FaultKind
from harness.training.diagnosis import DiagnosisWord

GUIDE = Path(__file__).parents[2] / "docs" / "training-curves.md"
TEXT = GUIDE.read_text(encoding="utf-8")
FILE = "step_metrics.csv"


def written(rows: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path(FILE).write_text(
        "\n".join(["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy", *rows])
    )


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written([f"{step},{1 / step},0.5,1.0,0.4" for step in range(1, 31)], tmp_path, monkeypatch)
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    assert names["found"].word == "plateau"


def test_every_fault_and_every_word_is_in_the_guide() -> None:
    for kind in get_args(FaultKind):
        assert re.search(rf"^\| {kind} \|", TEXT, re.MULTILINE), kind
    for word in get_args(DiagnosisWord):
        assert f'"{word}"' in TEXT


def test_the_message_is_the_one_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written([*(f"{step},1.0,,," for step in range(1, 6)), "6,low,,,"], tmp_path, monkeypatch)
    with pytest.raises(FileError) as caught:
        read_curve(FILE)
    assert str(caught.value) in TEXT
