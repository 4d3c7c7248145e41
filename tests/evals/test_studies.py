import logging
from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.evals import (
    CHECKPOINTS,
    SCALING,
    read_checkpoint_study,
    read_scaling_study,
    write_checkpoint_study,
    write_scaling_study,
)
from harness.records import (
    Arm,
    CheckpointChoice,
    CheckpointMarks,
    CheckpointStudy,
    DoublingEstimate,
    ScalingStudy,
    SuiteMark,
)

MARK = SuiteMark(suite="sums", mean=0.5, low=0.25, high=0.75, cases=4, unscored=1)
STUDY = CheckpointStudy(
    job="ftjob-1",
    checkpoints=(CheckpointMarks(step=3, model="a", epoch=1.0, marks=(MARK,)),),
    choice=CheckpointChoice(
        step=3, model="a", is_last=True, why="it is", on="other cases", fresh=(MARK,), last=(MARK,)
    ),
)
SCALED = ScalingStudy(
    id="scaling-1",
    epochs=3,
    arms=(Arm(share=0.5, rows=50, seed=0, job="j", model="m", marks=(MARK,), cost_usd=0.1),),
    by_suite={
        "sums": DoublingEstimate(gain=0.01, low=-0.01, high=0.03, word="cannot tell", to_tell="more cases")
    },
)


def test_a_study_of_checkpoints_comes_back_as_it_was(tmp_path: Path) -> None:
    assert write_checkpoint_study(tmp_path / "new", STUDY).name == CHECKPOINTS
    assert read_checkpoint_study(tmp_path / "new") == STUDY


def test_a_study_of_scaling_comes_back_as_it_was(tmp_path: Path) -> None:
    assert write_scaling_study(tmp_path, SCALED).name == SCALING
    assert read_scaling_study(tmp_path) == SCALED


def test_a_folder_without_a_study_has_none(tmp_path: Path) -> None:
    assert read_checkpoint_study(tmp_path) is None
    assert read_scaling_study(tmp_path) is None


def test_a_newer_study_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINTS).write_text('{"schema": 2, "study": {"of": "another shape"}}', encoding="utf-8")
    with pytest.raises(StorageError, match="has schema 2, this version knows 1") as caught:
        read_checkpoint_study(tmp_path)
    assert caught.value.remedy == "upgrade finetune-harness"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"schema": 1',
        '{"schema": 1}',
        '{"schema": 1, "study": {"job": 3}}',
        '{"study": null}',
        "\x00",
    ],
)
def test_a_damaged_study_is_none_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / CHECKPOINTS).write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert read_checkpoint_study(tmp_path) is None
    assert f"{CHECKPOINTS} is left out" in caplog.text


def test_bytes_that_are_no_text_are_damage_too(tmp_path: Path) -> None:
    (tmp_path / SCALING).write_bytes(b"\xff\xfe")
    assert read_scaling_study(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be written"):
        write_checkpoint_study(tmp_path / "file", STUDY)
