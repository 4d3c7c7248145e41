"""What lies in a folder of reports: the runs in a few words each, the studies, and what is neither.

Only small files are read, never a run's rows: `summary.json`, or of an older run its manifest and its verdict.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import StorageError
from harness.evals import (
    CHECKPOINTS,
    PAGE,
    SCALING,
    VERDICT,
    list_runs,
    read_checkpoint_study,
    read_promotions,
    read_scaling_study,
)
from harness.evals.store import MANIFEST
from harness.evals.store import SCHEMA as RUN_SCHEMA
from harness.records import CheckpointStudy, Json, RunStatus, ScalingStudy, SuiteVerdict, Verdict, record
from harness.report.facts import ASKED, SUMMARY, ModelFigures, RunFacts, SuiteFacts
from harness.serial import ParseError, from_json, to_json, write_atomic
from harness.verdict import word_of

MOST_LETTERS = 400
"""Of a problem: what a damaged file says is shown, not all of the file."""
STATES: tuple[RunStatus, ...] = ("running", "complete", "interrupted")


@record
class StoredRun:
    """A run's folder: its facts, or the problem that hides them.

    `is_decided` is false while the run is under way and where no verdict is stored: the facts' outcome says nothing then.
    """

    folder: str
    facts: RunFacts | None = None
    is_decided: bool = False
    has_page: bool = False
    is_promoted: bool = False
    problem: str = ""


@record
class StoredStudy:
    """A study of its own: arms on shares of the data, or a job's checkpoints; or the problem that hides it."""

    folder: str
    scaling: ScalingStudy | None = None
    checkpoints: CheckpointStudy | None = None
    has_page: bool = False
    problem: str = ""


@record
class Shelf:
    """Everything in a folder of reports, the newest first, damaged runs last; `others` are folders that hold neither."""

    runs: tuple[StoredRun, ...] = ()
    studies: tuple[StoredStudy, ...] = ()
    others: tuple[str, ...] = ()
    note: str = ""


def write_facts(folder: Path, facts: RunFacts) -> Path:
    """Write `summary.json` beside a run's rows.

    Raises:
        OSError: The folder cannot be written.
    """
    file = folder / SUMMARY
    write_atomic(file, to_json(facts, indent=1) + "\n")
    return file


def read_shelf(reports: Path) -> Shelf:
    """What there is; a folder that cannot be read is told with its problem and hides no other."""
    promoted, note = promoted_run(reports)
    runs: list[StoredRun] = []
    studies: list[StoredStudy] = []
    others: list[str] = []
    for folder in sorted(_folders(reports), key=lambda path: path.name, reverse=True):
        try:
            names = {path.name for path in folder.iterdir()}
        except OSError:  # not to be looked into
            names = set()
        if MANIFEST in names:
            runs.append(read_stored_run(folder, is_promoted=folder.name == promoted))
        elif names & {SCALING, CHECKPOINTS}:
            studies.append(_study(folder))
        else:
            others.append(folder.name)
    # By name, as the clock may have been set back; what cannot be read comes last.
    places = {folder.name: place for place, folder in enumerate(list_runs(reports))}
    runs.sort(key=lambda run: (run.facts is None, places[run.folder]))
    return Shelf(runs=tuple(runs), studies=tuple(studies), others=tuple(others), note=note)


def _folders(reports: Path) -> Iterator[Path]:
    for path in reports.iterdir() if reports.is_dir() else ():
        if path.is_dir() and not path.name.startswith("."):
            yield path


def promoted_run(reports: Path) -> tuple[str, str]:
    """The run of the model in production, and why it is not known."""
    try:
        promotions = read_promotions(reports)
    except StorageError as error:
        return "", f"Which model is in production cannot be read: {error}"
    return (promotions[0].run if promotions else ""), ""


def read_stored_run(folder: Path, *, is_promoted: bool) -> StoredRun:
    """One run's folder in a few words, from its small files."""
    found = StoredRun(folder=folder.name, is_promoted=is_promoted, has_page=_has_page(folder))
    try:
        facts = _summary(folder)
        if facts is not None:
            return replace(found, facts=facts, is_decided=facts.status != "running")
        verdict = _verdict(folder)
        return replace(found, facts=_older_facts(folder, verdict), is_decided=verdict is not None)
    except (OSError, ParseError, StorageError) as error:
        return replace(found, problem=" ".join(str(error)[:MOST_LETTERS].split()) or type(error).__name__)


