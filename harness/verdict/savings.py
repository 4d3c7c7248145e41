"""What does a shorter prompt save, and are the answers as good with it? Suites that prompt the candidate in its own way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from harness.records import Completion, Decision, PromptSaving, Result, Role, Run, Suite, Usage
from harness.verdict.rules import judge_suites, weigh
from harness.verdict.scores import look_of, rows_by_suite, suite_scores

CALLS = 1000
"""Money is told for this many calls."""
TOKENS_PER_PRICE = 1_000_000
"""Prices are USD per this many tokens."""


def savings_of(run: Run, *, reference: Role) -> tuple[PromptSaving, ...]:
    """What each suite saves whose system prompt for the candidate is not the reference's.

    Tokens are those the endpoints counted, over the calls that both models answered; both sides' are priced as the
    candidate's model has it, cached ones as cached: what its users would pay with the one prompt and the other.
    """
    price = run.manifest.models["candidate"].price if "candidate" in run.manifest.models else {}
    rows = rows_by_suite(run.results)
    return tuple(
        _saving(
            suite,
            decision=_decision(run, suite, rows.get(suite.name, {}), reference=reference),
            calls=_calls(rows.get(suite.name, {}), reference),
            price=price,
        )
        for suite in run.manifest.suites
        if run.manifest.selected.get(suite.name)
        and (suite.prompt_for("candidate") or "") != (suite.prompt_for(reference) or "")
    )


def _decision(run: Run, suite: Suite, rows: Mapping[Role, Sequence[Result]], *, reference: Role) -> Decision:
    """Shown to lose less than the margin, harmed, or neither, whatever the suite's own role demands."""
    scores = suite_scores(
        suite,
        rows,
        roles=("candidate", reference),
        cases=run.manifest.counted[suite.name],
        labels=run.labels,
        look=look_of(run.manifest, suite.name),
    )
    guard = replace(scores, role="critical" if suite.role == "critical" else "guard")
    return judge_suites([weigh(guard)], alpha=run.manifest.alpha)[suite.name].decision


def _calls(rows: Mapping[Role, Sequence[Result]], reference: Role) -> list[tuple[Usage, Usage]]:
    """The usage of each call that both models answered, candidate and reference."""
    sides = [
        {
            (row.case, row.trial): row.outcome.usage
            for row in rows.get(role, ())
            if isinstance(row.outcome, Completion)
        }
        for role in ("candidate", reference)
    ]
    return [(sides[0][cell], sides[1][cell]) for cell in sides[0] if cell in sides[1]]


def _saving(
    suite: Suite,
    *,
    decision: Decision,
    calls: Sequence[tuple[Usage, Usage]],
    price: Mapping[str, float],
) -> PromptSaving:
    known = [
        (new, old) for new, old in calls if new.prompt_tokens is not None and old.prompt_tokens is not None
    ]
    if not known:
        return PromptSaving(suite=suite.name, decision=decision, calls=0)
    costs = [(_prompt_cost(new, price), _prompt_cost(old, price)) for new, old in known]
    saved = [old - new for new, old in costs if new is not None and old is not None]
    return PromptSaving(
        suite=suite.name,
        decision=decision,
        calls=len(known),
        tokens=fmean(new.prompt_tokens or 0 for new, _ in known),
        reference_tokens=fmean(old.prompt_tokens or 0 for _, old in known),
        saved_usd=fmean(saved) * CALLS if saved else None,
    )


def _prompt_cost(usage: Usage, price: Mapping[str, float]) -> float | None:
    """What a call's prompt costs in USD; None without a price."""
    if usage.prompt_tokens is None or "input" not in price:
        return None
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
    fresh = usage.prompt_tokens - cached
    return (fresh * price["input"] + cached * price.get("cached", price["input"])) / TOKENS_PER_PRICE


# --- words -----------------------------------------------------------------------------------------


def describe_saving(saving: PromptSaving) -> str:
    """`tickets: not worse with 62 % fewer prompt tokens (118 a call, not 310), saves 0.12 USD per 1,000 calls`."""
    quality = {
        "pass": "not worse",
        "fail": "worse",
        "undecided": "whether it is worse is open",
    }[saving.decision]
    joint = ", " if saving.decision == "undecided" else " "
    return f"{saving.suite}: {quality}{joint}with {', '.join(_amounts(saving))}"


def _amounts(saving: PromptSaving) -> Iterator[str]:
    new, old = saving.tokens, saving.reference_tokens
    if new is None or old is None:
        yield "another prompt, whose tokens the endpoint does not tell"
        return
    if round(new, 1) == round(old, 1):
        yield f"as many prompt tokens ({_tokens(new)} a call)"
        return
    change = f"{abs(1 - new / old) * 100:.0f} %" if old else _tokens(new)
    yield f"{change} {'fewer' if new < old else 'more'} prompt tokens ({_tokens(new)} a call, not {_tokens(old)})"
    if saving.saved_usd:  # a model on this machine costs nothing, whatever its prompt
        verb = "saves" if saving.saved_usd >= 0 else "costs"
        more = "" if saving.saved_usd >= 0 else " more"
        yield f"{verb} {_dollars(abs(saving.saved_usd))} USD{more} per {CALLS:,} calls"


def _tokens(mean: float) -> str:
    return f"{mean:,.0f}" if mean >= 100 or mean == int(mean) else f"{mean:.1f}"


def _dollars(amount: float) -> str:
    """Cents, or two digits where cents would hide the amount."""
    return f"{amount:,.2f}" if amount >= 0.1 or amount == 0 else f"{amount:.2g}"
