from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.records import Gate, GateFinding, Result, Role, Score, ScorerSpec, Suite
from harness.serial import from_json, to_json
from harness.verdict import judge_gate, verdict_of
from harness.verdict.classification import SAME_EVERYWHERE, label_findings, macro_f1_scorer
from tests.verdict.samples import answer, failure, run_of, suite_of

DESK = ScorerSpec(
    type="label", name="desk", settings={"labels": ["bug", "退款", "sales"], "aliases": {"错误": "bug"}}
)
WORDING = {"bug": "错误", "退款": "退款。", "sales": "Sales"}


def desks(expected: Sequence[str], **changes: object) -> Suite:
    """A suite whose cases expect these labels, each in another wording."""
    suite = suite_of(len(expected), scorers=[DESK])
    cases = tuple(
        replace(case, expected=WORDING[label]) for case, label in zip(suite.cases, expected, strict=True)
    )
    return replace(suite, cases=cases, **changes)  # type: ignore[arg-type]


def read(
    suite: Suite, labels: Sequence[str | None], *, role: Role = "candidate", trial: int = 0
) -> list[Result]:
    """One answer per case, read as these labels; None is an invalid answer."""
    return [
        answer(
            suite, row, role=role, trial=trial, scores={"desk": Score(value=0.0, reason="read", answer=label)}
        )
        for row, label in enumerate(labels)
    ]


def gate(suite: Suite, rows: Sequence[Result], **bounds: float) -> GateFinding:
    by_role: dict[Role, list[Result]] = {"candidate": [], "base": []}
    for row in rows:
        by_role[row.role].append(row)
    return judge_gate(suite, Gate(metric="macro_f1", **bounds), results=by_role, reference="base")


EXPECTED = ["bug", "退款"] * 12


def test_confusion_has_a_row_per_label_and_a_column_for_invalid_answers() -> None:
    suite = desks(["bug", "bug", "退款", "退款", "退款"])
    (finding,) = label_findings(
        run_of(suite, results=read(suite, ["bug", "sales", "退款", None, "退款"])), reference="base"
    )
    assert finding.labels == ("bug", "退款", "sales")
    assert finding.figures["candidate"].confusion == ((1, 0, 1, 0), (0, 2, 0, 1), (0, 0, 0, 0))
    # bug: 2·1/(1 + 2); 退款: 2·2/(2 + 3); sales has no case.
    assert finding.figures["candidate"].macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_few_cases_of_a_label_leave_the_interval_out_and_say_so() -> None:
    suite = desks(["bug"] * 9 + ["退款"] * 10)
    rows = [*read(suite, ["bug"] * 19), *read(suite, ["退款"] * 19, role="base")]
    (finding,) = label_findings(run_of(suite, results=rows), reference="base")
    assert finding.note == "too few cases for an interval of macro-F1, below 10: bug 9"
    assert (finding.interval, finding.figures["candidate"].interval) == (None, None)
    assert finding.difference is not None


def test_difference_is_paired() -> None:
    suite = desks(EXPECTED)
    base = [label if row % 3 else None for row, label in enumerate(EXPECTED)]
    candidate = [label if row % 6 else None for row, label in enumerate(EXPECTED)]
    rows = [*read(suite, candidate), *read(suite, base, role="base")]
    (finding,) = label_findings(run_of(suite, results=rows), reference="base")
    assert finding.note == ""
    assert finding.difference is not None
    assert finding.interval is not None
    assert 0 < finding.interval[0] < finding.difference < finding.interval[1]
    for role in ("candidate", "base"):
        assert finding.figures[role].interval is not None


def test_model_that_answers_the_same_has_no_interval_of_the_difference() -> None:
    suite = desks(EXPECTED)
    rows = [*read(suite, EXPECTED), *read(suite, EXPECTED, role="base")]
    (finding,) = label_findings(run_of(suite, results=rows), reference="base")
    assert (finding.difference, finding.interval, finding.note) == (0, None, SAME_EVERYWHERE)


def test_difference_rests_on_the_cases_both_answered() -> None:
    suite = desks(EXPECTED)
    wrong = [None, *EXPECTED[1:]]
    rows = [*read(suite, wrong), *read(suite, EXPECTED, role="base")[1:], failure(suite, 0, role="base")]
    (finding,) = label_findings(run_of(suite, results=rows), reference="base")
    assert finding.difference == 0, "the candidate's miss is of a case that the base did not answer"


