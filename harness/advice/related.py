"""What else tells of a run's candidate? What was noted of its training file, and studies of the same model, in its folder or beside it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from harness.advice.sightings import DataSight
from harness.errors import StorageError
from harness.evals import read_checkpoint_study, read_scaling_study
from harness.evals.studies import CHECKPOINTS, SCALING
from harness.records import CheckpointStudy, Manifest, Run, ScalingStudy
from harness.serial import ParseError, from_json

DATA_SIGHT = "training_data.json"
_Study = TypeVar("_Study", CheckpointStudy, ScalingStudy)


def checkpoint_study_of(run: Run) -> CheckpointStudy | None:
    """The study of the checkpoints of the run's job.

    Raises:
        StorageError: A newer version wrote the one in the run's own folder.
    """
    job = run.manifest.job
    return _study_of(
        run, CHECKPOINTS, read_checkpoint_study, is_same=lambda study: job is not None and study.job == job.id
    )


def scaling_study_of(run: Run) -> ScalingStudy | None:
    """The study of shares of the data whose arm on all of it is the run's candidate.

    Raises:
        StorageError: As `checkpoint_study_of`.
    """
    return _study_of(run, SCALING, read_scaling_study, is_same=lambda study: _trained_it(study, run.manifest))


def _trained_it(study: ScalingStudy, manifest: Manifest) -> bool:
    candidate = manifest.models.get("candidate")
    job = manifest.job.id if manifest.job is not None else None
    return any(
        arm.share == 1
        and ((job is not None and arm.job == job) or (candidate is not None and arm.model == candidate.model))
        for arm in study.arms
    )


def _study_of(
    run: Run, name: str, read: Callable[[Path], _Study | None], *, is_same: Callable[[_Study], bool]
) -> _Study | None:
    if run.path is None:
        return None
    own = read(run.path)
    return own or next((study for study in _beside(run.path, name, read) if is_same(study)), None)


def _beside(folder: Path, name: str, read: Callable[[Path], _Study | None]) -> Iterator[_Study]:
    """The studies of the other folders of the reports, the newest first; one that cannot be read is none."""
    files = sorted(folder.parent.glob(f"*/{name}"), key=_written, reverse=True)
    for file in files:
        try:
            study = read(file.parent)
        except StorageError:
            continue
        if study is not None:
            yield study


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # gone since it was listed
        return 0.0


def read_data_sight(folder: Path) -> DataSight | None:
    """What was noted of a run's training file; None where nothing was, or the note is damaged."""
    try:
        return from_json(DataSight, (folder / DATA_SIGHT).read_bytes())
    except (OSError, ParseError):
        return None
