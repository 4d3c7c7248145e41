"""Does it ship? Every suite, all guards together and the declared gates become one verdict."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.errors import UsageError
from harness.records import (
    Failure,
    GateFinding,
    Goal,
    Manifest,
    Outcome,
    Result,
    Role,
    Run,
    Suite,
    SuiteVerdict,
    Verdict,
    record,
)
from harness.verdict.calibration import Calibration
from harness.verdict.classification import label_findings
from harness.verdict.comparison import is_good, mean_score
from harness.verdict.gates import judge_gate
from harness.verdict.headlines import headline
from harness.verdict.looks import stop_sentence
from harness.verdict.migration import NO_GUARD, as_guards
from harness.verdict.pooled import judge_pooled
from harness.verdict.rules import judge_suites, weigh
from harness.verdict.savings import describe_saving, savings_of
from harness.verdict.scores import SuiteScores, check_scores, rows_by_suite, scores_of, suite_scores
from harness.verdict.sentences import count
from harness.verdict.settling import settle_all, unlabelled, with_costs, with_outlook, with_pooled_outlook

ALPHA = 0.05
"""One-sided chance of promoting a model that is no better (Manifest.alpha can set another)."""
AGAIN = "run it again: answers already received are kept"
NO_TARGET = "no suite has the role target, so nothing could show an improvement"


@record
class Doubt:
    """Something a run lacks that keeps it from promoting, and what to do about it."""

    reason: str
    remedy: str


def decide(scores: Sequence[SuiteScores], *, alpha: float = ALPHA, goal: Goal = "improvement") -> Verdict:
    """Promote, hold or undecided, from scores alone.

    Promote: a target is better than chance explains (Holm over several), all guards together are
    shown to lose less than `POOLED_MARGIN`, no suite is harmed, and every critical suite is proved.
    Hold: any suite, or all guards together, got worse. Undecided: anything else. In a migration every target
    is a guard, and promote says that the candidate is as good.

    Args:
        scores: One entry per suite, arrays of shape (cases, trials) in 0..1, NaN where unscored.
        alpha: One-sided level of each promotion test, above 0 and below one half.
        goal: What is to be shown.

    Raises:
        UsageError: Arrays no suite could have produced, or an impossible alpha.
    """
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha is {alpha}", remedy="0.05 is usual; it must be above 0 and below 0.5")
    check_scores(scores)
    evidence = [weigh(suite) for suite in (as_guards(scores) if goal == "migration" else scores)]
    suites = with_outlook(judge_suites(evidence, alpha=alpha), evidence, alpha=alpha)
    pooled = with_pooled_outlook(judge_pooled(evidence, alpha=alpha), evidence, alpha=alpha)
    verdict = Verdict(
        outcome=_outcome(suites, pooled, goal=goal),
        reasons=tuple(_reasons(suites, pooled, goal=goal)),
        suites=suites,
        next_steps=tuple(_next_steps(suites, pooled, goal=goal)),
        pooled=pooled,
        goal=goal,
    )
    return replace(verdict, summary=headline(verdict))


def judge_suite(
    suite: Suite, results: Mapping[Role, Sequence[Result]], *, reference: Role, alpha: float = ALPHA
) -> SuiteVerdict:
    """One suite's verdict by itself, before the whole run is known.

    The run's verdict corrects for several targets and several guards, so it may be stricter on a
    target and milder on a guard.
    """
    asked = {result.case for rows in results.values() for result in rows}
    cases = [case.id for case in suite.cases if case.id in asked]
    scores = suite_scores(suite, results, roles=("candidate", reference), cases=cases)
    evidence = [weigh(scores)]
    return with_outlook(judge_suites(evidence, alpha=alpha), evidence, alpha=alpha)[suite.name]


def verdict_of(run: Run) -> Verdict:
    """The verdict on a run: `decide` on its scores, then required cases and declared gates, then what it lacks.

    The reference is the promoted model when the run has answers of it, else the base model. A run that
    lacks answers or judgements, or was asked for a part of its cases, never promotes.
    """
    reference = reference_of(run)
    rows = rows_by_suite(run.results)
    verdict = decide(scores_of(run, reference=reference), alpha=run.manifest.alpha, goal=run.manifest.goal)
    gates = tuple(
        judge_gate(
            suite,
            gate,
            results=rows.get(suite.name, {}),
            reference=reference,
            calibration=metric_calibration(run, suite, metric=gate.metric, reference=reference),
        )
        for suite in run.manifest.suites
        if run.manifest.selected.get(suite.name)
        for gate in suite.gates
    )
    verdict = replace(verdict, reference=reference, classifications=label_findings(run, reference=reference))
    required, doubts = _required(run, rows), tuple(_doubts(run, rows, reference=reference))
    verdict = _with_gates(_with_costs(verdict, run), gates, required=required)
    savings = savings_of(run, reference=reference)
    verdict = replace(verdict, savings=savings, reasons=(*verdict.reasons, *map(describe_saving, savings)))
    verdict = _with_doubts(verdict, doubts=doubts)
    steps = (*verdict.next_steps, *unlabelled(verdict, run))
    summary = headline(verdict, required=len(required), is_partial=bool(doubts))
    return _with_stop(replace(verdict, next_steps=steps, summary=summary), run.manifest)


def metric_calibration(run: Run, suite: Suite, *, metric: str, reference: Role) -> Calibration | None:
    """What people's labels make of one metric of a suite: its score, or a judged scorer by name; None without any."""
    specs = tuple(spec for spec in suite.scorers if metric in ("score", spec.name))
    if not run.labels or not specs:
        return None
    scores = suite_scores(
        replace(suite, scorers=specs),
        rows_by_suite(run.results).get(suite.name, {}),
        roles=("candidate", reference),
        cases=run.manifest.counted.get(suite.name, ()),
        labels=run.labels,
    )
    return weigh(scores).calibration


