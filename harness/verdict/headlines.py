"""The verdict in one sentence: what the person who decides about the release reads first."""

from collections.abc import Iterator

from harness.records import SuiteVerdict, Verdict
from harness.verdict.pooled import POOLED
from harness.verdict.sentences import listed


def headline(verdict: Verdict, *, required: int = 0, is_partial: bool = False) -> str:
    """One sentence, for somebody who reads no further.

    Args:
        verdict: The verdict, complete but for this sentence.
        required: Required cases that the candidate is not good at.
        is_partial: Whether the run lacks something that keeps it from promoting.
    """
    if verdict.outcome == "promote":
        return _promoted(verdict)
    if verdict.outcome == "hold":
        word = "Do not switch" if verdict.goal == "migration" else "Do not ship it"
        return f"{word}: {listed(list(_harms(verdict, required)))}."
    open_points = listed(list(_open_points(verdict, is_partial=is_partial)))
    return f"Not decided yet: {open_points}." if open_points else "Not decided yet."


def _promoted(verdict: Verdict) -> str:
    if verdict.goal == "migration":
        return "You can switch: the candidate is as good as the model it replaces."
    better = [suite.name for suite in verdict.suites.values() if suite.role == "target" and _passed(suite)]
    safe = ", and no guard got worse" if _guards(verdict) else ""
    return f"Ship it: {listed(better)} improved{safe}."


def _harms(verdict: Verdict, required: int) -> Iterator[str]:
    worse = [suite for suite in _judged(verdict) if suite.decision == "fail"]
    # A guard that got worse says more than all of them together.
    if any(suite.role == "guard" and suite.name != POOLED for suite in worse):
        worse = [suite for suite in worse if suite.name != POOLED]
    if worse:
        yield f"{listed([_name(suite) for suite in worse])} got worse"
    if required:
        yield "a required case is not good" if required == 1 else f"{required} required cases are not good"
    unmet = sum(gate.decision == "fail" for gate in verdict.gates)
    if unmet:
        yield "one condition is not met" if unmet == 1 else f"{unmet} conditions are not met"


def _open_points(verdict: Verdict, *, is_partial: bool) -> Iterator[str]:
    if is_partial:
        yield "the run is not complete"
    targets = [suite for suite in verdict.suites.values() if suite.role == "target"]
    if not targets and verdict.goal == "improvement":
        yield "no suite is there to show an improvement"
    elif targets and not any(_passed(suite) for suite in targets):
        yield f"it is not clear whether {_any_of([suite.name for suite in targets])} improved"
    unproved = [_name(suite) for suite in _guards(verdict) if not _passed(suite) and _must_be_proved(suite)]
    if unproved:
        yield f"it is not clear whether {_any_of(unproved)} got worse"
    unknown = sum(gate.decision == "undecided" for gate in verdict.gates)
    if unknown:
        yield "one condition cannot be judged" if unknown == 1 else f"{unknown} conditions cannot be judged"


def _name(suite: SuiteVerdict) -> str:
    return f"{POOLED} together" if suite.name == POOLED else suite.name


def _any_of(names: list[str]) -> str:
    return listed(names).replace(" and ", " or ")


def _must_be_proved(suite: SuiteVerdict) -> bool:
    """A single guard need only have been tested: what is proved is all guards together."""
    return suite.role == "critical" or suite.name == POOLED or suite.interval is None


def _passed(suite: SuiteVerdict) -> bool:
    return suite.decision == "pass"


def _guards(verdict: Verdict) -> list[SuiteVerdict]:
    return [suite for suite in _judged(verdict) if suite.role in ("guard", "critical")]


def _judged(verdict: Verdict) -> list[SuiteVerdict]:
    suites = [suite for suite in verdict.suites.values() if suite.role != "info"]
    return [*suites, *([verdict.pooled] if verdict.pooled else [])]
