"""docs/local-server.md runs from its first line to its last, against a server of its own with a tiny model."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli import _parser, main
from harness.cli.serve import _greeting
from harness.localserver.api.models import OPENAI_BASES
from harness.localserver.jobs.defaults import BETA, LEARNING_RATE_MULTIPLIER, MIN_BATCH
from harness.localserver.jobs.queue import MAX_CRASHES
from harness.localserver.launcher import LocalServer, launch
from harness.localserver.offering import EMBEDDED
from harness.localserver.state.objects import EMBEDDED_DIGEST
from harness.localserver.training.trainer import RATES
from tests.localserver.tiny_model import write_tiny_model

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "local-server.md").read_text(encoding="utf-8")
WRITTEN_URL = "http://127.0.0.1:8000/v1"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for language, text in BLOCKS
    for line in text.splitlines()
    if not language and line.startswith("harness ")
]
EXPORTS = [command for command in COMMANDS if command[:2] == ["models", "export"]]
# Written for another version of the client, whose own tests run it.
OLD_CLIENT = "openai.api_base"
OUTSIDE = "PeftModel"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.gguf")


@pytest.fixture
def server(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    monkeypatch.chdir(tmp_path)
    state = tmp_path / "state"
    state.mkdir()
    command = [sys.executable, "-m", "harness.localserver", "--state", str(state), "--model", str(model)]
    with launch([*command, "--name", EMBEDDED, "--openai-names"], log=tmp_path / "server.log") as running:
        yield running


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_guide_runs_from_its_first_line_to_its_last(server: LocalServer, model: Path, tmp_path: Path) -> None:
    names: dict[str, object] = {}
    for block in PYTHON:
        if OLD_CLIENT in block or OUTSIDE in block:
            continue
        # Nothing is slept through: the tiny model is trained in the time a nap takes.
        code = block.replace(WRITTEN_URL, server.base_url).replace("time.sleep(2)", "time.sleep(0.02)")
        exec(compile(code, "docs/local-server.md", "exec"), names)
    with names["client"]:  # type: ignore[attr-defined]
        told(names)
    for command in EXPORTS:
        local = ["--state", str(tmp_path / "state"), "--base", str(model)]
        assert main([*command, *local]) == 0
    (outside,) = (block for block in PYTHON if OUTSIDE in block)
    exec(compile(outside, "docs/local-server.md", "exec"), names)


def told(names: dict[str, object]) -> None:
    """What the text around the blocks says came true."""
    for job in ("job", "long"):
        assert names[job].model == EMBEDDED  # type: ignore[attr-defined]
    assert names["job"].status == "succeeded"  # type: ignore[attr-defined]
    assert re.fullmatch(rf"ft:{EMBEDDED}:local:tickets:\w{{8}}", str(names["tuned"]))
    assert names["team"] in {"billing", "bug", "feature"}
    assert names["long"].status == "cancelled"  # type: ignore[attr-defined]
    assert {row["custom_id"] for row in names["answers"]} == {  # type: ignore[attr-defined]
        *("ticket-0", "ticket-1", "ticket-2")
    }
    assert all(row["response"]["status_code"] == 200 for row in names["answers"])  # type: ignore[attr-defined]


def test_old_client_has_its_two_lines() -> None:
    (block,) = (block for block in PYTHON if OLD_CLIENT in block)
    assert [line for line in block.splitlines() if line.startswith("openai.")] == [
        f'openai.api_base = "{WRITTEN_URL}"',
        'openai.api_key = "local"',
    ]


def test_greeting_of_the_guide_is_the_servers() -> None:
    (shown,) = (text for language, text in BLOCKS if not language and text.startswith("serving "))
    event = {
        "base_url": WRITTEN_URL,
        "model": EMBEDDED,
        "weights": EMBEDDED_DIGEST,
        "device": "cpu",
        "threads": 2,
        "state": "/home/you/.harness/local-server",
        "aliases": len(OPENAI_BASES),
    }
    assert shown.splitlines() == list(_greeting(event, key_variable=None))


def test_readme_points_a_script_at_the_server_as_the_guide_does() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = (line.strip() for line in GUIDE.splitlines() if line.startswith("  export OPENAI_BASE_URL"))
    assert f"\n{line} " in readme
    assert "(docs/local-server.md)" in readme


def test_links_within_the_guide_lead_somewhere() -> None:
    headings = {
        line.lstrip("# ").lower().replace(" ", "-") for line in GUIDE.splitlines() if line.startswith("#")
    }
    links = re.findall(r"\]\(#([\w-]+)\)", GUIDE)
    assert links
    assert set(links) <= headings


def test_every_command_of_the_guide_is_one() -> None:
    assert len(COMMANDS) >= 6
    for command in COMMANDS:
        _parser().parse_args(command)


def test_numbers_of_the_guide_are_the_codes() -> None:
    assert f"at least {MIN_BATCH}" in GUIDE
    assert f"of {RATES['supervised']} (DPO {RATES['dpo']:.4f})" in GUIDE
    assert f"`auto` is {LEARNING_RATE_MULTIPLIER}" in GUIDE
    assert f"| `beta`, `auto` | not told | {BETA} |" in GUIDE
    assert f"killed {MAX_CRASHES} times" in GUIDE


def test_names_the_guide_calls_aliases_are() -> None:
    for name in re.findall(r'model="((?:gpt|davinci)[\w.-]+)"', GUIDE):
        assert name in OPENAI_BASES
