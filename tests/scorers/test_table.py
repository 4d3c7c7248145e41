from typing import ClassVar

import pytest
from judging import judge

from harness.protocols import Scorer
from harness.records import Case, Completion, Score, ScorerSpec, record
from harness.scorers import BUILT_IN, Label, build, metric_names
from harness.serial import ParseError, Problem


@record
class Shouting:
    """A scorer of a user's own, in a user's own module."""

    at_most: int = 0
    measures: ClassVar[tuple[str, ...]] = ("capitals",)

    def score(self, case: Case, completion: Completion) -> Score:
        capitals = sum(map(str.isupper, completion.text))
        return Score(
            value=float(capitals <= self.at_most),
            reason=f"{capitals} capitals",
            measures={"capitals": capitals},
        )


def spec(kind: str, **settings: object) -> ScorerSpec:
    return ScorerSpec(type=kind, name="x", settings=settings)


def problems_of(entry: ScorerSpec) -> tuple[Problem, ...]:
    with pytest.raises(ParseError) as caught:
        build(entry)
    return caught.value.problems


def test_settings_become_the_record() -> None:
    scorer = build(spec("label", labels=["bug", "billing"], aliases={"bugs": "bug"}))
    assert scorer == Label(labels=("bug", "billing"), aliases={"bugs": "bug"})


def test_own_class_is_found_by_module_and_name() -> None:
    scorer = build(spec("test_table:Shouting", at_most=2))
    assert isinstance(scorer, Scorer)
    assert judge(scorer, "HEY").value == 0
    assert metric_names(spec("test_table:Shouting")) == ("x", "capitals")


def test_metrics_are_the_entrys_name_and_the_measures() -> None:
    assert metric_names(ScorerSpec(type="refusal", name="polite")) == (
        "polite",
        "refusal_rate",
        "cannot_rate",
        "refute_rate",
        "partial_rate",
    )


def test_unknown_type_gets_the_nearest_name() -> None:
    (problem,) = problems_of(spec("exactmatch"))
    assert problem.path == ("type",)
    assert problem.what == "unknown scorer 'exactmatch'"
    assert "did you mean 'exact_match'?" in problem.remedy


def test_every_wrong_setting_is_reported_at_its_key() -> None:
    problems = problems_of(spec("length", unit="hanz", at_leats=1, at_most="many"))
    assert {problem.path for problem in problems} == {("unit",), ("at_leats",), ("at_most",)}


def test_contradicting_settings_are_a_problem_of_the_entry() -> None:
    (problem,) = problems_of(spec("regex", pattern="(("))
    assert problem.path == ()
    assert "not a regular expression" in problem.what


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("no_such_module:X", "cannot import 'no_such_module': ModuleNotFoundError"),
        ("test_table:Shoutin", "'test_table' has no record 'Shoutin'"),
        ("test_table:spec", "'test_table' has no record 'spec'"),
        ("test_table:", "'test_table' has no record ''"),
        (":X", "cannot import ''"),
    ],
)
def test_own_class_that_cannot_be_had_is_a_problem_of_the_type(kind: str, what: str) -> None:
    (problem,) = problems_of(spec(kind))
    assert problem.path == ("type",)
    assert what in problem.what


def test_record_that_is_no_scorer_is_refused() -> None:
    (problem,) = problems_of(spec("harness.records:Usage"))
    assert "no scorer" in problem.what


def test_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        BUILT_IN["mine"] = Shouting  # type: ignore[index]
