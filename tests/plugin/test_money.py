from conftest import Project


def test_second_run_asks_nothing(project: Project) -> None:
    project.run()
    assert project.requests == 8
    project.run()
    assert project.requests == 8


def test_no_cache_asks_anew(project: Project) -> None:
    project.run()
    project.run("--no-cache")
    assert project.requests == 16


def test_estimate_prints_requests_and_cost_and_asks_nothing(project: Project) -> None:
    result = project.run("--estimate")
    result.stdout.fnmatch_lines(
        ["candidate: acme/tuned: 4 requests, * prompt tokens, *", "in all about * USD (*"]
    )
    assert result.ret == 0
    assert project.requests == 0
    assert not (project.pytester.path / "reports").exists()


def test_run_over_budget_asks_nothing_and_exits_2(project: Project) -> None:
    result = project.run("--budget-usd", "0.0001")
    assert result.ret == 2
    assert project.requests == 0
    assert "the budget is 0.0001 USD; nothing was asked" in result.stdout.str()


def test_cached_answers_do_not_count_against_the_budget(project: Project) -> None:
    project.run()
    result = project.run("--budget-usd", "0.0001")
    assert result.ret != 2


def test_estimate_runs_no_test_written_in_python(project: Project) -> None:
    (project.pytester.path / "suites" / "capitals.suite.yaml").unlink()
    test = project.pytester.path / "suites" / "test_dry.py"
    test.write_text("def test_it(candidate):\n    candidate.ask('Capital of Peru?')\n", encoding="utf-8")
    result = project.run("--estimate")
    result.stdout.fnmatch_lines(["what 1 tests written in Python may ask is not counted"])
    assert project.requests == 0
