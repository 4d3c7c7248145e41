"""docs/training-data.md runs: its files are written, its commands print what it shows, its tables name what there is."""

import ast
import re
import shlex
import shutil
from pathlib import Path
from typing import get_args

import pytest

from harness.cli import _parser, main
from harness.cli.distillation import MAX_TOKENS
from harness.config import Settings
from harness.dataset.convert import SOURCES
from harness.dataset.lines import MAX_LINE_BYTES
from harness.dataset.mistakes import Category
from harness.dataset.near_duplicates import LEAST_RATIO
from harness.testing import FaultyEndpoint

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "training-data.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
STEPS = re.findall(r"^\$ harness (.*)\n((?:(?!\$).*\n)*?)\(exit status (\d)\)$", CONSOLE, re.MULTILINE)
WRITTEN_URL = "http://127.0.0.1:8000/v1"
# The functions and records by which checks say what they found; the first text they are given is its name.
TOLD_BY = {"Finding", "_Kind", "_finding", "left_out"}


def test_every_command_prints_what_the_guide_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "fixtures" / "support", tmp_path / "support")
    assert len(STEPS) == CONSOLE.count("$ harness ") >= 8
    with FaultyEndpoint("We will look into it today.") as endpoint:
        for name, text in FILES:
            (tmp_path / name).write_text(text.replace(WRITTEN_URL, endpoint.base_url), encoding="utf-8")
        for command, shown, status in STEPS:
            assert main(shlex.split(command)) == int(status), command
            printed = capsys.readouterr().out
            for line in shown.splitlines():
                assert line.removesuffix("...") in printed, (command, line)
    assert (tmp_path / "report.html").exists()
    assert [row.count('"role"') for row in (tmp_path / "distilled.jsonl").read_text().splitlines()] == [2, 2]


def first_column(heading: str) -> list[str]:
    (section,) = re.findall(rf"^### {heading}\n(.*?)(?=^##)", GUIDE, re.DOTALL | re.MULTILINE)
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_every_category_of_mistakes_is_explained() -> None:
    assert first_column("Mistakes") == list(get_args(Category))


def test_every_finding_is_explained_and_no_other() -> None:
    names = first_column("Findings")
    assert len(names) == len(set(names))
    assert set(names) == {
        name for file in (ROOT / "harness" / "dataset").rglob("*.py") for name in names_told(file)
    }


def names_told(file: Path) -> set[str]:
    calls = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    told = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in TOLD_BY]
    given = [
        value
        for call in told
        for value in [*call.args[:1], *(item.value for item in call.keywords if item.arg == "name")]
    ]
    texts = {value.value for value in given if isinstance(value, ast.Constant)}
    return {text for text in texts if isinstance(text, str)}


@pytest.mark.parametrize(("command", "title"), [("check", "Check"), ("distill", "Distill")])
def test_every_option_is_in_its_table(command: str, title: str, capsys: pytest.CaptureFixture[str]) -> None:
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## )", GUIDE, re.DOTALL | re.MULTILINE)
    with pytest.raises(SystemExit):
        _parser().parse_args(["data", command, "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert len(options) >= 8
    assert {option for option in options if not re.search(rf"`{option}\b", section)} == set()


def test_numbers_and_names_of_the_guide_are_the_codes() -> None:
    assert f"longer than {MAX_LINE_BYTES // 2**20} MB" in GUIDE
    assert f"share {LEAST_RATIO:.0f} % of" in GUIDE
    assert f"{MAX_TOKENS:,} by default" in GUIDE
    assert f"the configured one, {Settings().budget_usd:g} USD" in GUIDE
    (sources,) = re.findall(r"`--from` takes (.*?)\. Nothing", GUIDE, re.DOTALL)
    assert set(re.findall(r"`([\w-]+)`", sources)) == set(SOURCES)


def test_links_within_the_guide_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in GUIDE.splitlines()
        if line.startswith("#")
    }
    links = re.findall(r"\]\(#([\w-]+)\)", GUIDE)
    assert links
    assert set(links) <= headings
