"""What docs/faults.md shows works, and it names every fault there is."""

import contextlib
import re
import urllib.error
import urllib.request
from pathlib import Path

import harness.testing

GUIDE = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")


def test_the_example_runs_and_counts_what_was_asked() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    said: list[object] = []

    def ask_all(url: str) -> None:
        body = b'{"model": "m", "messages": [{"role": "user", "content": "2+2?"}]}'
        for _ in range(7):
            with contextlib.suppress(OSError, urllib.error.HTTPError):
                request = urllib.request.Request(f"{url}/chat/completions", body)
                with urllib.request.urlopen(request, timeout=5) as response:
                    response.read()

    def told(*values: object) -> None:
        if not said:
            ask_all(str(values[0]))
        said.extend(values)

    exec(compile(example, "docs/faults.md", "exec"), {"print": told})
    assert said[1:] == [7, 3], "the scripted answer twice, and the filtered one"


def test_the_table_has_every_named_fault() -> None:
    named = {name for name in harness.testing.__all__ if name.isupper()}
    assert named <= set(re.findall(r"`([A-Z_0-9]+)`", GUIDE))
