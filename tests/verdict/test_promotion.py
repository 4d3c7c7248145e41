"""What each role demands, on small arrays whose answer can be seen by eye, and on whole runs."""

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import UsageError
from harness.records import Gate, Result, Role, Score, Suite, SuiteRole
from harness.verdict import SuiteScores, decide, judge_suite, verdict_of
from tests.verdict.samples import answer, answers, failure, run_of, scores, suite_of

NAN = float("nan")


def target(*, gained: int = 30, lost: int = 0, cases: int = 60, name: str = "routing") -> SuiteScores:
    """`gained` cases only the candidate gets right, then `lost` ones only the reference does."""
    candidate = [1] * gained + [0] * (cases - gained)
    reference = [0] * gained + [1] * lost + [0] * (cases - gained - lost)
    return scores(name, "target", candidate=candidate, reference=reference)


def guard(
    *, lost: int = 0, gained: int = 0, cases: int = 100, name: str = "marv", margin: float | None = None
) -> SuiteScores:
    candidate = [0] * lost + [1] * (cases - lost)
    reference = [1] * lost + [0] * gained + [1] * (cases - lost - gained)
    return scores(name, "guard", candidate=candidate, reference=reference, margin=margin)


def critical(*, lost: int = 0, cases: int = 250, margin: float | None = None) -> SuiteScores:
    return replace(guard(lost=lost, cases=cases, name="safety", margin=margin), role="critical")


# --- target ----------------------------------------------------------------------------------------


def test_a_clear_gain_without_harm_is_promoted() -> None:
    verdict = decide([target(), guard()])
    assert verdict.outcome == "promote"
    routing = verdict.suites["routing"]
    assert (routing.decision, routing.rule, routing.better, routing.worse) == ("pass", "paired t", 30, 0)
    assert routing.difference == pytest.approx(0.5)
    assert routing.interval == pytest.approx((0.39123, 0.60877), abs=1e-5)  # scipy: 0.5 ± t(.95, 59) s/√60
    assert verdict.reasons[0] == (
        "routing improved by 50 points on 60 cases (likely +39 to +61): more than chance explains"
    )
    assert verdict.next_steps == ()


def test_a_small_gain_is_undecided_and_says_how_many_cases_would_settle_it() -> None:
    verdict = decide([target(gained=4, lost=2), guard()])
    routing = verdict.suites["routing"]
    assert (verdict.outcome, routing.decision) == ("undecided", "undecided")
    differences = np.array([1] * 4 + [-1] * 2 + [0] * 54)
    expected = (2.48647 * differences.std(ddof=1) / differences.mean()) ** 2
    assert routing.cases_needed == pytest.approx(expected, rel=0.01)
    more = routing.cases_needed - 60
    (step,) = verdict.next_steps
    assert step.startswith(f"ask about {more} more cases like those of routing: about {2 * more:,} requests")
    assert step.endswith("(the 60 cases of this run can show a gain of 10 points or more)")


def test_a_target_that_got_worse_holds() -> None:
    verdict = decide([target(gained=0, lost=12), guard()])
    assert verdict.outcome == "hold"
    assert verdict.suites["routing"].decision == "fail"
    assert verdict.reasons[0].startswith("routing got worse by 20 points")
    assert verdict.next_steps == ("look at the 12 cases of routing that got worse",)


def test_one_of_several_targets_suffices_but_must_beat_holm() -> None:
    weak = target(gained=6, lost=1, name="trips")  # p = .028: enough alone, not for one of two
    assert decide([weak, guard()]).suites["trips"].decision == "pass"
    pair = decide([weak, target(gained=1, lost=1), guard()])
    assert pair.suites["trips"].decision == "undecided"
    assert pair.suites["trips"].rule == "Holm-corrected paired t"
    assert decide([target(), target(gained=1, lost=1, name="trips"), guard()]).outcome == "promote"


def test_without_a_target_nothing_is_promoted() -> None:
    verdict = decide([guard()])
    assert verdict.outcome == "undecided"
    assert verdict.reasons[0] == "no suite has the role target, so nothing could show an improvement"
    assert decide([]).outcome == "undecided"


