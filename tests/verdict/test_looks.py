from dataclasses import replace

import numpy as np
import pytest

from harness.records import Looks, Run
from harness.verdict import Look, decide, look_sizes, stop_sentence, verdict_of, why_stop
from harness.verdict.rules import judge_suites, weigh
from harness.verdict.scores import SuiteScores, look_of, scores_of
from tests.verdict.samples import answers, run_of, scores, suite_of

FIRST, SECOND, THIRD, LAST = (Look(shares=(0.25, 0.5, 0.75, 1.0)[:number]) for number in (1, 2, 3, 4))


def at(look: Look, suite: SuiteScores) -> SuiteScores:
    return replace(suite, look=look)


def spread(cases: int, better: int, worse: int) -> tuple[list[float], list[float]]:
    """So many cases gained and lost, the others alike."""
    candidate = [1.0] * better + [0.0] * worse + [1.0] * (cases - better - worse)
    reference = [0.0] * better + [1.0] * worse + [1.0] * (cases - better - worse)
    return candidate, reference


def target(cases: int, *, better: int, worse: int, name: str = "target") -> SuiteScores:
    candidate, reference = spread(cases, better, worse)
    return scores(name, "target", candidate=candidate, reference=reference)


def guard(
    cases: int, *, better: int = 0, worse: int = 0, role: str = "guard", margin: float = 0.05
) -> SuiteScores:
    candidate, reference = spread(cases, better, worse)
    return scores(role, role, candidate=candidate, reference=reference, margin=margin)  # type: ignore[arg-type]


def why(*suites: SuiteScores) -> str | None:
    return why_stop(suites, decide(suites))


def test_looks_are_at_quarters_rounded_up() -> None:
    assert look_sizes([1] * 100) == (25, 50, 75, 100)
    assert look_sizes([1] * 50) == (13, 25, 38, 50)
    assert look_sizes([1] * 2) == (1, 1, 2, 2)


def test_a_family_is_never_cut() -> None:
    assert look_sizes([10, 10, 10, 10, 10]) == (20, 30, 40, 50)
    assert look_sizes([90, 10]) == (90, 90, 90, 100)


@pytest.mark.parametrize(("look", "net"), [(FIRST, -1), (SECOND, 0), (THIRD, 2)])
def test_a_run_without_hope_stops_and_one_with_some_goes_on(look: Look, net: int) -> None:
    goes_on, stops = target(50, better=6 + net, worse=6), target(50, better=4 + net, worse=6)
    assert why(at(look, goes_on)) is None
    assert why(at(look, stops)) == "the other cases are not expected to show that target improved"


def test_a_look_demands_more_of_a_win_than_the_end() -> None:
    gain = target(40, better=11, worse=2)
    assert decide([gain]).outcome == "promote"
    assert decide([at(FIRST, gain)]).outcome == "undecided"
    assert decide([at(LAST, gain)]).outcome == "promote"


def test_a_great_gain_stops_as_soon_as_all_is_shown() -> None:
    gain, kept = target(60, better=40, worse=0), guard(400)
    assert why(at(SECOND, gain), at(SECOND, kept)) == "what there is to show is shown"
    assert why(at(SECOND, gain), at(SECOND, guard(12))) is None, "the guards are not proved yet"


def test_a_winner_waits_for_a_guard_that_looks_harmed() -> None:
    gain, kept = at(SECOND, target(60, better=40, worse=0)), guard(400)
    fell = replace(at(SECOND, guard(30, better=1, worse=6)), name="fell")
    kept = replace(at(SECOND, kept), weight=100.0)
    assert decide([gain, kept, fell]).outcome == "promote"
    assert why(gain, kept, fell) is None
    assert why(gain, kept) == "what there is to show is shown"


def test_harm_stops_whatever_the_target_does() -> None:
    harmed = guard(60, worse=40)
    assert why(at(SECOND, target(60, better=40, worse=0)), at(SECOND, harmed)) == (
        "the other cases could not make up for what was found"
    )


def test_one_target_with_hope_keeps_the_others_going() -> None:
    lost, hopeful = target(50, better=2, worse=9, name="lost"), target(50, better=9, worse=5, name="hopeful")
    assert why(at(SECOND, lost), at(SECOND, hopeful)) is None
    assert why(at(SECOND, lost), at(SECOND, replace(lost, name="too"))) == (
        "the other cases are not expected to show that lost or too improved"
    )


