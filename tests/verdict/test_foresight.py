from dataclasses import replace

import numpy as np
import pytest

from harness.records import Case, Sampling, Suite, SuiteRole
from harness.verdict import decide, margin_support
from harness.verdict.foresight import BASE_RATE, planned_spread
from tests.verdict.samples import scores, suite_of

RUNS = 400


def guard(cases: int, *, margin: float | None = 0.05, role: SuiteRole = "guard", trials: int = 1) -> Suite:
    return replace(suite_of(cases, role=role, trials=trials), margin=margin)


@pytest.mark.parametrize(
    ("base", "trials", "cases", "expected"),
    # The smallest detectable effect is 2.487 s/√n; what simulated models of typical likeness showed, in points.
    [(0.80, 1, 50, 15), (0.80, 3, 50, 11), (0.80, 5, 50, 9.8), (0.80, 1, 500, 4.6), (0.80, 3, 200, 5.4)],
)
def test_the_planned_spread_is_that_of_simulated_models(
    base: float, trials: int, cases: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.verdict.foresight.BASE_RATE", base)
    asked = replace(guard(cases, trials=trials), sampling=Sampling(temperature=1.0))
    assert 100 * 2.487 * planned_spread(asked) / cases**0.5 == pytest.approx(expected, rel=0.05)


def test_trials_at_temperature_zero_are_no_further_evidence() -> None:
    assert planned_spread(guard(50, trials=5)) == planned_spread(guard(50))
    drawn = replace(guard(50, trials=5), sampling=Sampling(temperature=0.7))
    assert planned_spread(drawn) < planned_spread(guard(50))


def test_at_temperature_zero_a_case_varies_as_if_asked_once() -> None:
    warm = replace(guard(50, trials=1), sampling=Sampling(temperature=0.7))
    assert planned_spread(guard(50, trials=5)) == pytest.approx(planned_spread(warm))


def test_a_critical_suite_proves_its_margin_at_half_the_level() -> None:
    critical = margin_support(guard(100, role="critical"))
    plain = margin_support(guard(100))
    assert critical is not None
    assert plain is not None
    assert critical.chance < plain.chance
    assert critical.provable > plain.provable
    assert critical.needed is not None
    assert plain.needed is not None
    # Of a large sample (z(.975) + z(.8))² to (z(.95) + z(.8))².
    assert critical.needed / plain.needed == pytest.approx((2.8016 / 2.4865) ** 2, rel=0.1)


def test_what_has_no_margin_to_prove_needs_no_support() -> None:
    for role in ("target", "info"):
        assert margin_support(guard(5, role=role)) is None
    assert margin_support(guard(5, role="critical", margin=0.0)) is None, "it may have no new failure"


def test_a_default_margin_needs_support_too() -> None:
    critical = margin_support(guard(60, role="critical", margin=None))
    plain = margin_support(guard(60, margin=None))
    assert critical is not None
    assert plain is not None
    assert (critical.margin, plain.margin) == (0.02, 0.05)
    assert critical.chance < plain.chance


def test_no_number_of_cases_proves_that_nothing_at_all_was_lost() -> None:
    found = margin_support(guard(400, margin=0.0))
    assert found is not None
    assert (found.needed, found.is_enough) == (None, False)


def test_families_are_what_counts() -> None:
    cases = tuple(
        Case(id=f"c{n}", messages=({"role": "user", "content": "?"},), metadata={"kind": n // 10})
        for n in range(400)
    )
    apart = replace(guard(1), cases=cases)
    related = margin_support(replace(apart, family="kind"))
    assert related is not None
    assert (related.units, related.by_family, related.is_enough) == (40, True, False)
    alone = margin_support(apart)
    assert alone is not None
    assert alone.is_enough


@pytest.mark.parametrize("margin", [0.05, 0.1])
def test_the_advised_number_of_cases_proves_an_unchanged_model_four_times_in_five(margin: float) -> None:
    """The planning model itself: outcomes right with `BASE_RATE` on both sides, correlated as planned."""
    rng = np.random.default_rng(41)
    support = margin_support(guard(30, margin=margin))
    assert support is not None
    assert support.needed is not None
    discordant = planned_spread(guard(30)) ** 2 / 2
    both = BASE_RATE - discordant

    def proved(cases: int) -> float:
        found = 0
        for _ in range(RUNS):
            kind = rng.choice(4, size=cases, p=[both, discordant, discordant, 1 - both - 2 * discordant])
            made = scores(
                "s", "guard", candidate=np.isin(kind, (0, 1)), reference=np.isin(kind, (0, 2)), margin=margin
            )
            found += decide([made]).suites["s"].decision == "pass"
        return found / RUNS

    assert 0.74 <= proved(support.needed) <= 0.9
    assert proved(30) == pytest.approx(support.chance, abs=0.12)


@pytest.mark.parametrize("cases", [0, 1, 2])
def test_a_suite_of_next_to_nothing_supports_nothing(cases: int) -> None:
    found = margin_support(guard(cases))
    assert found is not None
    assert not found.is_enough
    assert 0 < found.provable <= 1