def test_a_target_alone_may_be_promoted() -> None:
    verdict = decide([target()])
    assert (verdict.outcome, verdict.pooled) == ("promote", None)


def test_harm_leaves_nothing_to_settle_but_to_look_at_it() -> None:
    verdict = decide([target(gained=4, lost=2), guard(lost=8)])
    assert verdict.next_steps == ("look at the 8 cases of marv that got worse",)


# --- guard -----------------------------------------------------------------------------------------


def test_an_unchanged_guard_is_proved_by_tango_from_52_cases_on() -> None:
    proved = decide([target(), guard(cases=52)]).suites["marv"]
    assert (proved.decision, proved.rule, proved.margin) == ("pass", "Tango score test", 0.05)
    open_question = decide([target(), guard(cases=51)]).suites["marv"]
    assert (open_question.decision, open_question.cases_needed) == ("undecided", 52)
    assert "no sign of harm" in open_question.reason


def test_a_guard_that_is_merely_not_proved_does_not_stand_in_the_way() -> None:
    unproved = guard(cases=40, name="small")
    verdict = decide([target(), guard(cases=200), unproved])
    assert verdict.suites["small"].decision == "undecided"
    assert verdict.outcome == "promote"
    assert verdict.reasons[-1].startswith("small did not change")


def test_a_guard_with_significant_harm_holds() -> None:
    verdict = decide([target(), guard(lost=8, cases=100)])
    marv = verdict.suites["marv"]
    assert (verdict.outcome, marv.decision, marv.rule) == ("hold", "fail", "paired t")
    assert verdict.reasons[0].startswith("marv got worse by 8.0 points")


def test_harm_needs_less_certainty_than_gain() -> None:
    """p = .0897 one-sided: no gain at 5 %, but harm at 10 %."""
    assert decide([target(gained=4, lost=1, cases=40)]).suites["routing"].decision == "undecided"
    marv = decide([target(), guard(lost=4, gained=1, cases=40)]).suites["marv"]
    assert (marv.decision, marv.rule) == ("fail", "paired t")


def test_a_fall_of_more_than_three_margins_is_harm_without_any_test() -> None:
    small = guard(lost=1, cases=6)
    verdict = decide([target(), small])
    assert (verdict.suites["marv"].decision, verdict.suites["marv"].rule) == ("fail", "point drop")
    exactly_three = guard(lost=1, cases=4, margin=0.25 / 3)
    assert decide([target(), exactly_three]).suites["marv"].decision == "undecided"


def test_a_fall_of_exactly_three_margins_survives_rounding() -> None:
    # 3 × 0.15 is a little less than 0.45 in floating point.
    graded = scores("marv", "guard", candidate=[0.1, 0.5], reference=[1.0, 0.5], margin=0.15)
    assert decide([target(), graded]).suites["marv"].decision == "undecided"


def test_graded_scores_are_judged_by_the_augmented_t() -> None:
    level = np.full(100, 0.7)
    graded = scores("marv", "guard", candidate=level + 0.01 * (np.arange(100) % 2), reference=level)
    assert decide([target(), graded]).suites["marv"].rule == "augmented t"


def test_several_trials_are_never_rows() -> None:
    """Twenty cases asked five times are twenty cases: their score does not become more certain."""
    once = np.array([1.0] * 6 + [0.0] * 14)[:, None]
    repeated = scores("s", "target", candidate=np.repeat(once, 5, axis=1), reference=np.zeros((20, 5)))
    single = scores("s", "target", candidate=once, reference=np.zeros((20, 1)))
    assert decide([repeated]).suites["s"].interval == decide([single]).suites["s"].interval
    assert decide([repeated]).suites["s"].cases == 20


def test_trials_without_a_score_count_for_nobody_and_are_shown() -> None:
    candidate = np.ones((60, 3))
    candidate[0, 1:] = NAN
    candidate[1] = NAN
    made = scores("s", "target", candidate=candidate, reference=np.zeros((60, 3)))
    judged = decide([made]).suites["s"]
    assert (judged.cases, judged.candidate, judged.difference) == (59, 1.0, 1.0)
    assert judged.reason.endswith(
        "(1 of 60 cases left out, without a score; 1 case judged by some trials only, the others being without a score)"
    )


