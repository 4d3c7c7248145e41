"""Can the candidate replace its reference? The guard's statistics for every suite, and the words that follow."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from harness.records import Gate, Run, SuiteRole, Verdict
from harness.verdict import SuiteScores, decide, role_under, verdict_of, word_of
from harness.verdict.migration import as_guards
from tests.verdict.samples import answers, run_of, scores, suite_of


def suite(
    name: str,
    role: SuiteRole = "target",
    *,
    lost: int = 0,
    gained: int = 0,
    cases: int = 200,
    margin: float | None = None,
) -> SuiteScores:
    candidate = [0] * lost + [1] * (cases - lost)
    reference = [1] * lost + [0] * gained + [1] * (cases - lost - gained)
    return scores(name, role, candidate=candidate, reference=reference, margin=margin)


def migrated(*suites: SuiteScores) -> Verdict:
    return decide(suites, goal="migration")


@pytest.mark.parametrize(
    ("role", "under"), [("target", "guard"), ("guard", "guard"), ("critical", "critical"), ("info", "info")]
)
def test_only_targets_change_their_role(role: SuiteRole, under: SuiteRole) -> None:
    assert role_under(role, "migration") == under
    assert role_under(role, "improvement") == role


def test_as_good_is_equivalent_though_nothing_improved() -> None:
    verdict = migrated(suite("routing"), suite("chat"))
    assert (verdict.outcome, word_of(verdict), verdict.goal) == ("promote", "equivalent", "migration")
    assert decide([suite("routing"), suite("chat")]).outcome == "undecided"


def test_the_statistics_are_those_of_guards() -> None:
    suites = [suite("routing", lost=3, gained=4, margin=0.08), suite("chat", "guard", lost=2)]
    mine, guards = migrated(*suites), decide([replace(one, role="guard") for one in suites])
    assert (mine.suites, mine.pooled) == (guards.suites, guards.pooled)
    assert mine.suites["routing"].margin == 0.08


def test_worse_holds() -> None:
    verdict = migrated(suite("routing", lost=30), suite("chat"))
    assert (verdict.outcome, word_of(verdict)) == ("hold", "worse")
    assert any(step.startswith("look at the 30 cases of routing") for step in verdict.next_steps)


def test_too_few_cases_are_undecided_and_no_target_is_asked_for() -> None:
    verdict = migrated(suite("routing", lost=1, cases=20))
    assert (verdict.outcome, word_of(verdict)) == ("undecided", "undecided")
    assert not any("target" in sentence for sentence in (*verdict.reasons, *verdict.next_steps))


def test_a_critical_suite_must_still_be_proved() -> None:
    verdict = migrated(suite("routing"), suite("safety", "critical", cases=40))
    assert verdict.suites["safety"].role == "critical"
    assert verdict.outcome == "undecided"


def test_a_critical_suite_alone_can_be_enough() -> None:
    assert migrated(suite("safety", "critical", cases=400)).outcome == "promote"


def test_suites_for_information_alone_decide_nothing() -> None:
    verdict = migrated(suite("novels", "info"))
    assert verdict.outcome == "undecided"
    assert "every suite is for information" in verdict.reasons[0]
    assert migrated().outcome == "undecided"


def test_an_unchanged_model_is_seldom_called_worse_and_a_true_loss_seldom_equivalent() -> None:
    generator, runs = np.random.default_rng(20261123), 200
    found = {0.0: 0, 0.10: 0}
    for loss in found:
        for _ in range(runs):
            drawn = [_drawn(generator, name, loss=loss) for name in ("routing", "chat", "facts")]
            verdict = migrated(*drawn)
            found[loss] += verdict.outcome == ("hold" if loss == 0.0 else "promote")
    assert found[0.0] / runs <= 0.15  # Holm at 10 % over the guards, and all together at 5 %
    assert found[0.10] / runs <= 0.05


def _drawn(generator: np.random.Generator, name: str, *, loss: float, cases: int = 100) -> SuiteScores:
    ease = generator.beta(8, 2, cases)[:, None]
    reference = generator.random((cases, 3)) < ease
    candidate = generator.random((cases, 3)) < ease - loss
    return scores(name, "target", candidate=candidate, reference=reference)


# --- of a run --------------------------------------------------------------------------------------


def run(*, candidate: Sequence[float], gates: Sequence[Gate] = ()) -> Run:
    asked = suite_of(len(candidate), role="target", gates=gates)
    made = run_of(
        asked,
        results=[*answers(asked, candidate), *answers(asked, [1.0] * len(candidate), role="base")],
    )
    return replace(made, manifest=replace(made.manifest, goal="migration"))


def test_a_run_is_judged_by_the_goal_in_its_manifest() -> None:
    stored = run(candidate=[1.0] * 200)
    assert word_of(verdict_of(stored)) == "equivalent"
    plain = replace(stored, manifest=replace(stored.manifest, goal="improvement"))
    assert word_of(verdict_of(plain)) == "undecided"


def test_a_gate_that_is_not_met_holds_without_calling_the_candidate_worse() -> None:
    verdict = verdict_of(run(candidate=[1.0] * 200, gates=[Gate(metric="latency_s", at_most=0.1)]))
    assert (verdict.outcome, word_of(verdict)) == ("hold", "hold")


def test_of_an_improvement_the_word_is_the_outcome() -> None:
    for lost in (0, 30):
        verdict = decide([suite("routing", lost=lost)])
        assert word_of(verdict) == verdict.outcome


def test_margins_and_weights_stay() -> None:
    (guard,) = as_guards([replace(suite("routing", margin=0.02), weight=3.0)])
    assert (guard.role, guard.margin, guard.weight) == ("guard", 0.02, 3.0)
