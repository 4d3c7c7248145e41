"""Bombs, lines and tables that are too large: read or refused in seconds, in memory of the file's own order."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.bounds import SCALE

# The libraries take 300 MB; a hundred megabytes in a line may lie in memory a few times over.
LEVELS = {1: (100.0, 600), 100: (1200.0, 2000)}


def test_no_file_takes_long_or_much_memory(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("the child measures its memory as Unix does")
    level = 100 if SCALE > 1 else 1
    seconds, megabytes = LEVELS[level]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.heavy", str(tmp_path), str(level)],
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == 21
    outcomes = {line["what"]: line["outcome"] for line in told}
    assert max(line["peak_mb"] for line in told) < megabytes, told
    for what in ("aliases of aliases", "merges of merges", "a deep suite", "deep cases", "a deep curve"):
        assert "nested too deeply" in outcomes[what]
    assert "columns" in outcomes["a curve of many columns"]
    assert outcomes["an answer of one line"] == "read"
