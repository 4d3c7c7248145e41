"""What a run's answers show beside its verdict: which kinds of cases fail, refusals, recitals, and how much answers vary."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np
import numpy.typing as npt
from scipy.special import betaln

from harness.advice.sightings import KindOfCase, RecitalSight, RefusalSight, Task
from harness.records import Case, Completion, Result, Role, Run, ScorerSpec, Suite, SuiteRole, Verdict, record
from harness.texts.diversity import DiversityShift, diversity_shift
from harness.verdict import is_good, mean_score, t_interval
from harness.verdict.pairedtests import paired_difference

ONE_ANSWER = frozenset(
    {"exact_match", "label", "label_model", "number", "json_fields", "tool_call", "string_check"}
)
"""Scorers that know one right answer."""
FORMED = ONE_ANSWER | {"json_schema"}
"""Scorers of answers that are not free text."""
LABELLED = frozenset({"label", "label_model"})
FEWEST_OF_A_KIND = 4
CHANCE = 0.05
"""A kind stands out when so few draws at random would have as many failures; shared among a suite's kinds (Bonferroni)."""
MOST_CASES_READ = 2000
"""Cases whose answers are cut into words, evenly from all: a thousand take half a second, and every page waits for it."""
_ORDER: Sequence[SuiteRole] = ("target", "critical", "guard")

Rows = Mapping[tuple[str, str, Role], tuple[Result, ...]]


@record
class Answers:
    """A run's rows by suite, case and role, trials in order."""

    run: Run
    rows: Rows

    def of(self, suite: Suite, case: Case, role: Role) -> tuple[Result, ...]:
        """The rows of one cell."""
        return self.rows.get((suite.name, case.id, role), ())


def answers_of(run: Run) -> Answers:
    """Index the rows that the verdict rests on: a run that stopped early may have asked for more."""
    counted = {(suite, case) for suite, cases in run.manifest.counted.items() for case in cases}
    rows: defaultdict[tuple[str, str, Role], tuple[Result, ...]] = defaultdict(tuple)
    for row in sorted(run.results, key=lambda result: result.trial):
        if (row.suite, row.case) in counted:
            key = (row.suite, row.case, row.role)
            rows[key] = (*rows[key], row)
    return Answers(run=run, rows=rows)


def task_of(suites: Iterable[Suite], verdict: Verdict) -> tuple[Task | None, tuple[str, ...]]:
    """Whether all targets have one right answer each, and which scorers say so; None without a target."""
    targets = [suite for suite in suites if suite.role == "target" and suite.name in verdict.suites]
    if not targets:
        return None, ()
    knowing = [[spec.type for spec in suite.scorers if spec.type in ONE_ANSWER] for suite in targets]
    is_single = all(suite.task == "single" for suite in targets) and all(knowing)
    names = tuple(dict.fromkeys(name for names in knowing for name in names))
    return ("single", names) if is_single else ("multi", ())


# --- kinds of cases that fail ------------------------------------------------------------------------


def failing_kinds_of(answers: Answers, verdict: Verdict) -> tuple[KindOfCase, ...]:
    """The kinds of cases that fail more often than the rest of their suite, else the suites; targets first.

    Targets count in any case, guards and critical suites where they failed.
    """
    found: list[KindOfCase] = []
    for role in _ORDER:
        ofrole: list[KindOfCase] = []
        for suite in answers.run.manifest.suites:
            judged = verdict.suites.get(suite.name)
            if judged is not None and judged.role == role and (role == "target" or judged.decision == "fail"):
                ofrole += _kinds(suite, role, answers)
        found += sorted(ofrole, key=lambda kind: -kind.failed)
    return tuple(found)


def _kinds(suite: Suite, role: SuiteRole, answers: Answers) -> Iterator[KindOfCase]:
    failed = {
        case.id: not is_good(suite, score)
        for case in suite.cases
        if (score := mean_score(suite, answers.of(suite, case, "candidate"))) is not None
    }
    total = sum(failed.values())
    if not total:
        return
    by_kind: defaultdict[str, list[bool]] = defaultdict(list)
    for case in suite.cases:
        if case.id in failed:
            for name in _names(suite, case):
                by_kind[name].append(failed[case.id])
    bar = CHANCE / max(1, len(by_kind))
    standing_out = [
        KindOfCase(suite=suite.name, role=role, name=name, failed=sum(of_kind), cases=len(of_kind))
        for name, of_kind in by_kind.items()
        if FEWEST_OF_A_KIND <= len(of_kind) < len(failed)
        and at_least_by_chance(sum(of_kind), of_kind=len(of_kind), failed=total, cases=len(failed)) < bar
    ]
    whole = KindOfCase(suite=suite.name, role=role, name="", failed=total, cases=len(failed))
    yield from standing_out or [whole]