def reference_of(run: Run) -> Role:
    """The role the candidate is compared with: `promoted` if the run has answers of it, else `base`."""
    return "promoted" if any(result.role == "promoted" for result in run.results) else "base"


# --- from suites to a verdict ----------------------------------------------------------------------


def _outcome(suites: Mapping[str, SuiteVerdict], pooled: SuiteVerdict | None, *, goal: Goal) -> Outcome:
    judged = [suite for suite in suites.values() if suite.role != "info"]
    if any(suite.decision == "fail" for suite in [*judged, *([pooled] if pooled else [])]):
        return "hold"
    if goal == "migration":
        return "promote" if judged and not _open_questions(suites, pooled) else "undecided"
    improved = any(suite.role == "target" and suite.decision == "pass" for suite in judged)
    return "promote" if improved and not _open_questions(suites, pooled) else "undecided"


def _open_questions(suites: Mapping[str, SuiteVerdict], pooled: SuiteVerdict | None) -> list[SuiteVerdict]:
    """The undecided findings that stand in the way: a guard that merely is not proved does not."""
    targets = [suite for suite in suites.values() if suite.role == "target"]
    blocking = [] if any(suite.decision == "pass" for suite in targets) else targets
    blocking += [suite for suite in suites.values() if suite.role == "critical"]
    blocking += [suite for suite in suites.values() if suite.role == "guard" and suite.interval is None]
    blocking += [pooled] if pooled else []
    return [suite for suite in blocking if suite.decision == "undecided"]


def _reasons(suites: Mapping[str, SuiteVerdict], pooled: SuiteVerdict | None, *, goal: Goal) -> Iterator[str]:
    """Harm first, then what stands in the way, then what speaks for it, then the rest."""
    judged = [suite for suite in suites.values() if suite.role != "info"]
    judged.sort(key=lambda suite: ("target", "critical", "guard").index(suite.role))
    targets = sum(suite.role == "target" for suite in judged)
    together = [pooled] if pooled else []
    open_questions = _open_questions(suites, pooled)
    yield from (suite.reason for suite in [*judged, *together] if suite.decision == "fail")
    if goal == "migration" and not judged:
        yield NO_GUARD
    elif goal != "migration" and not targets:
        yield NO_TARGET
    # Beside a guard that got worse it is no news that the guards are not shown to be safe.
    if not any(suite.role == "guard" and suite.decision == "fail" for suite in judged):
        judged[targets:targets] = together
    yield from (suite.reason for suite in judged if suite in open_questions)
    yield from (suite.reason for suite in judged if suite.decision == "pass")
    yield from (
        suite.reason for suite in judged if suite.decision == "undecided" and suite not in open_questions
    )


