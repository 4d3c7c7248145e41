"""The guide to training jobs knows every flag and action there is, and names none that is not."""

import argparse
import re
from pathlib import Path

import pytest

from harness.cli import _parser
from harness.config import ModelSettings, Settings, read_settings

GUIDE = (Path(__file__).parents[2] / "docs" / "training-jobs.md").read_text(encoding="utf-8")


def parser_of(*names: str) -> argparse.ArgumentParser:
    parser = _parser()
    for name in names:
        (actions,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = actions.choices[name]
    return parser


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}


def test_every_flag_of_train_is_in_the_guide() -> None:
    for flag in flags_of(parser_of("train")) - {"--help"}:
        assert f"`{flag}" in GUIDE, flag


@pytest.mark.parametrize("action", ["show", "events", "metrics", "checkpoints", "cancel"])
def test_every_action_on_jobs_is_in_the_guide(action: str) -> None:
    assert f"harness jobs {action} " in GUIDE
    parser_of("jobs", action)


def test_every_flag_of_the_guide_exists() -> None:
    groups = (("train",), ("jobs",), ("models",), ("models", "list"), ("models", "delete"), ("data", "check"))
    known = set().union(*(flags_of(parser_of(*names)) for names in groups)) | {"--candidate", "--job"}
    assert set(re.findall(r"--[a-z][a-z-]+", GUIDE)) <= known


def test_table_of_the_guide_is_read(tmp_path: Path) -> None:
    (table,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    settings = read_settings(tmp_path)
    assert isinstance(settings, Settings)
    model = settings.models["acme"]
    assert isinstance(model, ModelSettings)
    assert model.price.train == 5.5
