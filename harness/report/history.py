"""What became of a run's cases in the runs before it, told by the digest of what is asked, expected and judged."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import StorageError
from harness.evals import VERDICT, list_runs, open_run
from harness.records import Change, Result, Role, Run, Suite, record
from harness.serial import ParseError, from_json
from harness.verdict import change_of, mean_score, reference_of

MOST_RUNS = 10
MOST_BYTES = 40_000_000
"""As much of earlier runs as is read in about a second: one of 10,000 cases and two models, or ten of a thousand."""

CaseKey = tuple[str, str]
"""A suite's name and a case's id, in the run that is shown."""


@record
class EarlierRun:
    """A run before this one: when it was, what was decided (empty where that is not stored), what was compared."""

    id: str
    created: str
    outcome: str
    candidate: str
    reference: Role


@record
class EarlierScores:
    """What a case came to in an earlier run, `run` counted from the newest: means over trials in 0..1, None without one."""

    run: int
    candidate: float | None
    reference: float | None
    change: Change | None


@record
class History:
    """The earlier runs that share cases with this one, newest first, and each case's scores in them."""

    runs: tuple[EarlierRun, ...] = ()
    cases: Mapping[CaseKey, tuple[EarlierScores, ...]]


NO_HISTORY = History(cases={})


def history_of(run: Run, *, most_runs: int = MOST_RUNS, most_bytes: int = MOST_BYTES) -> History:
    """Read the runs before this one in the folder it lies in; one that cannot be read is left out.

    Args:
        run: The run that is shown; one that was not stored has no history.
        most_runs: How many earlier runs are looked at, the newest first.
        most_bytes: How many bytes of them are read; a run that would take more ends the reading.
    """
    if run.path is None:
        return NO_HISTORY
    wanted = _by_digest(run)
    runs: list[EarlierRun] = []
    cases: defaultdict[CaseKey, list[EarlierScores]] = defaultdict(list)
    for folder in _before(run.path, most_runs, most_bytes):
        try:
            earlier = open_run(folder)
        except StorageError:
            continue
        told = _told(earlier, folder)
        found = list(_scored(earlier, told.reference, wanted, number=len(runs)))
        if found:
            runs.append(told)
        for key, scores in found:
            cases[key].append(scores)
    return History(runs=tuple(runs), cases={key: tuple(scores) for key, scores in cases.items()})


def _by_digest(run: Run) -> dict[str, dict[CaseKey, Suite]]:
    """The cases of a run by digest; two of a suite may ask the same."""
    suites = {suite.name: suite for suite in run.manifest.suites}
    found: defaultdict[str, dict[CaseKey, Suite]] = defaultdict(dict)
    for row in run.results:
        if row.digest and row.suite in suites:
            found[row.digest][row.suite, row.case] = suites[row.suite]
    return found


def _before(path: Path, most_runs: int, most_bytes: int) -> Iterator[Path]:
    """The folders of the runs before one, newest first, as many as may be read."""
    path = path.resolve()
    earlier = [folder for folder in list_runs(path.parent) if folder.name < path.name]
    for folder in earlier[:most_runs]:
        most_bytes -= sum(file.stat().st_size for file in folder.glob("*.json*"))
        if most_bytes < 0:
            return
        yield folder


def _told(run: Run, folder: Path) -> EarlierRun:
    facts = run.manifest.models.get("candidate")
    return EarlierRun(
        id=run.manifest.id,
        created=run.manifest.created,
        outcome=_stored_outcome(folder),
        candidate=facts.model if facts else "",
        reference=reference_of(run),
    )


def _stored_outcome(folder: Path) -> str:
    """What was decided then, by the verdict that was written then; it may be missing."""
    try:
        outcome = from_json(dict, (folder / VERDICT).read_bytes()).get("outcome")
    except (OSError, ParseError):
        return ""
    return outcome if isinstance(outcome, str) else ""


def _scored(
    run: Run, reference: Role, wanted: Mapping[str, Mapping[CaseKey, Suite]], *, number: int
) -> Iterator[tuple[CaseKey, EarlierScores]]:
    """The cases of this run that an earlier one has an answer to, judged by the same scorers."""
    answers: defaultdict[str, defaultdict[Role, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for row in run.results:
        if row.digest in wanted:
            answers[row.digest][row.role].append(row)
    for digest, by_role in answers.items():
        for key, suite in wanted[digest].items():
            candidate = _mean(suite, by_role["candidate"])
            before = _mean(suite, by_role[reference])
            change = change_of(suite, candidate=candidate, reference=before)
            yield key, EarlierScores(run=number, candidate=candidate, reference=before, change=change)


def _mean(suite: Suite, rows: list[Result]) -> float | None:
    score = mean_score(suite, rows)
    return None if score is None or not math.isfinite(score) else score
