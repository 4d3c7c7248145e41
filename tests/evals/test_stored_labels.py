from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.evals import LABELS, open_run, write_labels
from harness.records import Label
from tests.judged_runs import judged_suite, store_judged, truth_of

LABEL = Label(
    suite="manners",
    case="c1",
    role="candidate",
    trial=0,
    scorer="manners",
    annotator="Ann",
    label="1",
    value=1.0,
    question="kindness",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return store_judged(tmp_path, truth_of(3, candidate=0.5, base=0.5), suite=judged_suite(3))


def test_labels_come_back_with_the_run(folder: Path) -> None:
    assert open_run(folder).labels == ()
    write_labels(folder, (LABEL,), run=folder.name)
    assert open_run(folder).labels == (LABEL,)


def test_new_labels_take_the_place_of_the_old_ones(folder: Path) -> None:
    write_labels(folder, (LABEL, LABEL), run=folder.name)
    write_labels(folder, (LABEL,), run=folder.name)
    assert open_run(folder).labels == (LABEL,)
    assert [file.name for file in folder.iterdir() if "labels" in file.name] == [LABELS]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is damaged"),
        ('{"schema": 1, "run": "x", "labels": [{"suite": 1}]}', "is damaged"),
        ('{"schema": 9, "run": "x", "labels": []}', "has schema 9"),
        ('{"schema": 1, "run": "another", "labels": []}', "holds labels for the run another"),
    ],
)
def test_a_file_of_labels_that_is_not_this_runs_is_refused(folder: Path, text: str, words: str) -> None:
    (folder / LABELS).write_text(text, encoding="utf-8")
    with pytest.raises(StorageError, match=words) as caught:
        open_run(folder)
    assert caught.value.remedy
