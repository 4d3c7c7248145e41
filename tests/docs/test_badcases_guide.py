"""docs/badcases.md runs: its files are written, its commands print what it shows, its options are those there are."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import _parser, badcases, main
from harness.evals import Plan, RunWriter, case_digest, load_suite, new_manifest
from harness.protocols import Scorer
from harness.records import Completion, ModelFacts, Result, Role
from harness.scorers import build
from harness.vetting.readings import READ_ROWS

GUIDE = (Path(__file__).parents[2] / "docs" / "badcases.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE))
STEPS = re.findall(r"^\$ harness (.*)\n((?:(?!\$).*\n)*?)\(exit status (\d)\)$", CONSOLE, re.MULTILINE)
ROLES: tuple[Role, ...] = ("candidate", "base")


def store_run(folder: Path) -> None:
    """A run in which no model knows an answer to the guide's suite."""
    suite = load_suite(folder / "desk.suite.yaml")
    models = {role: ModelFacts(model=role, endpoint="test") for role in ROLES}
    plan = Plan(suites=(suite,), selected={suite.name: suite.cases}, models=models)
    manifest = new_manifest(plan, root=folder, skipped={}, job=None, data={})
    writer = RunWriter(folder / "reports", replace(manifest, id="20260101T000000Z-desk"))
    (spec,) = suite.scorers
    scorer = build(spec)
    assert isinstance(scorer, Scorer)
    answer = Completion(text="I do not know.")
    for case in suite.cases:
        for role in ROLES:
            writer.append(
                Result(
                    suite=suite.name,
                    case=case.id,
                    role=role,
                    model=role,
                    trial=0,
                    digest=case_digest(suite, case),
                    outcome=answer,
                    scores={spec.name: scorer.score(case, answer)},
                )
            )
    writer.finish("complete")


def test_every_command_prints_what_the_guide_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES:
        (tmp_path / name).write_text(text, encoding="utf-8")
    store_run(tmp_path)
    assert len(STEPS) == CONSOLE.count("$ harness ") == 3
    for command, shown, status in STEPS:
        assert main(shlex.split(command)) == int(status), command
        printed = capsys.readouterr().out
        for line in shown.splitlines():
            for part in line.split("..."):
                assert part in printed, (command, line, printed)


def test_every_option_is_in_the_table_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["badcases", "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", GUIDE, re.MULTILINE))
    assert f"{badcases.NEIGHBOURS} by default; a reading rests on {READ_ROWS}" in GUIDE
    assert f"a case, {badcases.SIBLINGS} by default" in GUIDE


def test_every_reading_is_explained() -> None:
    (table,) = re.findall(r"^\| reading \|.*?\n\n", GUIDE, re.DOTALL | re.MULTILINE)
    told = re.findall(r"^\| ([A-Z, ]+) \|", table, re.MULTILINE)
    assert told == [word for word in badcases._WORDS.values() if word.isupper()]