def test_guards_that_cannot_be_proved_stop_a_run() -> None:
    said = why(at(SECOND, target(50, better=9, worse=5)), at(SECOND, guard(50, better=4, worse=7)))
    assert said == "the other cases are not expected to show that all guards together lose less than 3 points"


def test_a_critical_suite_that_cannot_be_proved_stops_a_run() -> None:
    critical = guard(50, better=3, worse=6, role="critical", margin=0.02)
    said = why(at(SECOND, target(50, better=9, worse=5)), at(SECOND, critical))
    assert said == "the other cases are not expected to show that critical loses less than 2 points"


def test_a_migration_needs_no_improvement() -> None:
    alike = at(SECOND, target(100, better=3, worse=2))
    assert why_stop([alike], decide([alike], goal="migration")) is None
    assert why(alike) is None or "improved" in str(why(alike))


def test_too_few_cases_for_a_test_say_nothing_yet() -> None:
    assert why(at(FIRST, target(1, better=0, worse=1))) is None


def test_a_fall_of_three_margins_is_harm_only_at_the_last_look() -> None:
    fell = guard(12, better=2, worse=4)
    assert decide([target(12, better=1, worse=1), fell]).suites["guard"].rule == "point drop"
    early = decide([at(FIRST, target(12, better=1, worse=1)), at(FIRST, fell)]).suites["guard"]
    assert early.decision == "undecided"


def test_no_new_failure_is_shown_by_all_cases_only() -> None:
    critical = guard(60, role="critical", margin=0.0)
    assert judge_suites([weigh(at(SECOND, critical))], alpha=0.05)["critical"].decision == "undecided"
    assert judge_suites([weigh(at(LAST, critical))], alpha=0.05)["critical"].decision == "pass"


def test_intervals_are_wider_the_earlier_the_look() -> None:
    suite = target(50, better=14, worse=6)
    widths = []
    for look in (FIRST, SECOND, THIRD, LAST):
        interval = decide([at(look, suite)]).suites["target"].interval
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths == sorted(widths, reverse=True)


def test_intervals_hold_the_truth_however_the_run_ends() -> None:
    """Repeated confidence intervals: 90 % over all looks, so the one at which a run stops is right at least as often."""
    rng, held = np.random.default_rng(3), []
    for _ in range(150):
        differs = rng.random((80, 2)) < (0.55, 0.45)
        whole = scores("target", "target", candidate=differs[:, :1], reference=differs[:, 1:])
        for look, seen in ((FIRST, 20), (SECOND, 40), (THIRD, 60), (LAST, 80)):
            part = replace(
                whole, candidate=whole.candidate[:seen], reference=whole.reference[:seen], look=look
            )
            verdict = decide([part])
            if look is LAST or why_stop([part], verdict):
                break
        interval = verdict.suites["target"].interval
        assert interval is not None
        held.append(interval[0] <= 0.10 <= interval[1])
    assert np.mean(held) > 0.83, "three standard errors below .9"


def looked(run: Run, *, taken: int | None, why: str = "") -> Run:
    looks = Looks(seed="s", cases={"routing": (10, 20, 30, 40)}, taken=taken, why=why)
    return replace(run, manifest=replace(run.manifest, looks=looks))


def half_asked() -> Run:
    suite = suite_of(40)
    rows = [
        row
        for role, values in (("candidate", [1.0] * 20), ("base", [0.0, 1.0] * 10))
        for row in answers(suite, values, role=role)  # type: ignore[arg-type]
    ]
    return run_of(suite, results=rows)


def test_a_stopped_run_says_after_how_many_cases_and_misses_no_answer() -> None:
    verdict = verdict_of(looked(half_asked(), taken=2, why="it is enough"))
    assert stop_sentence("it is enough", seen=20, cases=40) == (
        "stopped early after 20 of 40 cases: it is enough"
    )
    assert "stopped early after 20 of 40 cases: it is enough" in verdict.reasons
    assert not any("the run stopped before" in reason for reason in verdict.reasons)
    assert verdict.suites["routing"].cases == 20


def test_a_run_that_was_cut_short_has_no_look_and_misses_its_answers() -> None:
    run = looked(half_asked(), taken=None)
    assert look_of(run.manifest, "routing").is_last
    assert any("the run stopped before 20 cases" in reason for reason in verdict_of(run).reasons)


def test_what_was_asked_beyond_the_look_does_not_count() -> None:
    run = looked(half_asked(), taken=1, why="it is enough")
    (seen,) = scores_of(run, reference="base")
    assert len(seen.candidate) == 10
    assert seen.look.shares == (0.25,)
