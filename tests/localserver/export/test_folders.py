import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from harness.errors import StorageError, UsageError
from harness.localserver.export.folders import check_free, check_room, new_folder


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: to a writer it is a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def model_in(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def test_folder_is_there_when_the_block_ends(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "model"
    with new_folder(place, replace=False) as part:
        (part / "a").write_text("x")
        assert not place.exists()
    assert (place / "a").read_text() == "x"
    assert [path.name for path in place.parent.iterdir()] == ["model"]


def test_nothing_is_left_of_a_block_that_fails(tmp_path: Path) -> None:
    def interrupted(part: Path) -> None:
        (part / "a").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "model", replace=False) as part:
        interrupted(part)
    assert list(tmp_path.iterdir()) == []


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with new_folder(tmp_path / "model", replace=False) as part:
        (part / "a").write_text("x")
    assert (tmp_path / "model" / "a").exists()


def test_model_that_lies_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    place = model_in(tmp_path / "model")
    with (
        pytest.raises(UsageError, match=r"holds a model already.*--force"),
        new_folder(place, replace=False),
    ):
        pytest.fail("it was not refused")
    with new_folder(place, replace=True) as part:
        (part / "a").write_text("x")
    assert [path.name for path in place.iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_earlier_model_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    place = model_in(tmp_path / "model")
    with pytest.raises(StorageError), new_folder(place, replace=True):
        raise OSError(28, os.strerror(28))
    assert (place / "config.json").exists()


def test_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for replace in (False, True):
        with pytest.raises(UsageError, match="holds something else than a model"):
            check_free(tmp_path, replace=replace)


def test_current_folder_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    with pytest.raises(UsageError, match="the current folder lies in it"):
        check_free(tmp_path, replace=True)


def test_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        check_free(tmp_path / "model", replace=True)


def test_place_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(StorageError, match=r"cannot be written: Not a directory"),
        new_folder(tmp_path / "file" / "model", replace=False),
    ):
        pytest.fail("it was written")


def test_full_disk_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    with (
        largest_file(1000),
        pytest.raises(StorageError, match=r"model: cannot be written: .*free disk space"),
        new_folder(tmp_path / "model", replace=False) as part,
    ):
        save_file({"a": torch.zeros(1000)}, part / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_disk_that_is_too_small_is_told_before_the_work(tmp_path: Path) -> None:
    check_room(tmp_path, 1)
    with pytest.raises(StorageError, match="takes 1000000000000 MB"):
        check_room(tmp_path, 10**18)


@pytest.mark.skipif(os.name == "nt", reason="permissions are another thing there")
def test_weights_can_be_read_by_whom_the_folder_can(tmp_path: Path) -> None:
    with new_folder(tmp_path / "model", replace=False) as part:
        save_file({"a": torch.zeros(1)}, part / "model.safetensors")
    weights = tmp_path / "model" / "model.safetensors"
    readable = stat.S_IMODE((tmp_path / "model").stat().st_mode) & 0o444
    assert stat.S_IMODE(weights.stat().st_mode) & 0o444 == readable
