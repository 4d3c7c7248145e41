"""Rules about the training data: cleaner rows, more rows of which kind, or more will not help."""

from collections.abc import Mapping

from harness.advice.release import SUITE_LEAK, finish_run, judged_on_training
from harness.advice.sightings import DataSight, KindOfCase, RefusalSight, Saying, Sightings
from harness.advice.wording import count, dollars, lines_of, listed, percent, points, quoted
from harness.dataset import Finding
from harness.records import DoublingEstimate, DoublingWord

LEAKS = (SUITE_LEAK, "validation_leak")
REFUSALS = "refusal_share"
LEAST_REFUSALS = 0.05
"""A smaller rise in the share of refusals is nothing to change rows for."""
_OUTLOOK: Mapping[DoublingWord, str] = {
    "likely helps": "twice the data likely helps",
    "cannot tell": "nobody can tell yet whether twice the data helps",
    "unlikely": "twice the data is unlikely to help",
}
TEACHING_WRONG = frozenset({"conflicting_answers", "cut_answers", "untold_facts"})
"""Findings of rows that teach a wrong answer go before those of rows that teach a right one twice."""
TOLD_FINDINGS = 3
TOLD_KINDS = 3


def leaked(seen: Sightings) -> Saying | None:
    """Cases of a suite are among the training rows, or the validation loss is far below the training loss from the start."""
    found = next((finding for finding in _findings(seen) if finding.name in LEAKS), None)
    if found is not None and not judged_on_training(seen):
        return Saying(says=f"{found.remedy} ({lines_of(found)})", saw=_told(found, seen))
    fault = seen.curve.fault("validation unlike training") if seen.curve is not None else None
    return None if fault is None else Saying(says=fault.remedy, saw=fault.says)


def refuses_more(seen: Sightings) -> Saying | None:
    """The candidate refuses what it should answer more often than the base, by 5 points at least and beyond chance."""
    worse = [sight for sight in seen.refusals if sight.low > 0 and _rise(sight) >= LEAST_REFUSALS]
    if not worse:
        return None
    worst = max(worse, key=_rise)
    saw = (
        f"in {worst.suite} the candidate refuses {percent(worst.candidate)} of what it should answer, the base {percent(worst.base)} "
        f"(likely {100 * worst.low:+.0f} to {100 * worst.high:+.0f} points, {count(worst.cases, 'case')})"
    )
    share = next((finding for finding in _findings(seen) if finding.name == REFUSALS), None)
    if share is not None:
        return Saying(
            says=f"take refusals out of the training file: {share.remedy}",
            saw=f"{saw}; {_told(share, seen)}",
        )
    says = "see how many training rows refuse, and keep as many as should be refused in production: harness data check FILE --expect-refusals SHARE"
    return Saying(says=says, saw=saw)


def faulty_rows(seen: Sightings) -> Saying | None:
    """The light check of the training file found faults in some of its rows."""
    used = {*LEAKS, *([REFUSALS] if refuses_more(seen) else [])}
    found = [
        finding
        for finding in _findings(seen)
        if finding.level != "note" and finding.lines and finding.name not in used
    ]
    if not found or seen.data is None:
        return None
    found.sort(key=lambda finding: (finding.name not in TEACHING_WRONG, -finding.count))
    names = listed([f"{finding.name} ({lines_of(finding)})" for finding in found[:TOLD_FINDINGS]])
    says = f"settle in {seen.data.file}{_doubt(seen.data)}: {names}"
    return Saying(says=says, saw="; ".join(finding.what for finding in found[:TOLD_FINDINGS]))


def doubling_helps(seen: Sightings) -> Saying | None:
    """The scaling experiment says that twice the data likely helps."""
    estimate = seen.doubling
    if estimate is None or estimate.word != "likely helps":
        return None
    kinds = _kinds(seen)
    which = f", of the kinds that fail most: {kinds}" if kinds else ""
    cost = (
        ""
        if seen.doubling_cost_usd is None
        else f" (training on twice the rows costs about {dollars(seen.doubling_cost_usd)})"
    )
    return Saying(says=f"double the training rows{which}{cost}", saw=_estimated(estimate))


