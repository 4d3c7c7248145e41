from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.evals import load_suite

SUITE = """\
name: desks
scorers:
{scorers}
cases:
  - {{id: a, prompt: "?", expected: bug}}
gates:
  - {{metric: {metric}, at_least: 0.8}}
"""
DESK = "  - {type: label, name: desk, labels: [bug, sales]}"
MOOD = "  - {type: label, name: mood, labels: [bug, sales]}"
TEXT = "  - {type: exact_match}"


def load(tmp_path: Path, metric: str, *scorers: str) -> str:
    """What is wrong with a suite of these scorers and a gate on this metric; nothing when it is fine."""
    path = tmp_path / "desks.suite.yaml"
    path.write_text(SUITE.format(scorers="\n".join(scorers), metric=metric), encoding="utf-8")
    try:
        load_suite(path)
    except SuiteError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("metric", ["macro_f1", "desk.macro_f1"])
def test_macro_f1_is_a_metric_of_a_label_scorer(tmp_path: Path, metric: str) -> None:
    assert load(tmp_path, metric, DESK, TEXT) == ""


def test_macro_f1_is_unknown_without_a_label_scorer(tmp_path: Path) -> None:
    said = load(tmp_path, "macro_f1", TEXT)
    assert "desks.suite.yaml:7" in said
    assert "unknown metric 'macro_f1'" in said


def test_macro_f1_of_two_label_scorers_must_say_which(tmp_path: Path) -> None:
    said = load(tmp_path, "macro_f1", DESK, MOOD)
    assert "2 scorers report 'macro_f1'" in said
    assert "say desk.macro_f1 or mood.macro_f1" in said
    assert load(tmp_path, "mood.macro_f1", DESK, MOOD) == ""
