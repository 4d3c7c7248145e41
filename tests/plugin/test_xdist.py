from conftest import SUITE, Project

# Two worker processes import the harness: these tests are few because each costs seconds.


def test_workers_ask_once_and_the_controller_writes_every_row(project: Project) -> None:
    guard = SUITE.format(role="guard").replace("name: capitals", "name: capitals-guard\nsystem: Be brief.")
    project.suite("guard", guard)
    result = project.run("-n", "2")
    assert project.requests == 16, "each worker asks for the suites it runs, and for no other"
    run = project.stored()
    assert len(run.results) == 16
    assert run.manifest.status == "complete"
    assert set(run.manifest.selected) == {"capitals", "capitals-guard"}
    result.stdout.fnmatch_lines(["verdict: *"])
