"""Where may an export be written? Into a folder that is new or empty; it appears there whole, or not at all."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from harness.errors import StorageError, UsageError

# A folder that has one of these was made by an export, or is a model: replacing it is what the caller asked for.
_MODEL_FILES = ("config.json", "adapter_config.json")


def check_free(folder: Path, *, replace: bool) -> None:
    """Make sure that nothing but an earlier model would be overwritten, and that only when asked for.

    Raises:
        UsageError: Something else lies there, or `replace` was not said.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder}: is a file", remedy="name a folder")
    if Path.cwd().is_relative_to(folder):
        raise UsageError(f"{folder}: the current folder lies in it", remedy="name a folder of its own")
    if next(folder.iterdir(), None) is None:
        return
    if not any((folder / name).is_file() for name in _MODEL_FILES):
        raise UsageError(f"{folder}: holds something else than a model", remedy="name a new folder")
    if not replace:
        raise UsageError(f"{folder}: holds a model already", remedy="--force replaces it")


@contextlib.contextmanager
def new_folder(folder: Path, *, replace: bool) -> Iterator[Path]:
    """An empty folder beside `folder` that takes its place when the block ends well, and else is gone.

    Args:
        folder: The place, as a resolved path.
        replace: Whether a model that lies there is replaced.

    Raises:
        UsageError: The place is taken; see `check_free`.
        StorageError: Something in the block, or the folder itself, could not be written.
    """
    check_free(folder, replace=replace)
    part = _beside(folder, "part")
    try:
        part.mkdir(parents=True)
        yield part
        for weights in part.rglob("*.safetensors"):
            # The safetensors library keeps what it writes to its owner; a server of another user is to read it too.
            weights.chmod(part.stat().st_mode & 0o666)
        _put_in_place(part, folder)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StorageError(
            f"{folder}: cannot be written: {reason}", remedy="choose another folder, or free disk space"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_room(folder: Path, needed_bytes: int) -> None:
    """Say before minutes of work that the disk is too small for it.

    Raises:
        StorageError: It is.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise StorageError(
            f"{folder.parent}: the export takes {needed_bytes / 1e6:.0f} MB, and {free_bytes / 1e6:.0f} MB are free",
            remedy="choose another folder, or free disk space",
        )


def _put_in_place(part: Path, folder: Path) -> None:
    if not folder.exists():
        part.rename(folder)
        return
    old = _beside(folder, "old")
    folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path, purpose: str) -> Path:
    return folder.with_name(f".{folder.name}.{purpose}-{secrets.token_hex(4)}")
