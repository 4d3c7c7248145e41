import pytest
from conftest import SUITE, Project

from harness.pytest_plugin import suite_files


def test_cases_then_gates_are_items(project: Project) -> None:
    result = project.run("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "suites/capitals.suite.yaml::france",
            "suites/capitals.suite.yaml::peru",
            "suites/capitals.suite.yaml::chad",
            "suites/capitals.suite.yaml::japan",
            "suites/capitals.suite.yaml::gate[[]target[]]",
            "suites/capitals.suite.yaml::gate[[]exact_match>=0.5[]]",
        ]
    )
    assert project.requests == 0


def test_mistakes_of_a_suite_fail_collection_with_lines_and_nothing_is_asked(project: Project) -> None:
    project.suite("broken", SUITE.format(role="targt").replace("exact_match}", "exact_mach}"))
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "suites/broken.suite.yaml:2: role: 'targt' is not one of *did you mean 'target'?",
            "suites/broken.suite.yaml:3: scorers.0.type: unknown scorer 'exact_mach'*did you mean 'exact_match'?*",
        ]
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert project.requests == 0


def test_good_suites_run_beside_a_broken_one_when_pytest_is_told_to(project: Project) -> None:
    project.suite("broken", "name: [")
    project.run("--continue-on-collection-errors")
    assert len(project.stored().results) == 8


def test_two_suites_of_one_name_are_refused(project: Project) -> None:
    project.suite("again", SUITE.format(role="target"))
    result = project.run()
    assert result.ret != 0
    assert "two suites are called 'capitals'" in result.stdout.str() + result.stderr.str()


def test_wrong_setting_is_told_with_its_line_and_nothing_runs(project: Project) -> None:
    project.configure("concurency = 3")
    project.suite("second", SUITE.format(role="guard").replace("capitals", "second"))
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    text = result.stdout.str() + result.stderr.str()
    assert "harness.toml:3: concurency: unknown key, did you mean 'concurrency'?" in text
    assert "Traceback" not in text
    assert text.count("did you mean") == 1, "told once, however many suites there are"


def test_unrelated_session_is_left_alone(project: Project) -> None:
    project.pytester.makepyfile(test_other="def test_it(): pass")
    result = project.pytester.runpytest_inprocess("test_other.py")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*harness*=*")
    assert not (project.pytester.path / "reports").exists()


def test_users_own_fixture_named_candidate_wins(project: Project) -> None:
    project.pytester.makepyfile(
        test_other="""
        import pytest

        @pytest.fixture
        def candidate():
            return "mine"

        def test_it(candidate):
            assert candidate == "mine"
        """
    )
    assert project.pytester.runpytest_inprocess("test_other.py").ret == 0
    assert project.requests == 0


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ((), ["capitals", "old/former", "old/more/last"]),
        (("--ignore=suites/old",), ["capitals"]),
        (("--ignore-glob=*/form*",), ["capitals", "old/more/last"]),
        (("-o", "norecursedirs=more"), ["capitals", "old/former"]),
        (("--ignore=suites/capitals.suite.yaml",), ["old/former", "old/more/last"]),
    ],
)
def test_suites_are_looked_for_where_pytest_collects(
    project: Project, flags: tuple[str, ...], found: list[str]
) -> None:
    folder = project.pytester.path / "suites"
    (folder / "old" / "more").mkdir(parents=True)
    (folder / "old" / "back").symlink_to(folder, target_is_directory=True)
    project.suite("old/former", SUITE.format(role="guard"))
    project.suite("old/more/last", SUITE.format(role="guard"))
    config = project.pytester.parseconfig("suites", *flags)
    names = [path.relative_to(folder).as_posix() for path in suite_files(config)]
    assert names == [f"{name}.suite.yaml" for name in found]


def test_a_suite_that_is_named_is_found_though_ignored(project: Project) -> None:
    config = project.pytester.parseconfig("suites/capitals.suite.yaml", "--ignore=suites")
    assert [path.name for path in suite_files(config)] == ["capitals.suite.yaml"]


def test_a_suite_file_with_another_ending_is_told(project: Project) -> None:
    project.suite("again", SUITE.format(role="target"))
    folder = project.pytester.path / "suites"
    (folder / "again.suite.yaml").rename(folder / "again.suite.yml")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["suites/again.suite.yml:1: suite files end in .suite.yaml, rename it to again.suite.yaml"]
    )
    assert project.requests == 0
