"""Rules about the release itself: ship, finish the run, ask more cases."""

from harness.advice.sightings import Saying, Sightings
from harness.records import SuiteVerdict
from harness.verdict.settling import FAR, settle_all


def ship(seen: Sightings) -> Saying | None:
    """The verdict promotes."""
    if seen.verdict.outcome != "promote":
        return None
    word = "switch to it" if seen.verdict.goal == "migration" else "ship it"
    return Saying(says=f"{word}: harness promote {seen.run}", saw=_because(seen))


def finish_run(seen: Sightings) -> Saying | None:
    """The run was interrupted, and no harm is shown."""
    if seen.status == "complete" or seen.verdict.outcome == "hold":
        return None
    return Saying(
        says="finish this run first: the same command goes on where it stopped",
        saw="the run is not complete, so that cases are missing",
    )


def more_cases(seen: Sightings) -> Saying | None:
    """The verdict is undecided, and at most ten times the answers are expected to settle it."""
    if seen.verdict.outcome != "undecided":
        return None
    suite = next((suite for suite in _open(seen) if _is_worth_asking(suite)), None)
    if suite is None:
        return None
    (step,) = settle_all([suite])
    return Saying(says=step, saw=suite.reason)


def _is_worth_asking(suite: SuiteVerdict) -> bool:
    first = suite.purchases[0] if suite.purchases else None
    return first is not None and first.shows != "worse" and first.needed <= FAR * first.now


def _open(seen: Sightings) -> list[SuiteVerdict]:
    """What keeps the verdict open, targets first; single guards need no proof of their own."""
    verdict = seen.verdict
    pooled = [verdict.pooled] if verdict.pooled is not None else []
    order = ("target", "critical")
    judged = [suite for role in order for suite in verdict.suites.values() if suite.role == role]
    settled = any(suite.role == "target" and suite.decision == "pass" for suite in judged)
    return [
        suite
        for suite in (*judged, *pooled)
        if suite.decision == "undecided" and not (settled and suite.role == "target")
    ]


def _because(seen: Sightings) -> str:
    return seen.verdict.reasons[0] if seen.verdict.reasons else seen.verdict.summary