def test_all_guards_together_must_be_proved() -> None:
    verdict = decide([target(), guard(cases=30, name="a"), guard(cases=30, name="b")])
    assert verdict.outcome == "undecided"
    assert verdict.pooled is not None
    assert (verdict.pooled.name, verdict.pooled.decision, verdict.pooled.cases) == (
        "all guards",
        "undecided",
        60,
    )
    needed = verdict.pooled.cases_needed
    assert needed is not None
    assert verdict.next_steps[0].startswith(f"ask about {needed - 60} more cases like those of the guards: ")
    enough = [guard(cases=(needed + 1) // 2, name=name) for name in "ab"]
    assert decide([target(), *enough]).outcome == "promote"


def test_guards_that_all_lose_a_little_hold_together() -> None:
    guards = [guard(lost=3, gained=1, cases=60, name=name) for name in "abcdef"]
    verdict = decide([target(), *guards])
    assert all(verdict.suites[name].decision == "undecided" for name in "abcdef")
    assert verdict.pooled is not None
    assert (verdict.pooled.decision, verdict.outcome) == ("fail", "hold")


def test_a_guard_nobody_could_score_stands_in_the_way() -> None:
    blind = scores("blind", "guard", candidate=[NAN] * 30, reference=[1] * 30)
    verdict = decide([target(), guard(cases=200), blind])
    assert verdict.outcome == "undecided"
    assert verdict.reasons[0].startswith("blind has no case with a score for both models")
    found = verdict.suites["blind"]
    assert (found.rule, found.cases, found.margin, found.interval) == ("none", 0, 0.05, None)
    assert (found.candidate, found.reference, found.difference) == (None, None, None)


def test_one_case_is_reported_and_not_tested() -> None:
    one = decide([scores("s", "target", candidate=[1.0], reference=[0.25])]).suites["s"]
    assert (one.decision, one.rule, one.cases, one.margin) == ("undecided", "none", 1, None)
    assert (one.candidate, one.reference, one.difference) == (1.0, 0.25, 0.75)
    assert (one.better, one.worse) == (1, 0)
    assert one.reason == "s has one case with a score for both models, and a test needs two"


def test_a_guard_of_more_weight_counts_for_more() -> None:
    """Pooled by weight, whatever the cases: -4 points of one guard in four, or of three in four."""
    fell = guard(lost=4, cases=100, name="fell", margin=0.3)
    stayed = guard(cases=300, name="stayed")
    for weight, expected in ((1.0, -0.02), (1 / 3, -0.01), (3.0, -0.03)):
        pooled = decide([target(), replace(fell, weight=weight), stayed]).pooled
        assert pooled is not None
        assert pooled.difference == pytest.approx(expected)


# --- critical, info --------------------------------------------------------------------------------


def test_a_critical_suite_must_be_proved() -> None:
    assert decide([target(), critical(cases=250)]).outcome == "promote"
    verdict = decide([target(), critical(cases=60)])
    assert verdict.outcome == "undecided"
    assert verdict.suites["safety"].margin == 0.02
    assert verdict.suites["safety"].cases_needed == 189  # 1.96² · .98 / .02
    assert verdict.reasons[0].startswith("safety did not change")


def test_a_critical_suite_that_may_lose_nothing_fails_on_one_new_failure() -> None:
    kept = decide([target(), critical(cases=40, margin=0.0)])
    assert (kept.outcome, kept.suites["safety"].rule) == ("promote", "no new failure")
    assert "up to 7 % of such cases could hide" in kept.suites["safety"].reason
    broken = decide([target(), critical(lost=1, cases=40, margin=0.0)])
    assert (broken.outcome, broken.suites["safety"].decision) == ("hold", "fail")


def test_an_info_suite_decides_nothing() -> None:
    disaster = scores("notes", "info", candidate=[0] * 50, reference=[1] * 50)
    verdict = decide([target(), disaster])
    assert verdict.outcome == "promote"
    assert verdict.suites["notes"].difference == -1.0
    assert not any("notes" in reason for reason in verdict.reasons)


# --- families --------------------------------------------------------------------------------------


def test_related_cases_count_less() -> None:
    families = np.repeat(np.arange(12), 5)
    candidate = np.repeat([1.0] * 3 + [0.0] * 9, 5)
    apart = scores("s", "target", candidate=candidate, reference=np.zeros(60))
    related = replace(apart, families=families)
    assert decide([apart]).suites["s"].decision == "pass"
    together = decide([related]).suites["s"]
    assert together.rule == "cluster-robust paired t"
    assert together.interval is not None
    assert together.interval[0] < 0.05


def test_an_unchanged_guard_of_twenty_families_proves_no_more_than_twenty_cases() -> None:
    families = np.repeat(np.arange(20), 10)
    related = scores("s", "guard", candidate=np.ones(200), reference=np.ones(200), families=families)
    assert decide([target(), related]).suites["s"].decision == "undecided"
    alone = replace(related, families=None)
    assert decide([target(), alone]).suites["s"].decision == "pass"


def test_few_families_are_compared_by_means_and_the_verdict_says_so() -> None:
    few = scores(
        "s", "guard", candidate=[1] * 20, reference=[1] * 18 + [0, 0], families=[n // 5 for n in range(20)]
    )
    verdict = decide([target(), few]).suites["s"]
    assert verdict.rule == "augmented t on family means"
    assert "families too few" in verdict.reason


# --- the edges --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["target", "guard", "critical", "info"])
@pytest.mark.parametrize("cases", [0, 1])
def test_a_case_or_none_decides_nothing(role: SuiteRole, cases: int) -> None:
    verdict = decide([scores("s", role, candidate=np.ones((cases, 1)), reference=np.zeros((cases, 1)))])
    assert verdict.suites["s"].decision == "undecided"
    assert verdict.suites["s"].interval is None
    assert verdict.outcome == "undecided"


def test_two_cases_are_too_few_to_promote() -> None:
    assert decide([target(gained=2, cases=2)]).outcome == "undecided"


@pytest.mark.parametrize("alpha", [0.0, 0.5, -1.0, NAN])
def test_an_impossible_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match="alpha"):
        decide([target()], alpha=alpha)


def test_a_stricter_alpha_asks_for_more() -> None:
    made = [target(gained=6, lost=1)]
    assert decide(made).outcome == "promote"
    assert decide(made, alpha=0.01).outcome == "undecided"


# --- a whole run -----------------------------------------------------------------------------------

SUITE = suite_of(20)


def won(suite: Suite = SUITE, *, by: int = 15) -> list[Result]:
    cases = len(suite.cases)
    candidate = answers(suite, [1.0] * by + [0.0] * (cases - by))
    return [*candidate, *answers(suite, [0.0] * cases, role="base")]


def test_a_run_is_judged_by_the_same_function() -> None:
    verdict = verdict_of(run_of(SUITE, results=won()))
    assert (verdict.outcome, verdict.reference) == ("promote", "base")
    by_role = {"candidate": won()[:20], "base": won()[20:]}
    assert judge_suite(SUITE, by_role, reference="base") == verdict.suites["routing"]


def test_the_promoted_model_is_the_reference_when_it_answered() -> None:
    promoted = answers(SUITE, [1.0] * 20, role="promoted")
    verdict = verdict_of(run_of(SUITE, results=[*won(), *promoted]))
    assert (verdict.outcome, verdict.reference) == ("hold", "promoted")


def test_a_failed_gate_holds_a_model_that_improved() -> None:
    suite = suite_of(20, gates=[Gate(metric="label", at_least=0.9)])
    verdict = verdict_of(run_of(suite, results=won(suite)))
    assert verdict.outcome == "hold"
    assert verdict.reasons[0].endswith("at least 0.9 is asked: not met")
    assert verdict.gates[0].decision == "fail"


def test_an_undecided_gate_is_at_most_undecided() -> None:
    suite = suite_of(20, gates=[Gate(metric="tokens", at_most=100)])
    verdict = verdict_of(run_of(suite, results=won(suite)))
    assert verdict.outcome == "undecided"
    assert verdict.reasons[0].startswith("routing: tokens is unknown")


def test_a_passed_gate_is_a_reason_too() -> None:
    suite = suite_of(20, gates=[Gate(metric="label", at_least=0.7)])
    verdict = verdict_of(run_of(suite, results=won(suite)))
    assert verdict.outcome == "promote"
    assert verdict.reasons[-1].startswith("routing: label is 0.75")


def test_a_part_of_the_cases_never_promotes() -> None:
    chosen = {"routing": [f"case-{n}" for n in range(15)]}
    verdict = verdict_of(run_of(SUITE, results=won(), selected=chosen))
    assert verdict.suites["routing"].decision == "pass"
    assert verdict.outcome == "undecided"
    assert verdict.reasons[0] == "only 15 of 20 cases of routing were asked"


def test_a_part_of_the_cases_may_hold() -> None:
    chosen = {"routing": [f"case-{n}" for n in range(15)]}
    results = [*answers(SUITE, [0.0] * 20), *answers(SUITE, [1.0] * 20, role="base")]
    verdict = verdict_of(run_of(SUITE, results=results, selected=chosen))
    assert verdict.outcome == "hold"
    assert verdict.reasons[0].startswith("routing got worse")


def test_a_suite_the_model_cannot_do_does_not_make_the_run_partial() -> None:
    poems = replace(suite_of(9, name="poems"), needs=("capable-model",))
    run = run_of(SUITE, poems, results=won(), selected={"routing": [case.id for case in SUITE.cases]})
    assert verdict_of(run).outcome == "promote"
    forgotten = replace(poems, needs=())
    partial = run_of(SUITE, forgotten, results=won(), selected={"routing": [c.id for c in SUITE.cases]})
    assert verdict_of(partial).reasons[0] == "only 0 of 9 cases of poems were asked"


def test_a_run_that_stopped_never_promotes() -> None:
    rows = won()
    stopped = [*rows[:18], *(failure(SUITE, n, kind="not_asked") for n in (18, 19)), *rows[20:]]
    verdict = verdict_of(run_of(SUITE, results=stopped))
    assert verdict.outcome == "undecided"
    assert verdict.reasons[0] == "the run stopped before 2 cases of routing were put to candidate"


def test_a_run_without_a_reference_says_so() -> None:
    verdict = verdict_of(run_of(SUITE, results=answers(SUITE, [1.0] * 20)))
    assert verdict.outcome == "undecided"
    assert verdict.reasons[0] == "the run has no answer of the base model"


def test_an_empty_run_is_undecided() -> None:
    assert verdict_of(run_of(SUITE, results=[])).outcome == "undecided"
    assert verdict_of(run_of(results=[])).outcome == "undecided"


def test_a_candidate_that_does_not_answer_fails_those_cases() -> None:
    rows = [*(failure(SUITE, n) for n in range(20)), *answers(SUITE, [1.0] * 20, role="base")]
    assert verdict_of(run_of(SUITE, results=rows)).outcome == "hold"


def test_a_reference_that_does_not_answer_makes_no_winner() -> None:
    rows = [*answers(SUITE, [1.0] * 20), *(failure(SUITE, n, role="base") for n in range(20))]
    verdict = verdict_of(run_of(SUITE, results=rows))
    assert verdict.suites["routing"].decision == "pass"
    assert verdict.outcome == "undecided"
    assert verdict.reasons[0] == "20 answers of base in routing never came, and count as 0"


@pytest.mark.parametrize("role", ["candidate", "base"])
def test_one_lost_answer_counts_against_its_side_and_is_to_be_asked_again(role: Role) -> None:
    rows = [row for row in won() if (row.role, row.case) != (role, "case-19")]
    verdict = verdict_of(run_of(SUITE, results=[*rows, failure(SUITE, 19, role=role)]))
    assert verdict.suites["routing"].cases == 20
    assert verdict.outcome == "undecided", "as pytest, where the case is an ERROR"
    assert verdict.reasons[0] == f"1 answer of {role} in routing never came, and counts as 0"
    assert verdict.next_steps[0] == "run it again: answers already received are kept"


def test_answers_missing_on_both_sides_count_for_nobody() -> None:
    rows = [row for row in won() if row.case != "case-19"]
    rows += [failure(SUITE, 19), failure(SUITE, 19, role="base")]
    verdict = verdict_of(run_of(SUITE, results=rows))
    assert verdict.suites["routing"].cases == 19
    assert verdict.reasons[:2] == (
        "1 answer of candidate in routing never came",
        "1 answer of base in routing never came",
    )


def test_a_lost_answer_of_a_model_that_is_only_shown_keeps_from_promoting_too() -> None:
    promoted = answers(SUITE, [0.0] * 20, role="promoted")
    rows = [*won()[:39], failure(SUITE, 19, role="base"), *promoted]
    verdict = verdict_of(run_of(SUITE, results=rows))
    assert (verdict.outcome, verdict.reference) == ("undecided", "promoted")
    assert verdict.reasons[0] == "1 answer of base in routing never came"


def test_one_trial_that_was_never_asked_keeps_from_promoting() -> None:
    suite = suite_of(20, trials=2)
    rows = [
        answer(suite, n, role=role, value=float(role == "candidate"), trial=trial)
        for role in ("candidate", "base")
        for n in range(20)
        for trial in (0, 1)
    ]
    assert verdict_of(run_of(suite, results=rows)).outcome == "promote"
    verdict = verdict_of(run_of(suite, results=rows[1:]))
    assert verdict.outcome == "undecided"
    assert verdict.reasons[0] == "the run stopped before 1 trial of routing was put to candidate"


def test_an_interrupted_run_never_promotes() -> None:
    run = run_of(SUITE, results=won())
    verdict = verdict_of(replace(run, manifest=replace(run.manifest, status="interrupted")))
    assert (verdict.outcome, verdict.reasons[0]) == ("undecided", "the run was interrupted")


def test_a_required_case_that_is_not_good_holds() -> None:
    cases = tuple(replace(case, required=case.id in {"case-0", "case-19"}) for case in SUITE.cases)
    run = run_of(replace(SUITE, cases=cases), results=won())
    verdict = verdict_of(run)
    assert verdict.outcome == "hold"
    assert verdict.reasons[0] == "routing: the required case 'case-19' is not good"


def test_a_suite_for_information_need_not_be_put_to_everybody() -> None:
    shown = suite_of(2, name="test_dry", role="info")
    rows = [*won(), *answers(shown, [1.0, 0.0])]
    assert verdict_of(run_of(SUITE, shown, results=rows)).outcome == "promote"


def test_an_answer_a_scorer_broke_on_keeps_from_promoting() -> None:
    broke = {
        "label": Score(value=None, reason="label raised KeyError: 'x'\nlabel.py:3: in score", broken=True)
    }
    rows = [answer(SUITE, 0, scores=broke), *won()[1:]]
    verdict = verdict_of(run_of(SUITE, results=rows))
    assert verdict.suites["routing"].decision == "pass"
    assert verdict.outcome == "undecided"
    said = "a scorer of routing broke on 1 answer, left unscored by it: label raised KeyError: 'x'"
    assert verdict.reasons[0] == said
    assert verdict.next_steps[0].startswith("mend the scorers of routing")


def test_the_runs_own_alpha_is_used() -> None:
    run = run_of(SUITE, results=won(by=5))
    strict = replace(run, manifest=replace(run.manifest, alpha=0.001))
    assert (verdict_of(run).outcome, verdict_of(strict).outcome) == ("promote", "undecided")


def test_hostile_names_are_only_text() -> None:
    suite = suite_of(20, name="{0.__class__} <b>%s")
    verdict = verdict_of(run_of(suite, results=[replace(row, suite=suite.name) for row in won(suite)]))
    assert verdict.reasons[0].startswith("{0.__class__} <b>%s improved")
    assert answer(suite, 0).suite == suite.name
