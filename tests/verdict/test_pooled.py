"""All guards as one."""

from dataclasses import replace

import numpy as np
import pytest

from harness.records import SuiteVerdict
from harness.verdict import decide
from harness.verdict.intervals import augmented_interval, t_interval
from harness.verdict.pairedtests import p_augmented, p_below
from harness.verdict.pooled import POOLED, POOLED_MARGIN, judge_pooled, pooled_difference
from harness.verdict.rules import weigh
from harness.verdict.scores import SuiteScores
from tests.verdict.samples import scores


def guard(
    name: str, *, gained: int = 0, lost: int = 0, right: int, cases: int, weight: float = 1.0
) -> SuiteScores:
    """Cases won, cases lost, cases both get right, and the others, which both get wrong."""
    same = [1.0] * right + [0.0] * (cases - gained - lost - right)
    made = scores(
        name,
        "guard",
        candidate=[1.0] * gained + [0.0] * lost + same,
        reference=[0.0] * gained + [1.0] * lost + same,
    )
    return replace(made, weight=weight)


def pooled(*guards: SuiteScores) -> SuiteVerdict:
    found = judge_pooled([weigh(suite) for suite in guards], alpha=0.05)
    assert found is not None
    return found


def test_scores_and_difference_are_the_guards_by_their_weights() -> None:
    first = guard("a", gained=2, lost=6, right=32, cases=80, weight=3.0)
    found = pooled(first, guard("b", gained=5, lost=1, right=10, cases=20))
    assert (found.name, found.role, found.cases, found.margin) == (POOLED, "guard", 100, POOLED_MARGIN)
    assert found.candidate == pytest.approx((3 * 34 / 80 + 15 / 20) / 4)
    assert found.reference == pytest.approx((3 * 38 / 80 + 11 / 20) / 4)
    assert found.difference == pytest.approx((3 * -4 / 80 + 4 / 20) / 4)
    assert (found.better, found.worse) == (7, 7)


@pytest.mark.parametrize(
    ("lost", "cases", "decision", "rule"),
    [
        (0, 400, "pass", "augmented t"),
        (1, 30, "undecided", "augmented t"),
        (9, 60, "fail", "paired t"),
    ],
)
def test_a_loss_is_ruled_out_or_shown_or_open(lost: int, cases: int, decision: str, rule: str) -> None:
    suites = [guard(name, lost=lost, right=cases // 2, cases=cases) for name in ("a", "b")]
    found = pooled(*suites)
    assert (found.decision, found.rule) == (decision, rule)
    total = pooled_difference([weigh(suite) for suite in suites])
    assert (p_augmented(total, -POOLED_MARGIN) <= 0.05) == (decision == "pass")
    assert (p_below(total) <= 0.05) == (decision == "fail")
    # The interval is that of the test that decided.
    interval_of = t_interval if decision == "fail" else augmented_interval
    assert found.interval == interval_of(total, confidence=0.9)


def test_guards_without_a_test_and_other_roles_are_not_among_them() -> None:
    blind = scores("blind", "guard", candidate=[np.nan] * 9, reference=[1.0] * 9)
    critical = scores("safety", "critical", candidate=[1.0] * 50, reference=[1.0] * 50)
    assert judge_pooled([weigh(blind), weigh(critical)], alpha=0.05) is None
    assert pooled(guard("a", right=40, cases=50), blind, critical).cases == 50


def test_the_reason_counts_the_cases_of_all() -> None:
    same = guard("a", right=10, cases=20)
    assert "on 40 cases" in pooled(same, replace(same, name="b")).reason
    verdict = decide([same, replace(same, name="b")])
    assert verdict.pooled is not None
    assert verdict.pooled.reason.endswith("no sign of harm, but a loss of 3 points is not ruled out")
