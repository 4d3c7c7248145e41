import hashlib
import os
import stat
from pathlib import Path

import pytest

from harness.serial import canonical, digest, file_digest, sweep, write_atomic


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"b": 1, "a": [1, "é"]}) == digest({"a": [1, "é"], "b": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})


def test_digest_is_the_same_in_every_version() -> None:
    """Stored runs and caches are found by it: whoever changes it throws them away."""
    value = {"b": [1, 2.5, None, True], "a": "é漢"}
    text = '{"a":"é漢","b":[1,2.5,null,true]}'
    assert canonical(value) == text
    assert digest(value) == hashlib.sha256(text.encode()).hexdigest()
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_text_no_file_can_hold_has_a_digest() -> None:
    assert digest("\ud800") != digest("\ufffd")


def test_nan_has_no_digest() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": float("nan")})


def test_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "big"
    data = b"0123456789abcdef" * (1 << 17)
    path.write_bytes(data)
    assert file_digest(path) == hashlib.sha256(data).hexdigest()


def test_written_file_has_unix_line_ends_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_atomic(path, "é\nb\n")
    assert path.read_bytes() == "é\nb\n".encode()
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]


def test_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    write_atomic(path, "old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["file.txt"]


def test_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ctrl_c(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file.txt", "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_those_of_the_users_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomic(tmp_path / "file.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o666 & ~umask


def test_what_a_killed_write_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    left = [".file.txt.0123456789ab", ".index.html.ba9876543210"]
    others = [
        "file.txt",
        ".lock",
        ".promoted.json.lock",
        ".file.0123",
        ".file.txt.0123456789abc",
        "a.0123456789ab",
    ]
    for name in (*left, *others):
        (tmp_path / name).touch()
    sweep(tmp_path, older_than_s=3600)
    assert all((tmp_path / name).exists() for name in left), "somebody may be writing them"
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
