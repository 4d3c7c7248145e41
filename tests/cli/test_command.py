import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stored_runs import store

from harness import errors
from harness.cli import main, printable, runs

HEAVY = ("openai", "pandas", "sklearn", "matplotlib", "torch", "numpy", "pydantic", "yaml", "scipy", "pytest")


def run(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=60,
        check=False,
    )


def test_module_is_the_command(tmp_path: Path) -> None:
    done = run("runs", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "no runs yet: `pytest suites/` makes one\n")
    assert done.stderr == ""


def test_help_lists_the_commands_and_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from harness.cli import main\n"
        "try: main(['--help'])\n"
        f"except SystemExit: print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    for command in ("runs", "show", "gate", "report", "serve"):
        assert f"\n    {command} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_quick(tmp_path: Path) -> None:
    """The best of three, because the machine may be busy."""

    def seconds() -> float:
        started = time.perf_counter()
        assert run("--help", cwd=tmp_path).returncode == 0
        return time.perf_counter() - started

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize(
    "arguments",
    [[], ["rums"], ["show"], ["gate", "a", "b"], ["runs", "--jsn"], ["serve", "--port", "x"], ["--verbose"]],
)
def test_wrong_call_is_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: harness" in capsys.readouterr().err


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("harness ")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UsageError("p", remedy="r"), 2),
        (errors.SuiteError("s", [errors.Mistake(1, "p", "r")]), 2),
        (errors.EndpointError("p", remedy="r"), 3),
        (errors.StorageError("p", remedy="r"), 1),
        (errors.BudgetError("p", remedy="r"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_trouble_has_its_own_status(
    error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(runs, "list_command", fail)
    assert main(["runs"]) == status
    assert "Traceback" not in capsys.readouterr().err


def test_problem_and_remedy_are_told_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise errors.UsageError("it\x1b[31m is wrong", remedy="mend it")

    monkeypatch.setattr(runs, "list_command", fail)
    main(["runs"])
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "harness: it\\x1b[31m is wrong\n  mend it\n")


def test_printable_keeps_letters_of_every_script_and_line_ends() -> None:
    assert printable("字 é 😀\nb") == "字 é 😀\nb"
    assert printable("a\x1b]0;x\x07\u202eb\r") == "a ]0;x  b "


@pytest.mark.skipif(os.name == "nt", reason="pipes end differently on Windows")
def test_reader_that_went_away_is_no_error(tmp_path: Path) -> None:
    for number in range(3):
        store(tmp_path / "reports", f"2026030{number + 1}T120000Z-x-000{number}")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness", "runs"],
            cwd=tmp_path,
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_terminal_that_cannot_show_a_character_gets_its_escape(tmp_path: Path) -> None:
    store(tmp_path / "reports", "20260301T120000Z-x-0001", model="模型")
    done = run("runs", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert r"\u6a21\u578b" in done.stdout
