"""What a judge is asked, pinned: a digest for each judged scorer, and what changed since an earlier run."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.errors import StorageError
from harness.evals.scoring import tried
from harness.evals.store import list_runs, read_manifest
from harness.protocols import AnyScorer, JudgedScorer, PairedScorer, PanelScorer, VectorScorer
from harness.records import Case, Completion, Manifest, Question, Role, Score, Suite
from harness.scorers import build
from harness.serial import digest, to_plain

# The same for every suite, so that what differs between two digests is how the judge is asked.
PROBE = Case(
    id="probe", messages=({"role": "user", "content": "What is asked"},), expected="what is expected"
)
ANSWERS = (Completion(text="one answer"), Completion(text="another answer"))
# An earlier run is looked for among so many: each manifest holds whole suites.
MOST_RUNS = 20


def role_needed(scorer: AnyScorer) -> Role | None:
    """Which model a scorer asks, if any."""
    if isinstance(scorer, (JudgedScorer, PanelScorer, PairedScorer)):
        return "judge"
    return "embedding" if isinstance(scorer, VectorScorer) else None


def suites_asking(role: Role, suites: Iterable[Suite]) -> list[str]:
    """The suites with a scorer that asks the judge, or the embedding model."""
    return [suite.name for suite in suites if any(role_needed(build(spec)) == role for spec in suite.scorers)]


def judge_pins(suites: Iterable[Suite]) -> dict[str, str]:
    """A digest of how the judge is asked, for each `suite: scorer` that asks it.

    It is of the questions about an answer that is always the same, so it changes with the prompt, the sampling
    and the repeats. Where a scorer cannot ask about that, the suite's first case stands in, and where it cannot
    ask about that either (its answer would have to be JSON, say), its settings do.
    """
    found = {}
    for suite in suites:
        for spec in suite.scorers:
            scorer = build(spec)
            if role_needed(scorer) != "judge":
                continue
            for case in (PROBE, *suite.cases[:1]):
                asked = tried(spec, lambda: _questions(scorer, case))  # noqa: B023 - called at once
                if asked and not isinstance(asked, Score):
                    found[f"{suite.name}: {spec.name}"] = digest([to_plain(one) for one in asked])
                    break
            else:
                found[f"{suite.name}: {spec.name}"] = digest(to_plain(scorer))
    return found


def _questions(scorer: AnyScorer, case: Case) -> Sequence[Question]:
    return questions_about(scorer, case, ANSWERS)


def questions_about(
    scorer: AnyScorer, case: Case, answers: tuple[Completion, Completion]
) -> Sequence[Question]:
    """What a scorer asks the judge about the candidate's answer, and the reference's where it compares."""
    if isinstance(scorer, PairedScorer):
        return scorer.comparisons(case, *answers)
    if isinstance(scorer, PanelScorer):
        return scorer.questions(case, answers[0])
    if isinstance(scorer, JudgedScorer):
        return (Question(name="", messages=tuple(scorer.question(case, answers[0]))),)
    return ()


def judge_changes(earlier: Manifest, later: Manifest) -> tuple[str, ...]:
    """What is different about the judging of two runs, in sentences; nothing when their scores can be compared."""
    return tuple(_changes(earlier, later))


def _changes(earlier: Manifest, later: Manifest) -> Iterator[str]:
    shared = earlier.judging.keys() & later.judging.keys()
    if not shared:
        return
    before, now = earlier.models.get("judge"), later.models.get("judge")
    if (
        before is not None
        and now is not None
        and (before.model, before.endpoint) != (now.model, now.endpoint)
    ):
        yield (
            f"the judge is {now.model} ({now.endpoint}), in {earlier.id} it was {before.model} ({before.endpoint}): "
            "scores of the two runs cannot be compared"
        )
    changed = sorted(name for name in shared if earlier.judging[name] != later.judging[name])
    if changed:
        yield (
            f"the judge is asked otherwise than in {earlier.id} ({'; '.join(changed)}): "
            "scores of the two runs cannot be compared"
        )


def changes_since_last(reports: Path, manifest: Manifest) -> tuple[str, ...]:
    """How the judging differs from that of the newest complete run with a judged suite of this one."""
    for folder in list_runs(reports)[:MOST_RUNS]:
        try:
            earlier = read_manifest(folder)
        except StorageError:
            continue
        is_earlier = earlier.status == "complete" and earlier.id != manifest.id
        if is_earlier and earlier.judging.keys() & manifest.judging.keys():
            return judge_changes(earlier, manifest)
    return ()
