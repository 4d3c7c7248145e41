import json

import pytest
from conftest import SUITE, Project

WARNING = "warning: suites/guarded.suite.yaml:2: margin 0.05, the default of a guard suite, cannot be shown with 4 cases"


@pytest.fixture
def guarded(project: Project) -> Project:
    project.suite("guarded", SUITE.format(role="guard").replace("name: capitals", "name: guarded"))
    return project


def test_a_margin_that_cannot_be_shown_is_told_by_collect_only_once_and_nothing_is_asked(
    guarded: Project,
) -> None:
    result = guarded.run("--collect-only")
    assert result.ret == pytest.ExitCode.OK
    assert result.stdout.str().count(WARNING) == 1
    assert guarded.requests == 0


def test_a_run_tells_it_once_before_it_asks_and_keeps_it_in_the_manifest(guarded: Project) -> None:
    text = guarded.run().stdout.str()
    assert text.count(WARNING) == 1
    assert text.index(WARNING) < text.index("= harness =")
    (kept,) = (warning for warning in guarded.stored().manifest.warnings if "margin" in warning)
    assert f"warning: {kept}" in text
    assert "about 176 cases, or margin" in kept


def test_a_suite_that_is_not_selected_is_not_told_of(guarded: Project) -> None:
    assert WARNING not in guarded.run("--collect-only", "-k", "capitals").stdout.str()


def test_json_of_a_run_has_it(guarded: Project) -> None:
    guarded.run()
    manifest = json.loads((guarded.stored().path / "manifest.json").read_text(encoding="utf-8"))  # type: ignore[operator]
    assert any("guarded.suite.yaml:2: margin 0.05" in warning for warning in manifest["warnings"])
