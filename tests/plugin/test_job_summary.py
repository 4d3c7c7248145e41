"""What a run leaves beside its rows and page: a summary, an index, and the CI job's summary where there is one."""

import json
from pathlib import Path

import pytest
from conftest import Project

from harness.report import outputs


def job(project: Project, monkeypatch: pytest.MonkeyPatch, text: str = "# before\n") -> Path:
    """A CI job's file of summaries, as an earlier step left it."""
    file = project.pytester.path / "job.md"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    return file


def test_run_appends_its_summary_to_the_jobs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    file = job(project, monkeypatch)
    project.run()
    text = file.read_text(encoding="utf-8")
    run = project.stored().manifest.id
    assert text.startswith("# before\n## ❔ UNDECIDED: `acme/tuned`\n")
    assert "`capitals` target" in text
    assert f"page `reports/{run}/index.html`" in text


def test_configured_language_is_that_of_what_a_run_writes_by_itself(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = job(project, monkeypatch)
    project.configure('lang = "zh"')
    result = project.run()
    run = project.stored()
    assert run.path is not None
    assert '<html lang="zh-Hans">' in (run.path / "index.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in (run.path.parent / "index.html").read_text(encoding="utf-8")
    assert "## ❔ 无法判定: `acme/tuned`" in file.read_text(encoding="utf-8")
    assert any(line.startswith("verdict: ") for line in result.outlines), "a terminal is told in English"


def test_summary_that_cannot_be_written_is_one_warning(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.pytester.path))
    result = project.run()
    lines = [line for line in result.outlines if "the summary of the job cannot be written" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: ")
    assert result.ret == pytest.ExitCode.TESTS_FAILED, "the gate's own status"
    assert (project.stored().path or Path()).joinpath("index.html").is_file()


def test_estimate_and_collection_leave_the_jobs_summary_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = job(project, monkeypatch)
    project.run("--estimate")
    project.run("--collect-only")
    assert file.read_text(encoding="utf-8") == "# before\n"


def test_run_leaves_its_facts_and_the_page_over_all_runs(project: Project) -> None:
    project.run()
    folder = project.stored().path
    assert folder is not None
    facts = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert facts["run"] == folder.name
    assert facts["outcome"] == "undecided"
    index = (folder.parent / "index.html").read_text(encoding="utf-8")
    assert f'href="{folder.name}/index.html"' in index


def test_broken_index_and_summary_fail_no_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(outputs, "write_index", broken)
    monkeypatch.setattr(outputs, "facts_of", broken)
    job(project, monkeypatch)
    result = project.run()
    warnings = [line for line in result.outlines if "cannot be written: a bug" in line]
    assert len(warnings) == 2
    assert "verdict: UNDECIDED" in result.stdout.str()
    assert project.stored().manifest.status == "complete"


def test_page_of_somebody_else_in_the_folder_of_reports_stays(project: Project) -> None:
    reports = project.pytester.path / "reports"
    reports.mkdir()
    (reports / "index.html").write_text("mine", encoding="utf-8")
    result = project.run()
    assert (reports / "index.html").read_text(encoding="utf-8") == "mine"
    result.stdout.fnmatch_lines(["warning: the page of all runs cannot be written: *index.html is not ours*"])
