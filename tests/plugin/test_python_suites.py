import re
import sys
from pathlib import Path

import pytest
from conftest import Project
from test_trouble import BRITTLE

README = Path(__file__).parent.parent.parent / "README.md"


@pytest.fixture
def python_suite(project: Project) -> Project:
    (project.pytester.path / "suites" / "capitals.suite.yaml").unlink()
    (project.pytester.path / "suites" / "test_dry.py").write_text(
        """
def test_knows_peru(candidate, base, score):
    answer = candidate.ask("Capital of Peru?", max_tokens=5)
    given = score(answer, {"type": "exact_match"}, expected="Lima")
    assert given.value == 1.0
    score(base.ask("Capital of Peru?"), {"type": "exact_match"}, expected="Lima")


def test_without_a_judge(judge):
    raise AssertionError("never reached")
""",
        encoding="utf-8",
    )
    return project


def test_scores_of_python_tests_land_in_the_run(python_suite: Project) -> None:
    result = python_suite.run("-rs")
    result.stdout.fnmatch_lines(["*this run has no judge model*"])
    run = python_suite.stored()
    rows = {(row.suite, row.case, row.role): row.scores["exact_match"].value for row in run.results}
    assert rows == {
        ("test_dry", "test_knows_peru", "candidate"): 1.0,
        ("test_dry", "test_knows_peru", "base"): 0.0,
    }
    assert run.manifest.suites[0].role == "info"


def test_sampling_of_ask_reaches_the_endpoint(python_suite: Project) -> None:
    python_suite.run()
    assert python_suite.candidate.bodies[0]["max_tokens"] == 5


def test_python_tests_alone_promote_nothing(python_suite: Project) -> None:
    assert python_suite.run().ret == 1


def test_example_of_the_readme_runs(python_suite: Project) -> None:
    found = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    example = next(text for text in found if "candidate.ask" in text)
    (python_suite.pytester.path / "suites" / "test_dry.py").write_text(example, encoding="utf-8")
    python_suite.candidate._answers = "Hello."
    python_suite.run().assert_outcomes(passed=1)
    assert [row.scores["length"].value for row in python_suite.stored().results] == [1.0]


def test_scores_of_python_tests_are_in_the_table(python_suite: Project) -> None:
    result = python_suite.run()
    result.stdout.fnmatch_lines(["test_dry  info      1   0.0      100.0 *"])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "score('Lima', {'type': 'exact_match'})",
            "score(...): not an answer (give what candidate.ask(...) returned)",
        ),
        (
            "candidate.ask('Capital of Peru?', max_token=5)",
            "ask(...): max_token: unknown key, did you mean 'max_tokens'?",
        ),
        (
            "score(candidate.ask('Capital of Peru?'), {'type': 'exact_mach'})",
            "score(...): type: unknown scorer 'exact_mach', did you mean 'exact_match'?*",
        ),
        (
            "score(candidate.ask('Capital of Peru?'), {'type': 'broken:Broken'})",
            "broken:Broken raised ValueError: too long",
        ),
    ],
)
def test_mistake_in_a_call_is_a_sentence_and_no_traceback(
    python_suite: Project, monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    monkeypatch.syspath_prepend(str(python_suite.pytester.path))
    broken = BRITTLE.replace("Brittle", "Broken").replace('"peru"', "case.id")
    (python_suite.pytester.path / "broken.py").write_text(broken, encoding="utf-8")
    test = python_suite.pytester.path / "suites" / "test_dry.py"
    test.write_text(f"def test_it(candidate, score):\n    {line}\n", encoding="utf-8")
    sys.modules.pop("test_dry", None)
    result = python_suite.run()
    result.assert_outcomes(failed=1)
    place = "" if told.startswith("broken:") else "test_dry.py:2: "
    result.stdout.fnmatch_lines([f"{place}{told}"])
    assert "harness/" not in result.stdout.str().partition("FAILURES")[2].partition("= harness =")[0]


def test_editing_a_python_suite_makes_another_run(python_suite: Project) -> None:
    test = python_suite.pytester.path / "suites" / "test_dry.py"
    text = test.read_text(encoding="utf-8") + "\n\ndef test_broken():\n    raise AssertionError\n"
    test.write_text(text, encoding="utf-8")
    python_suite.run("-x")
    first = python_suite.stored().manifest
    assert first.status == "interrupted"
    test.write_text(text.replace('expected="Lima"', 'expected="Lyma"'), encoding="utf-8")
    sys.modules.pop("test_dry", None)
    python_suite.run("-x", "-k", "peru or broken or judge")
    assert python_suite.stored().manifest.plan != first.plan
