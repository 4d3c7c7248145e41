"""Older versions of OpenAI's client, each in a folder of its own: installed once a machine, for all runs of the tests."""

import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs
from filelock import FileLock

CACHE = Path(platformdirs.user_cache_dir("finetune-harness")) / "clients"
# Compiled dependencies belong to one version of Python.
PYTHON = f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"
# A dozen packages of thirty megabytes together, over a slow line.
TIMEOUT_S = 300


class UnavailableError(Exception):
    """pip could not get the client; the message is its own."""


def installed(version: str) -> Path:
    """The folder to put on the path for this version of `openai`.

    Raises:
        UnavailableError: It is not in the cache and pip could not fetch it.
    """
    folder = CACHE / version / PYTHON
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unfinished-") as scratch:
                _install(version, Path(scratch) / "client")
                (Path(scratch) / "client").rename(folder)
    return folder


def _install(version: str, target: Path) -> None:
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-warn-conflicts"),
        *("--retries", "2", "--target", str(target), f"openai=={version}"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"pip needed more than {TIMEOUT_S} s for openai {version}") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it left no message"]
        raise UnavailableError(f"pip cannot install openai {version}: {last[0]}")
