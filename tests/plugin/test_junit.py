"""What `--junitxml` holds: properties of cases and gates, in XML that every reader takes."""

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from conftest import CAPITALS, SUITE, Project

from harness.testing.endpoints import FaultyEndpoint


def properties(project: Project) -> dict[str, dict[str, str]]:
    """The properties of each test in the report, by the test's name."""
    tree = ET.parse(project.pytester.path / "junit.xml")
    return {
        case.attrib["name"]: {item.attrib["name"]: item.attrib["value"] for item in case.iter("property")}
        for case in tree.iter("testcase")
    }


def test_report_in_xml_tells_suite_change_scores_and_tags_of_a_case(project: Project) -> None:
    project.run("--junitxml=junit.xml")
    told = properties(project)
    assert told["france"] == {
        "suite": "capitals",
        "suite_role": "target",
        "kind": "case",
        "tags": "europe",
        "required": "yes",
        "change": "improved",
        "score_candidate": "1",
        "score_base": "0",
    }
    assert told["chad"]["change"] == "missed"
    assert told["chad"]["score_candidate"] == "0"


def test_report_in_xml_tells_why_a_gate_decided_also_when_it_passed(project: Project) -> None:
    project.run("--junitxml=junit.xml")
    gate = properties(project)["gate[exact_match>=0.5]"]
    assert gate["kind"] == "gate"
    assert gate["decision"] == "pass"
    assert "exact_match" in gate["reason"]


def test_report_in_xml_tells_of_an_answer_that_was_lost(
    project_with: Callable[[FaultyEndpoint], Project],
) -> None:
    project = project_with(FaultyEndpoint(CAPITALS, faults=[400] * 4))
    project.run("--junitxml=junit.xml")
    told = properties(project)["peru"]
    assert told["failure_candidate"] == "bad_request"
    assert "score_candidate" not in told


def test_control_characters_of_an_answer_leave_the_report_valid_xml(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = "\x00\x1b[31m ]]> & <b> \ufffe"
    with FaultyEndpoint({**CAPITALS, "Capital of France?": answer}) as candidate:
        project = Project(pytester, candidate)
        with project.base:
            project.configure()
            project.suite("capitals", SUITE.format(role="target").replace("europe", '"]]>&<b>\\x85"'))
            result = project.run("--junitxml=junit.xml")
    result.stdout.fnmatch_lines(["*the required case 'france' is not good*"])
    told = properties(project)["france"]
    assert told["change"] == "missed"
    assert told["tags"].startswith("]]>&<b>")