def at_least_by_chance(count: int, *, of_kind: int, failed: int, cases: int) -> float:
    """The chance that at least `count` of the `failed` cases are of one kind, were they drawn from all `cases` at random.

    The upper tail of the hypergeometric distribution, as `scipy.stats.hypergeom.sf(count - 1, ...)`, which takes half a second to import.
    """
    counts = np.arange(max(count, failed + of_kind - cases, 0), min(of_kind, failed) + 1)
    drawn = _log_choose(of_kind, counts) + _log_choose(cases - of_kind, failed - counts)
    return float(np.exp(drawn - _log_choose(cases, np.array([failed]))).sum())


def _log_choose(total: int, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(-betaln(total - chosen + 1, chosen + 1) - np.log1p(total), dtype=float)


def _names(suite: Suite, case: Case) -> set[str]:
    """A case's kinds: its tags, and the label it expects."""
    is_labelled = any(spec.type in LABELLED for spec in suite.scorers)
    return {*case.tags, *([case.expected] if is_labelled and isinstance(case.expected, str) else [])}


# --- refusals and recitals ---------------------------------------------------------------------------


def refusals_of(answers: Answers) -> tuple[RefusalSight, ...]:
    """How often both models refuse what they should answer, by suite that has a `refusal` scorer."""
    return tuple(_refusal_sights(answers))


def _refusal_sights(answers: Answers) -> Iterator[RefusalSight]:
    for suite, spec in _scored_by(answers.run, "refusal"):
        pairs: list[tuple[float, float]] = []
        for case in suite.cases:
            if (spec.settings.get("expect") or case.expected) != "comply":
                continue
            rates = [_rate(answers.of(suite, case, role), spec.name) for role in ("base", "candidate")]
            if rates[0] is not None and rates[1] is not None:
                pairs.append((rates[0], rates[1]))
        table = np.array(pairs).reshape(-1, 2)
        difference = paired_difference(table[:, 1] - table[:, 0])
        if difference is None:
            continue
        low, high = t_interval(difference)
        base, candidate = table.mean(axis=0).tolist()
        yield RefusalSight(
            suite=suite.name, base=base, candidate=candidate, low=low, high=high, cases=len(pairs)
        )


def _rate(rows: Iterable[Result], scorer: str) -> float | None:
    rates = [
        score.measures["refusal_rate"]
        for row in rows
        if (score := row.scores.get(scorer)) is not None and "refusal_rate" in score.measures
    ]
    return fmean(rates) if rates else None


def recitals_of(answers: Answers) -> tuple[RecitalSight, ...]:
    """In how many cases a model recites, by suite that has a `regurgitation` scorer."""
    sights = []
    for suite, spec in _scored_by(answers.run, "regurgitation"):
        recited: dict[Role, int] = {
            role: sum(_recites(answers.of(suite, case, role), spec.name) for case in suite.cases)
            for role in ("base", "candidate")
        }
        sights.append(
            RecitalSight(
                suite=suite.name,
                base=recited["base"],
                candidate=recited["candidate"],
                cases=sum(bool(answers.of(suite, case, "candidate")) for case in suite.cases),
            )
        )
    return tuple(sights)


def _recites(rows: Iterable[Result], scorer: str) -> bool:
    return any((score := row.scores.get(scorer)) is not None and score.value == 0 for row in rows)


def _scored_by(run: Run, kind: str) -> Iterator[tuple[Suite, ScorerSpec]]:
    for suite in run.manifest.suites:
        for spec in suite.scorers:
            if spec.type == kind:
                yield suite, spec


# --- diversity -----------------------------------------------------------------------------------------


def diversity_of(answers: Answers) -> DiversityShift | None:
    """How the candidate's answers vary against the base's, over all suites that ask for free text."""
    base: list[list[str]] = []
    candidate: list[list[str]] = []
    for suite in answers.run.manifest.suites:
        if not _asks_for_free_text(suite):
            continue
        for case in suite.cases:
            own, other = (_texts(answers.of(suite, case, role)) for role in ("base", "candidate"))
            trials = sorted(own.keys() & other.keys())
            base.append([own[trial] for trial in trials])
            candidate.append([other[trial] for trial in trials])
    every = 1 + len(base) // MOST_CASES_READ
    return diversity_shift(base[::every], candidate[::every])


def _asks_for_free_text(suite: Suite) -> bool:
    is_formed = any(spec.type in FORMED for spec in suite.scorers)
    return not is_formed and suite.sampling.response_format is None and not suite.sampling.tools


def _texts(rows: Iterable[Result]) -> dict[int, str]:
    return {
        row.trial: row.outcome.text
        for row in rows
        if isinstance(row.outcome, Completion) and not row.outcome.tool_calls
    }
