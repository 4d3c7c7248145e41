"""Two stored runs side by side: the candidate of the later against that of the earlier, on the cases they share."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.evals import case_digest, judge_changes, reference_of
from harness.protocols import PairedScorer
from harness.records import CaseComparison, Json, Manifest, Role, Run, Suite, SuiteVerdict, record
from harness.scorers import build
from harness.serial import to_plain
from harness.verdict import compare, decide, scores_of

# The earlier run's candidate takes this role where both stand in one run.
REFERENCE: Role = "base"
# Of a suite, what makes no difference to a reader of results, and what is told by itself.
_NOT_TOLD = ("path", "description", "digest", "name", "cases")
_SHORT_DIGEST = 12


@record
class RunComparison:
    """What became of the cases that two runs share.

    `suites` has a verdict for each suite that can be compared, its reference the earlier run's candidate;
    `refused` says of each other suite why not. `only` counts a compared suite's cases that one run alone has,
    the earlier's and the later's. `set_up` are sentences on what else differs between the runs.
    """

    earlier: str
    later: str
    suites: Mapping[str, SuiteVerdict]
    cases: tuple[CaseComparison, ...]
    refused: Mapping[str, str]
    only: Mapping[str, tuple[int, int]]
    set_up: tuple[str, ...]


def compare_runs(earlier: Run, later: Run) -> RunComparison:
    """The candidates of two runs, paired case by case and judged as a run's own candidate and reference are.

    A case is shared when prompt, expectation and scorers are the same in both, whatever its id; ids are the
    later run's. A suite whose scores mean another thing in the two runs is refused.
    """
    shared, refused = _sorted_out(earlier, later)
    merged = _merged(earlier, later, shared)
    return RunComparison(
        earlier=earlier.manifest.id,
        later=later.manifest.id,
        suites=decide(scores_of(merged, reference=REFERENCE), alpha=later.manifest.alpha).suites,
        cases=compare(merged, reference=REFERENCE).cases,
        refused=refused,
        only={
            name: (
                len(earlier.manifest.counted[name]) - len(pairs),
                len(later.manifest.counted[name]) - len(pairs),
            )
            for name, pairs in shared.items()
        },
        set_up=tuple(_differences(earlier.manifest, later.manifest)),
    )


# --- what can be compared --------------------------------------------------------------------------


def _sorted_out(earlier: Run, later: Run) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The shared cases of each suite that can be compared, and why each other one cannot."""
    before, after = _asked(earlier), _asked(later)
    refused = {name: f"only in {earlier.manifest.id}" for name in before if name not in after}
    refused |= {name: f"only in {later.manifest.id}" for name in after if name not in before}
    shared: dict[str, dict[str, str]] = {}
    for name in (name for name in after if name in before):
        pairs = _pairs(_by_digest(before[name], earlier), _by_digest(after[name], later))
        why = _why_not(earlier.manifest, later.manifest, after[name])
        if why is None and not pairs:
            why = _why_no_case(before[name], after[name])
        if why is None:
            shared[name] = pairs
        else:
            refused[name] = why
    return shared, refused


def _asked(run: Run) -> dict[str, Suite]:
    return {suite.name: suite for suite in run.manifest.suites if run.manifest.selected.get(suite.name)}


def _why_not(earlier: Manifest, later: Manifest, suite: Suite) -> str | None:
    """Why a suite's scores mean another thing in the two runs; None when they mean the same."""
    before, now = _judging(earlier, suite), _judging(later, suite)
    if before != now:
        return "its judge is another, or is asked otherwise"
    if _reference(earlier) == _reference(later):
        return None
    is_paired = any(isinstance(build(spec), PairedScorer) for spec in suite.scorers)
    return "its answers were compared with another model's" if is_paired else None


def _judging(manifest: Manifest, suite: Suite) -> tuple[object, ...]:
    """Who judges a suite and how; empty where nobody does."""
    pins = {name: pin for name, pin in manifest.judging.items() if name.startswith(f"{suite.name}: ")}
    judge = manifest.models.get("judge")
    return (pins, judge and (judge.model, judge.endpoint)) if pins else ()


def _reference(manifest: Manifest) -> tuple[str, str] | None:
    roles: tuple[Role, ...] = ("promoted", "base")
    role = reference_of(role for role in roles if role in manifest.models)
    facts = manifest.models.get(role) if role else None
    return (facts.model, facts.endpoint) if facts else None