def doubling_is_in_vain(seen: Sightings) -> Saying | None:
    """The scaling experiment says that twice the same data is unlikely to help."""
    estimate = seen.doubling
    if estimate is None or estimate.word != "unlikely" or seen.verdict.outcome == "promote":
        return None
    kinds = _kinds(seen)
    instead = (
        f"mend rows instead of adding the same kind; if you add, add {kinds}"
        if kinds
        else "mend rows instead of adding the same kind"
    )
    return Saying(says=instead, saw=_estimated(estimate))


def failing_kinds(seen: Sightings) -> Saying | None:
    """The run is complete and does not promote, and a tenth of the cases of some kind fail, or more."""
    failing = _worth_rows(seen)
    if seen.verdict.outcome == "promote" or finish_run(seen) or not failing:
        return None
    saw = "; ".join(
        f"{kind.failed} of {count(kind.cases, 'case')} of {_where(kind)} fail"
        for kind in failing[:TOLD_KINDS]
    )
    if seen.doubling is not None:
        saw += f"; {_estimated(seen.doubling)}"
        learn = (
            f"; to learn whether more rows help at all, {seen.doubling.to_tell}"
            if seen.doubling.to_tell
            else ""
        )
    else:
        learn = "; harness experiment scaling tells whether more rows help at all"
    says = f"add rows like {_kinds(seen)}: harness badcases {seen.run} --out new_rows.jsonl{learn}"
    return Saying(says=says, saw=saw)


def unchecked_rows(seen: Sightings) -> Saying | None:
    """The run is complete and does not promote, nobody looked at the training file, and no rule above asks for a look."""
    is_checked = seen.data is not None and seen.data.findings is not None
    if (
        seen.verdict.outcome == "promote"
        or finish_run(seen)
        or is_checked
        or leaked(seen)
        or refuses_more(seen)
    ):
        return None
    file, why = "FILE", "the run does not know the training file"
    if seen.data is not None:
        file, why = quoted(seen.data.file), seen.data.why
    return Saying(says=f"check the training file: harness data check {file}", saw=why)


# --- in words ------------------------------------------------------------------------------------------


def _findings(seen: Sightings) -> tuple[Finding, ...]:
    return (seen.data.findings or ()) if seen.data is not None else ()


def _told(finding: Finding, seen: Sightings) -> str:
    assert seen.data is not None, "a finding is of a file"
    lines = lines_of(finding)
    return f"{seen.data.file}{_doubt(seen.data)}: {finding.what}" + (f" ({lines})" if lines else "")


def _doubt(data: DataSight) -> str:
    """The run of a candidate that was trained elsewhere does not tell from which file."""
    return "" if data.is_the_jobs else " (if the candidate was trained on it)"


def _rise(sight: RefusalSight) -> float:
    return sight.candidate - sight.base


def _kinds(seen: Sightings) -> str:
    return listed([_where(kind) for kind in _worth_rows(seen)][:TOLD_KINDS])


def _worth_rows(seen: Sightings) -> list[KindOfCase]:
    """The kinds that fail often enough to write rows for."""
    return [kind for kind in seen.failing if kind.is_missed]


def _where(kind: KindOfCase) -> str:
    """`ticket-routing (billing)`."""
    return f"{kind.suite} ({kind.name})" if kind.name else kind.suite


def _estimated(estimate: DoublingEstimate) -> str:
    last = "" if estimate.last_gain is None else f"; the last doubling brought {points(estimate.last_gain)}"
    return (
        f"{_OUTLOOK[estimate.word]}: {100 * estimate.gain:+.1f} points expected "
        f"({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f} in 8 of 10 cases){last}"
    )
