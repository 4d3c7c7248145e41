"""The README keeps its promises: every flag, setting, scorer, fixture and command is there, and its examples run."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from harness.cli import _parser
from harness.config import FLAGS_ONLY, Settings, TrainingSettings, read_settings
from harness.evals import load_suite
from harness.pytest_plugin import FLAGS
from harness.scorers import BUILT_IN

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    found = [
        text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in text
    ]
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize("flag", [name for name, _ in FLAGS])
def test_flag_is_documented(flag: str) -> None:
    assert f"`{flag}`" in README


@pytest.mark.parametrize("name", [item.name for item in fields(Settings) if item.name not in FLAGS_ONLY])
def test_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in README or f"[tool.harness.{name}." in README


@pytest.mark.parametrize("name", [item.name for item in fields(TrainingSettings)])
def test_training_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("scorer", BUILT_IN)
def test_scorer_is_documented(scorer: str) -> None:
    assert f"`{scorer}`" in README


@pytest.mark.parametrize("fixture", ["candidate", "base", "promoted", "judge", "score"])
def test_fixture_is_documented(fixture: str) -> None:
    assert f"`{fixture}`" in README


def test_every_command_is_documented() -> None:
    actions = [action for action in _parser()._actions if action.choices]
    commands = [name for action in actions for name in action.choices or ()]
    assert len(commands) >= 5
    for name in commands:
        assert f"`harness {name}" in README


def test_suite_of_the_readme_loads(tmp_path: Path) -> None:
    path = tmp_path / "refunds.suite.yaml"
    path.write_text(block("yaml", "name: refunds"), encoding="utf-8")
    suite = load_suite(path)
    assert [case.id for case in suite.cases] == ["refund-1", "crash-1"]


def test_configuration_of_the_readme_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(block("toml", "models.acme"), encoding="utf-8")
    settings = read_settings(tmp_path)
    assert settings.models["acme"].price.output == 0.8


def test_the_two_commands_stand_at_the_top() -> None:
    head = README.splitlines()[:14]
    assert any('pip install -e ".[local]" && pytest suites/' in line for line in head)
    assert any('pip install -e ".[dev]"   && pytest' in line for line in head)