def _pairs(before: Mapping[tuple[str, int], str], after: Mapping[tuple[str, int], str]) -> dict[str, str]:
    """Ids of the shared cases, the earlier run's to the later's."""
    return {before[key]: case for key, case in after.items() if key in before}


def _by_digest(suite: Suite, run: Run) -> dict[tuple[str, int], str]:
    """Ids of the cases that count by what makes a case itself; of equal ones the first is 0, the next 1."""
    counted = set(run.manifest.counted[suite.name])
    seen: Counter[str] = Counter()
    found = {}
    for case in suite.cases:
        if case.id in counted:
            digest = case_digest(suite, case)
            found[digest, seen[digest]] = case.id
            seen[digest] += 1
    return found


def _why_no_case(before: Suite, after: Suite) -> str:
    if [to_plain(spec) for spec in before.scorers] != [to_plain(spec) for spec in after.scorers]:
        return "its scorers are others, so no case is judged alike"
    if (before.system, before.prompts) != (after.system, after.prompts):
        return "its system prompt is another, so no case is asked alike"
    return "no case is the same in both runs"


def _merged(earlier: Run, later: Run, shared: Mapping[str, Mapping[str, str]]) -> Run:
    """One run of the shared cases: the later candidate's rows, and the earlier candidate's as its reference's."""
    trials = {name: suite.trials for name, suite in _asked(earlier).items()}
    manifest = replace(
        later.manifest,
        suites=tuple(
            replace(suite, trials=max(suite.trials, trials[suite.name]))
            for suite in later.manifest.suites
            if suite.name in shared
        ),
        selected={
            name: tuple(case for case in later.manifest.counted[name] if case in set(pairs.values()))
            for name, pairs in shared.items()
        },
        looks=None,
    )
    mine = [row for row in later.results if row.role == "candidate"]
    others = [
        replace(row, role=REFERENCE, case=shared[row.suite][row.case])
        for row in earlier.results
        if row.role == "candidate" and row.case in shared.get(row.suite, {})
    ]
    labels = [label for label in later.labels if label.role == "candidate"]
    other_labels = [
        replace(label, role=REFERENCE, case=shared[label.suite][label.case])
        for label in earlier.labels
        if label.role == "candidate" and label.case in shared.get(label.suite, {})
    ]
    return Run(manifest=manifest, results=(*mine, *others), labels=(*labels, *other_labels))


# --- what differs in the set-up --------------------------------------------------------------------


def _differences(earlier: Manifest, later: Manifest) -> Iterator[str]:
    suites = {suite.name: suite for suite in earlier.suites}
    for suite in later.suites:
        known = suites.get(suite.name)
        if known is not None:
            yield from (f"suite {suite.name}: {what}" for what in _suite_differences(known, suite))
    yield from judge_changes(earlier, later)
    for name in sorted({*earlier.data, *later.data}):
        before, now = earlier.data.get(name), later.data.get(name)
        if before != now:
            yield f"{name} data: {_short(before)} -> {_short(now)}"
    before, now = (manifest.versions.get("finetune-harness") for manifest in (earlier, later))
    if before != now:
        yield f"the harness: {before or 'unknown'} -> {now or 'unknown'}"


def _suite_differences(before: Suite, after: Suite) -> Iterator[str]:
    """What is set otherwise; values where they are short, settings by name where they are not."""
    old, new = to_plain(before), to_plain(after)
    if (sampling := _changed(old.pop("sampling"), new.pop("sampling"))) is not None:
        yield f"sampling {sampling}"
    for key in ("trials", "margin", "role", "pass_mark", "weight"):
        if old[key] != new[key]:
            yield f"{key} {old[key]} -> {new[key]}"
        del old[key], new[key]
    names = [key.replace("_", " ") for key in old if key not in _NOT_TOLD and old[key] != new[key]]
    if names:
        yield f"changed: {', '.join(names)}"
    for plain in (old, new):
        for case in plain["cases"]:
            del case["line"]
    if old["cases"] != new["cases"]:
        yield f"digest {_short(before.digest)} -> {_short(after.digest)}: its cases are not all the same"


def _changed(old: Mapping[str, Json], new: Mapping[str, Json]) -> str | None:
    found: Sequence[str] = [f"{key} {old.get(key)} -> {new[key]}" for key in new if old.get(key) != new[key]]
    return ", ".join(found) if found else None


def _short(text: str | None) -> str:
    return text[:_SHORT_DIGEST] if text else "none"