def test_families_are_drawn_whole_and_too_few_of_them_are_named() -> None:
    suite = desks(EXPECTED, family="customer")
    cases = tuple(replace(case, metadata={"customer": row // 6}) for row, case in enumerate(suite.cases))
    suite = replace(suite, cases=cases)
    (finding,) = label_findings(run_of(suite, results=read(suite, [None, *EXPECTED[1:]])), reference="base")
    assert finding.figures["candidate"].interval is None
    rows = [*read(suite, [None, *EXPECTED[1:]]), *read(suite, EXPECTED, role="base")]
    (finding,) = label_findings(run_of(suite, results=rows), reference="base")
    assert finding.note == "too few families for an interval of macro-F1, below 10: 4"


def test_trials_of_a_case_share_it_out() -> None:
    suite = desks(["bug", "退款"], trials=2)
    rows = [*read(suite, ["bug", "退款"]), *read(suite, [None, "退款"], trial=1)]
    (finding,) = label_findings(run_of(suite, results=rows), reference="base")
    assert finding.figures["candidate"].confusion == ((0.5, 0, 0, 0.5), (0, 1, 0, 0), (0, 0, 0, 0))


def test_verdict_carries_the_findings_through_json() -> None:
    suite = desks(EXPECTED)
    run = run_of(suite, results=[*read(suite, EXPECTED), *read(suite, [None] * 24, role="base")])
    verdict = verdict_of(run)
    assert [finding.scorer for finding in verdict.classifications] == ["desk"]
    assert from_json(type(verdict), to_json(verdict)) == verdict


def test_run_without_a_label_scorer_has_none() -> None:
    suite = suite_of(2, scorers=[ScorerSpec(type="exact_match", name="exact_match")])
    assert label_findings(run_of(suite, results=[]), reference="base") == ()


@pytest.mark.parametrize(
    "settings", [{}, {"labels": "bug"}, {"labels": [1, 2]}, {"labels": ["a", "b"], "aliases": []}]
)
def test_settings_edited_into_nonsense_are_no_labels(settings: dict[str, object]) -> None:
    suite = suite_of(2, scorers=[replace(DESK, settings=settings)])
    assert label_findings(run_of(suite, results=[]), reference="base") == ()
    assert gate(suite, [], at_least=0.5).decision == "undecided"


# --- gates -----------------------------------------------------------------------------------------


def test_gate_on_macro_f1_says_value_and_interval() -> None:
    suite = desks(EXPECTED)
    rows = read(suite, [None, None, *EXPECTED[2:]])
    finding = gate(suite, rows, at_least=0.9)
    assert finding.decision == "pass"
    assert finding.value == pytest.approx(22 / 23)
    assert finding.interval is not None
    assert finding.reason.startswith("routing: macro_f1 is 0.9565 (likely 0.8")
    assert gate(suite, rows, at_least=0.96).decision == "fail"


def test_rare_label_counts_as_much_as_a_frequent_one() -> None:
    suite = desks(["bug"] * 98 + ["退款"] * 2)
    finding = gate(suite, read(suite, ["bug"] * 100), at_least=0.9)
    assert finding.decision == "fail"
    assert finding.value == pytest.approx((2 * 98 / 198) / 2)
    assert "too few cases for an interval of macro-F1, below 10: 退款 2" in finding.reason


def test_missing_answers_leave_the_gate_open_only_if_they_could_change_it() -> None:
    suite = desks(EXPECTED)
    rows = [*read(suite, EXPECTED)[:-1], failure(suite, 23)]
    assert gate(suite, rows, at_least=0.9).decision == "pass"
    open_ = gate(suite, rows, at_least=0.99)
    assert open_.decision == "undecided"
    assert "1 case not answered, which leaves this open" in open_.reason
    assert gate(suite, [*read(suite, [None] * 24)[:-1], failure(suite, 23)], at_least=0.5).decision == "fail"
    assert gate(suite, [], at_least=0.5).decision == "undecided"


def test_ratio_of_macro_f1_refers_to_the_reference() -> None:
    suite = desks(EXPECTED)
    rows = [*read(suite, EXPECTED), *read(suite, ["bug"] * 24, role="base")]
    assert gate(suite, rows, at_least_ratio=2.9).decision == "pass"
    assert gate(suite, rows, at_least_ratio=3.1).decision == "fail"


def test_metric_names_the_scorer_where_there_are_several() -> None:
    other = replace(DESK, name="mood")
    suite = suite_of(1, scorers=[DESK, other])
    assert macro_f1_scorer(suite, "mood.macro_f1") == other
    assert macro_f1_scorer(suite, "desk.macro_f1") == DESK
    assert macro_f1_scorer(suite, "desk.macro_f2") is None
    own = suite_of(1, scorers=[replace(DESK, name="macro_f1")])
    assert macro_f1_scorer(own, "macro_f1") is None, "a scorer's own name is its mean value"
    assert macro_f1_scorer(suite_of(1, scorers=[ScorerSpec(type="regex", name="x")]), "macro_f1") is None
