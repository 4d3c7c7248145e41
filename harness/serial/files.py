"""Digests of data and files, and writing files in one step."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from pathlib import Path

# How `write_atomic` calls a file it has not finished: a dot, the name, twelve digits of its own.
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{12}")


def canonical(value: object) -> str:
    """JSON text that is the same for equal values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON of plain data, in hex."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        state = hashlib.sha256()
        while block := file.read(1 << 20):
            state.update(block)
        return state.hexdigest()


def write_atomic(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader or a crash never meets half of it.

    Raises:
        OSError: The folder is read-only or the disk is full; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        # Created here rather than by mkstemp, so that the user's own file permissions (umask) hold.
        with unfinished.open("x", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError):
            # Of a write that fails the system tells no name, and of an open the unfinished file's.
            error.filename = str(path)
        raise


def sweep(folder: Path, *, older_than_s: float = 0.0) -> None:
    """Delete what `write_atomic` left unfinished in a folder when its process was killed.

    Args:
        folder: The folder; nothing below it is looked at.
        older_than_s: Younger ones stay: where other processes write too, they may be at work on them.
    """
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            with contextlib.suppress(OSError):
                if older_than_s <= 0 or time.time() - path.stat().st_mtime > older_than_s:
                    path.unlink()
