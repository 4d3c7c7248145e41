"""What a shorter prompt saves, in tokens and money, and whether the answers are as good with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from harness.records import ModelFacts, PromptSaving, Result, Role, Run, Suite, SuiteRole, Usage
from harness.verdict import verdict_of
from harness.verdict.savings import describe_saving, savings_of
from tests.verdict.samples import answer, failure, run_of, suite_of

LONG, SHORT = Usage(prompt_tokens=300, completion_tokens=4), Usage(prompt_tokens=120, completion_tokens=4)
PRICE = {"input": 0.8, "cached": 0.2, "output": 3.2}


def suite(role: SuiteRole = "guard", *, cases: int = 100) -> Suite:
    prompts = {"base": "The whole instruction.", "candidate": ""}
    return replace(suite_of(cases, name="tickets", role=role), prompts=prompts)


def run(
    asked: Suite,
    *,
    candidate: Usage = SHORT,
    base: Usage = LONG,
    lost: int = 0,
    price: Mapping[str, float] = PRICE,
    further: Sequence[Result] = (),
) -> Run:
    cases = len(asked.cases)
    rows = [answer(asked, case, value=float(case >= lost), usage=candidate) for case in range(cases)]
    rows += [answer(asked, case, role="base", usage=base) for case in range(cases)]
    made = run_of(asked, results=[*rows, *further])
    models = {
        **made.manifest.models,
        "candidate": ModelFacts(model="acme/lora-7", endpoint="acme", price=price),
    }
    return replace(made, manifest=replace(made.manifest, models=models))


def only(stored: Run) -> PromptSaving:
    (saving,) = savings_of(stored, reference="base")
    return saving


def test_fewer_tokens_at_the_candidates_price() -> None:
    saving = only(run(suite()))
    assert (saving.tokens, saving.reference_tokens, saving.calls) == (120, 300, 100)
    assert saving.saved_usd == pytest.approx(180 * 0.8 / 1_000_000 * 1000)
    assert saving.decision == "pass"
    assert describe_saving(saving) == (
        "tickets: not worse with 60 % fewer prompt tokens (120 a call, not 300), saves 0.14 USD per 1,000 calls"
    )


def test_cached_tokens_cost_what_cached_tokens_cost() -> None:
    saving = only(run(suite(), base=replace(LONG, cached_tokens=200)))
    assert saving.saved_usd == pytest.approx((100 * 0.8 + 200 * 0.2 - 120 * 0.8) / 1000)


def test_a_long_prompt_from_the_cache_may_be_the_cheaper_one() -> None:
    saving = only(run(suite(), base=replace(LONG, cached_tokens=300)))
    assert saving.saved_usd == pytest.approx((300 * 0.2 - 120 * 0.8) / 1000)
    assert describe_saving(saving).endswith(
        "60 % fewer prompt tokens (120 a call, not 300), costs 0.036 USD more per 1,000 calls"
    )


def test_without_a_cached_price_cached_tokens_cost_what_others_do() -> None:
    saving = only(run(suite(), base=replace(LONG, cached_tokens=200), price={"input": 0.8, "output": 3.2}))
    assert saving.saved_usd == pytest.approx(180 * 0.8 / 1000)


def test_without_a_price_only_tokens_are_told() -> None:
    saving = only(run(suite(), price={}))
    assert saving.saved_usd is None
    assert "USD" not in describe_saving(saving)


def test_a_model_that_costs_nothing_saves_tokens_only() -> None:
    saving = only(run(suite(), price={"input": 0.0, "cached": 0.0, "output": 0.0}))
    assert saving.saved_usd == 0
    assert describe_saving(saving).endswith("60 % fewer prompt tokens (120 a call, not 300)")


def test_without_usage_nothing_is_made_up() -> None:
    saving = only(run(suite(), candidate=Usage()))
    assert (saving.tokens, saving.reference_tokens, saving.saved_usd, saving.calls) == (None, None, None, 0)
    assert describe_saving(saving) == (
        "tickets: not worse with another prompt, whose tokens the endpoint does not tell"
    )


def test_only_calls_that_both_answered_are_compared() -> None:
    asked = suite(cases=100)
    stored = run(asked)
    lost = [row for row in stored.results if not (row.role == "base" and row.case == "case-0")]
    odd = answer(asked, 0, usage=Usage(prompt_tokens=9000, completion_tokens=4))
    rows = [odd if row.role == "candidate" and row.case == "case-0" else row for row in lost]
    saving = only(replace(stored, results=(*rows, failure(asked, 0, role="base"))))
    assert (saving.tokens, saving.calls) == (120, 99)


def test_equal_prompts_save_nothing_to_tell() -> None:
    same = replace(suite(), prompts={"base": "One.", "candidate": "One."})
    assert savings_of(run(same), reference="base") == ()
    assert savings_of(run(suite_of(100)), reference="base") == ()


def test_an_empty_prompt_is_none() -> None:
    assert savings_of(run(replace(suite(), system="", prompts={"candidate": ""})), reference="base") == ()


def test_the_promoted_model_is_asked_as_the_candidate_is() -> None:
    assert savings_of(run(suite()), reference="promoted") == ()


@pytest.mark.parametrize("role", ["target", "guard", "critical", "info"])
def test_any_suite_answers_whether_it_is_worse(role: SuiteRole) -> None:
    assert only(run(suite(role, cases=300))).decision == "pass"
    assert only(run(suite(role, cases=300), lost=60)).decision == "fail"


def test_harm_is_told_before_the_saving() -> None:
    saving = only(run(suite(), lost=30))
    assert describe_saving(saving).startswith("tickets: worse with 60 % fewer prompt tokens")


def test_too_few_cases_leave_it_open() -> None:
    saving = only(run(suite(cases=10)))
    assert describe_saving(saving).startswith("tickets: whether it is worse is open, with 60 % fewer")


def test_longer_prompts_are_told_too() -> None:
    saving = only(run(suite(), candidate=LONG, base=SHORT))
    assert describe_saving(saving) == (
        "tickets: not worse with 150 % more prompt tokens (300 a call, not 120), costs 0.14 USD more per 1,000 calls"
    )


def test_as_many_tokens_are_no_percentage() -> None:
    assert "as many prompt tokens (120 a call)" in describe_saving(only(run(suite(), base=SHORT)))


def test_a_reference_without_tokens_is_no_division_by_zero() -> None:
    nothing = Usage(prompt_tokens=0, completion_tokens=4)
    assert describe_saving(only(run(suite(), base=nothing))).startswith(
        "tickets: not worse with 120 more prompt"
    )


def test_the_verdict_says_it_among_its_reasons() -> None:
    verdict = verdict_of(run(suite("target")))
    assert [one.suite for one in verdict.savings] == ["tickets"]
    assert describe_saving(verdict.savings[0]) in verdict.reasons


def test_a_role_is_sent_its_own_prompt_else_the_suites() -> None:
    asked = replace(suite(), system="For all.", prompts={"candidate": "Short."})
    sent: dict[Role, str | None] = {
        role: asked.prompt_for(role) for role in ("base", "candidate", "promoted")
    }
    assert sent == {"base": "For all.", "candidate": "Short.", "promoted": "Short."}
