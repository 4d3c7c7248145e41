"""docs/migration.md runs from its first step to its last: its files are written, its commands print what it shows."""

import json
import re
import shlex
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from harness.cli import main
from harness.lineup import Seat, retirements_of
from harness.records import Endpoint
from harness.report.cautions import retirement_warnings
from harness.testing import FaultyEndpoint
from tests.training.provider import Provider, Reply

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
STEPS = re.findall(r"^\$ (\w+) (.*)\n((?:(?!\$).*\n)*?)\(exit status (\d)\)$", CONSOLE, re.MULTILINE)
WRITTEN_URL = "http://127.0.0.1:8000/v1"
OLD = "ft:gpt-4.1-mini-2025-04-14:acme:tickets:abc123"
TEAMS = ("billing", "bug", "feature")
CASES = 120


class OldProvider(Provider):
    """A provider that still has a job's training file."""

    def reply(self, method: str, url: str, body: bytes) -> Reply:
        if url.endswith("/fine_tuning/jobs/ftjob-abc123"):
            return 200, {"id": "ftjob-abc123", "object": "fine_tuning.job", "training_file": "file-1"}
        if url.endswith("/files/file-1/content"):
            return 200, {"messages": []}
        return super().reply(method, url, body)


def team(prompt: str) -> str:
    return TEAMS[int(prompt.split()[1]) % len(TEAMS)]


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the guide's files, prompts and cases of its own."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    path = pytester.path
    (path / "suites").mkdir()
    (path / "prompts.txt").write_text("\n".join(f"Letter {n} of a customer" for n in range(12)))
    (path / "instruction.txt").write_text("Route the ticket.")
    cases = ({"id": f"t{n}", "prompt": f"Ticket {n}", "expected": team(f"Ticket {n}")} for n in range(CASES))
    (path / "suites" / "tickets.jsonl").write_text("\n".join(map(json.dumps, cases)))
    return path


@pytest.fixture
def endpoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FaultyEndpoint, FaultyEndpoint]]:
    """The old model's endpoint, where OpenAI is said to be, and the new one's, which the guide's files name."""
    with FaultyEndpoint(team) as old, FaultyEndpoint(team) as new:
        monkeypatch.setenv("OPENAI_BASE_URL", old.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
        for name, text in FILES:
            (folder / name).write_text(text.replace(WRITTEN_URL, new.base_url), encoding="utf-8")
        yield old, new


def run_step(
    program: str, words: str, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    if program == "pytest":
        result = pytester.runpytest_inprocess(*shlex.split(words))
        capsys.readouterr()
        return int(result.ret), result.stdout.str()
    status = main(shlex.split(words))
    return status, capsys.readouterr().out


def test_every_command_prints_what_the_guide_shows(
    endpoints: tuple[FaultyEndpoint, FaultyEndpoint],
    pytester: pytest.Pytester,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new = endpoints
    assert len(STEPS) == CONSOLE.count("$ ") >= 6
    for program, words, shown, status in STEPS:
        ended, printed = run_step(program, words, pytester, capsys)
        assert ended == int(status), (words, printed)
        for line in shown.splitlines():
            assert line.removesuffix("...") in printed, (words, line, printed)
    assert (old.listings, new.listings) == (1, 1)
    # What the guide promises of the time after the last day: a later candidate needs nothing of the old model.
    asked = old.requests
    settings = pytester.path / "harness.toml"
    settings.write_text(settings.read_text().replace("acme/lora-7", "acme/lora-8"))
    later = pytester.runpytest_inprocess("suites/", "--promoted", "none")
    later.stdout.fnmatch_lines(["*verdict: EQUIVALENT (promote)*"])
    assert old.requests == asked


def test_training_files_are_fetched_and_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    fetch, train = PYTHON
    with OldProvider() as old, Provider() as new:
        monkeypatch.setenv("OPENAI_BASE_URL", old.base_url)
        exec(compile(fetch, "docs/migration.md", "exec"), {})
        assert json.loads((folder / "train.jsonl").read_text()) == {"messages": []}
        (folder / "distilled.jsonl").write_text("{}\n")
        code = train.replace(WRITTEN_URL, new.base_url).replace("sleep(2)", "sleep(0)")
        exec(compile(code, "docs/migration.md", "exec"), {})
    assert capsys.readouterr().out.startswith("ft:acme/base-8b:")


def test_the_warning_is_the_one_that_is_given() -> None:
    (shown,) = re.findall(r"^```\n(warning: .*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    seat = Seat(model=OLD, endpoint=Endpoint(label="openai"), price={})
    (said,) = retirement_warnings(retirements_of({"base": seat}, {}), on=date(2026, 11, 23))
    assert " ".join(shown.split()) == f"warning: {said}"


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", GUIDE):
        assert (ROOT / "docs" / target).is_file(), target
