"""Rules about the release itself: ship, finish the run, ask more cases."""

from harness.advice.sightings import Saying, Sightings
from harness.advice.wording import listed
from harness.records import Json, SuiteVerdict
from harness.verdict.settling import FAR, settle_all

SUITE_LEAK = "suite_leak"
TOLD_CASES = 3


def judged_on_training(seen: Sightings) -> Saying | None:
    """The verdict promotes, and cases it rests on are among the rows that the candidate was trained on, word for word."""
    if seen.verdict.outcome != "promote" or seen.data is None or not seen.data.is_the_jobs:
        return None
    found = next((finding for finding in seen.data.findings or () if finding.name == SUITE_LEAK), None)
    cases = _leaked_cases(found.figures.get("cases"), seen) if found is not None else []
    if found is None or not cases:
        return None
    told = listed([f"{suite}: {case}" for suite, case in cases[:TOLD_CASES]])
    more = f" and {len(cases) - TOLD_CASES} more" if len(cases) > TOLD_CASES else ""
    return Saying(
        says=f"take {told}{more} out of the suites and run again, before anything ships: the other answers are kept, and cost nothing",
        saw=f"{seen.data.file}: {found.what}",
    )


def _leaked_cases(listed_cases: Json, seen: Sightings) -> list[tuple[str, str]]:
    """Suite and id of each leaked case that the verdict rests on."""
    if not isinstance(listed_cases, list):
        return []
    cases = dict.fromkeys(
        (str(item[0]), str(item[1])) for item in listed_cases if isinstance(item, list) and len(item) > 1
    )
    judged = {suite.name for suite in seen.verdict.suites.values() if suite.role != "info"}
    return [case for case in cases if case[0] in judged]


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