def _has_page(folder: Path) -> bool:
    try:
        return (folder / PAGE).is_file()
    except OSError:  # not to be looked into
        return False


def _summary(folder: Path) -> RunFacts | None:
    """The facts as they were stored; None without them, or where the run went on or was judged since."""
    file = folder / SUMMARY
    try:
        written = file.stat().st_mtime_ns
        if any(_changed(folder / name) > written for name in (MANIFEST, VERDICT)):
            return None
        return from_json(RunFacts, file.read_bytes())
    except (FileNotFoundError, ParseError):
        return None  # derived, or another version's: what it was made from is read instead


def _changed(file: Path) -> int:
    """When a file was last written, in nanoseconds; 0 where there is none."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _verdict(folder: Path) -> Verdict | None:
    """The stored verdict; None where there is none that can be read."""
    try:
        return from_json(Verdict, (folder / VERDICT).read_bytes())
    except (OSError, ParseError):
        return None


def _older_facts(folder: Path, verdict: Verdict | None) -> RunFacts:
    """What the manifest and the verdict tell: no cost and no counts of cases, which only the rows know.

    The manifest is not checked as a whole: it holds every case of every suite, and a few of its keys are needed.

    Raises:
        ParseError: The manifest is no JSON.
        StorageError: It is a newer version's, or lacks what every manifest has.
    """
    manifest = from_json(dict[str, Json], (folder / MANIFEST).read_bytes())
    schema, status, created = manifest.get("schema"), manifest.get("status"), manifest.get("created")
    if isinstance(schema, int) and schema > RUN_SCHEMA:
        raise StorageError(
            f"it has schema {schema}, this version knows {RUN_SCHEMA}", remedy="upgrade finetune-harness"
        )
    state = next((known for known in STATES if known == status), None)
    if state is None or not isinstance(created, str):
        raise StorageError("its manifest is damaged", remedy="restore it or delete the folder")
    judged = verdict or Verdict(outcome="undecided", reasons=())
    digests = _digests(manifest.get("suites"))
    return RunFacts(
        run=folder.name,
        status=state,
        created=created,
        outcome=judged.outcome,
        word=word_of(judged) if verdict is not None else state,
        reference=judged.reference,
        goal=judged.goal,
        summary=judged.summary,
        reasons=judged.reasons,
        models=tuple(_models(manifest.get("models"))),
        suites=tuple(
            _suite(suite, judged.reference, digest=digests.get(name, ""))
            for name, suite in judged.suites.items()
        ),
    )


def _digests(suites: Json) -> dict[str, str]:
    listed = [suite for suite in suites if isinstance(suite, Mapping)] if isinstance(suites, list) else []
    return {str(suite.get("name")): str(suite.get("digest", "")) for suite in listed}


def _models(models: Json) -> Iterator[ModelFigures]:
    for role in ASKED:
        facts = models.get(role) if isinstance(models, Mapping) else None
        if isinstance(facts, Mapping):
            yield ModelFigures(
                role=role, model=str(facts.get("model", "")), endpoint=str(facts.get("endpoint", ""))
            )


def _suite(suite: SuiteVerdict, reference: str, *, digest: str) -> SuiteFacts:
    return SuiteFacts(
        name=suite.name,
        role=suite.role,
        decision=suite.decision,
        rule=suite.rule,
        reason=suite.reason,
        cases=suite.cases,
        candidate=suite.candidate,
        base=suite.reference if reference == "base" else None,
        promoted=suite.reference if reference == "promoted" else None,
        difference=suite.difference,
        interval=suite.interval,
        margin=suite.margin,
        digest=digest,
    )


def _study(folder: Path) -> StoredStudy:
    found = StoredStudy(folder=folder.name, has_page=_has_page(folder))
    try:
        return replace(found, scaling=read_scaling_study(folder), checkpoints=read_checkpoint_study(folder))
    except StorageError as error:
        return replace(found, problem=" ".join(str(error)[:MOST_LETTERS].split()))
