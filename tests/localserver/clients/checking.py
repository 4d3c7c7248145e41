"""Runs the checks of a file one after the other, under whatever version of the client is on the path.

`python checking.py FILE` prints one JSON object: for each `check_...` of the file what went wrong, or null. A process
of its own, because two versions of `openai` cannot be imported into one.
"""

import ast
import importlib.util
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

# All checks of a file together, on a machine that does other things too.
TIMEOUT_S = 120


def names(file: Path) -> list[str]:
    """The checks in a file, read without running it."""
    return [
        item.name
        for item in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(item, ast.FunctionDef) and item.name.startswith("check_")
    ]


def outcomes(file: Path, base_url: str, api_key: str, *, client: Path | None = None) -> dict[str, str | None]:
    """What went wrong in each check of the file, with the client of that folder or else the one that is installed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
    environment |= {"OPENAI_API_KEY": api_key, "OPENAI_BASE_URL": base_url, "OPENAI_API_BASE": base_url}
    if client:
        environment["PYTHONPATH"] = str(client)
    done = subprocess.run(
        [sys.executable, __file__, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def main(file: Path) -> None:
    """Run every check of the file."""
    spec = importlib.util.spec_from_file_location("checks", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = {name: _outcome(getattr(module, name)) for name in names(file)}
    sys.stdout.write(json.dumps(found))


def _outcome(check: object) -> str | None:
    try:
        check()  # type: ignore[operator]
    except Exception:  # noqa: BLE001 - whatever it is, the test that has this check's name tells it
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