def _next_steps(
    suites: Mapping[str, SuiteVerdict], pooled: SuiteVerdict | None, *, goal: Goal
) -> Iterator[str]:
    failed = [suite for suite in suites.values() if suite.decision == "fail"]
    if pooled and pooled.decision == "fail" and not any(suite.role == "guard" for suite in failed):
        failed.append(pooled)
    for suite in failed:
        cases = "case" if suite.worse == 1 else count(suite.worse, "case")
        yield f"look at the {cases} of {'the guards' if suite is pooled else suite.name} that got worse"
    if goal != "migration" and not any(suite.role == "target" for suite in suites.values()):
        yield "give the role target to the suite that should improve"
    if not failed:
        yield from settle_all(_open_questions(suites, pooled))


# --- what a run adds -------------------------------------------------------------------------------


def _with_costs(verdict: Verdict, run: Run) -> Verdict:
    """What would settle it, at what the answers of this run took."""
    suites = {name: with_costs(suite, run, names=[name]) for name, suite in verdict.suites.items()}
    guards = [suite.name for suite in suites.values() if suite.role == "guard" and suite.interval]
    pooled = verdict.pooled and with_costs(verdict.pooled, run, names=guards)
    steps = tuple(_next_steps(suites, pooled, goal=verdict.goal))
    return replace(verdict, suites=suites, pooled=pooled, next_steps=steps)


def _with_gates(verdict: Verdict, gates: tuple[GateFinding, ...], *, required: tuple[str, ...]) -> Verdict:
    failed = (*required, *(gate.reason for gate in gates if gate.decision == "fail"))
    undecided = tuple(gate.reason for gate in gates if gate.decision == "undecided")
    passed = tuple(gate.reason for gate in gates if gate.decision == "pass")
    outcome = verdict.outcome
    if failed:
        outcome = "hold"
    elif undecided and outcome == "promote":
        outcome = "undecided"
    reasons = (*failed, *undecided, *verdict.reasons, *passed)
    if verdict.outcome == "hold":
        reasons = (*failed, *verdict.reasons, *undecided, *passed)
    return replace(verdict, outcome=outcome, gates=gates, reasons=reasons)


def _with_stop(verdict: Verdict, manifest: Manifest) -> Verdict:
    """That the run stopped early, where it did; what is open then is what the other cases were for."""
    looks = manifest.looks
    if looks is None or not looks.why:
        return verdict
    seen, cases = (sum(len(of[name]) for name in looks.cases) for of in (manifest.counted, manifest.selected))
    said = stop_sentence(looks.why, seen=seen, cases=cases)
    if verdict.outcome != "undecided":
        return replace(verdict, reasons=(*verdict.reasons, said))
    others = f"to have the other {count(cases - seen, 'case')} asked, run again without --early-stop"
    steps = (*verdict.next_steps, f"{others}: answers already received are kept")
    return replace(verdict, reasons=(said, *verdict.reasons), next_steps=steps)


def _with_doubts(verdict: Verdict, *, doubts: tuple[Doubt, ...]) -> Verdict:
    """What the run lacks stands in the way of promotion, never of holding."""
    if not doubts:
        return verdict
    said = tuple(doubt.reason for doubt in doubts)
    hold = verdict.outcome == "hold"
    return replace(
        verdict,
        outcome="hold" if hold else "undecided",
        reasons=(*verdict.reasons, *said) if hold else (*said, *verdict.reasons),
        next_steps=(*dict.fromkeys(doubt.remedy for doubt in doubts), *verdict.next_steps),
    )


def _doubts(
    run: Run, rows: Mapping[str, Mapping[Role, Sequence[Result]]], *, reference: Role
) -> Iterator[Doubt]:
    answered = {result.role for result in run.results if not _not_asked(result)}
    roles: tuple[Role, Role] = ("candidate", reference)
    for role in roles:
        if role not in answered:
            yield Doubt(
                reason=f"the run has no answer of the {role} model", remedy=f"run with a {role} model"
            )
    for suite in run.manifest.suites:
        selected = run.manifest.selected.get(suite.name, ())
        # A suite that needs what this model lacks was skipped as a whole, and says so itself.
        if len(selected) < len(suite.cases) and not (suite.needs and not selected):
            yield Doubt(
                reason=f"only {len(selected)} of {count(len(suite.cases), 'case')} of {suite.name} were asked",
                remedy="run the suites without selecting cases",
            )
        present = [role for role in roles if role in answered]
        owed = _owed(run, suite)
        yield from _unanswered(suite, rows.get(suite.name, {}), selected=owed, roles=present)
        yield from _lost(suite, rows.get(suite.name, {}), selected=owed, compared=roles)
        yield from _unjudged(suite, rows.get(suite.name, {}))
    if run.manifest.status == "interrupted":
        yield Doubt(reason="the run was interrupted", remedy=AGAIN)


def _owed(run: Run, suite: Suite) -> tuple[str, ...]:
    """The cases that must have been asked: those that count, and required ones, which are asked before their turn."""
    selected = run.manifest.selected.get(suite.name, ())
    required = {case.id for case in suite.cases if case.required}
    counted = set(run.manifest.counted.get(suite.name, ()))
    return tuple(case for case in selected if case in counted or case in required)


def _unanswered(
    suite: Suite,
    rows: Mapping[Role, Sequence[Result]],
    *,
    selected: Sequence[str],
    roles: Sequence[Role],
) -> Iterator[Doubt]:
    if suite.role == "info":  # no claim rests on it, and tests in Python need not ask everybody
        return
    for role in roles:
        asked = {(row.case, row.trial) for row in rows.get(role, ()) if not _not_asked(row)}
        wanted = {(case, trial) for case in selected for trial in range(suite.trials)}
        if stopped := len(wanted - asked):
            what = count(stopped, "case" if suite.trials == 1 else "trial")
            yield Doubt(
                reason=f"the run stopped before {what} of {suite.name} {'was' if stopped == 1 else 'were'} put to {role}",
                remedy=AGAIN,
            )


def _unjudged(suite: Suite, rows: Mapping[Role, Sequence[Result]]) -> Iterator[Doubt]:
    """Answers a scorer broke on are unscored; which ones those are is no chance, so they are no small matter."""
    broken = Counter(
        score.reason.partition("\n")[0]
        for results in rows.values()
        for row in results
        for score in row.scores.values()
        if score.broken
    )
    for how, number in broken.items():
        yield Doubt(
            reason=f"a scorer of {suite.name} broke on {count(number, 'answer')}, left unscored by it: {how}",
            remedy=f"mend the scorers of {suite.name} and run again: answers already received are kept",
        )


def _not_asked(result: Result) -> bool:
    return isinstance(result.outcome, Failure) and result.outcome.kind == "not_asked"


def _lost(
    suite: Suite,
    rows: Mapping[Role, Sequence[Result]],
    *,
    selected: Sequence[str],
    compared: tuple[Role, Role],
) -> Iterator[Doubt]:
    """Answers that never came: they count against the side that failed, and are cheaply asked for again."""
    missing = {
        role: {
            (row.case, row.trial)
            for row in results
            if isinstance(row.outcome, Failure) and not _not_asked(row) and row.case in selected
        }
        for role, results in rows.items()
    }
    on_both = missing.get(compared[0], set()) & missing.get(compared[1], set())
    for role, cells in missing.items():
        if cells:
            against = len(cells - on_both) if role in compared else 0
            which = "" if against == len(cells) else f"{against} of them "
            verb = "counts" if against == 1 else "count"
            effect = f", and {which}{verb} as 0" if against else ""
            yield Doubt(
                reason=f"{count(len(cells), 'answer')} of {role} in {suite.name} never came{effect}",
                remedy=AGAIN,
            )


def _required(run: Run, rows: Mapping[str, Mapping[Role, Sequence[Result]]]) -> tuple[str, ...]:
    """A sentence for each required case that the candidate answered and is not good at."""
    said = []
    for suite in run.manifest.suites:
        selected = run.manifest.selected.get(suite.name, ())
        answered = rows.get(suite.name, {}).get("candidate", ())
        for case in suite.cases:
            if case.required and case.id in selected:
                score = mean_score(suite, [row for row in answered if row.case == case.id])
                if score is not None and not is_good(suite, score):
                    said.append(f"{suite.name}: the required case {case.id!r} is not good")
    return tuple(said)
