"""What is written once a run is closed: its verdict, what its training file shows, its page."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness import report
from harness.advice import note_training_data
from harness.config import Settings
from harness.evals import PAGE, VERDICT
from harness.records import Run, Verdict
from harness.serial import to_json, write_atomic
from harness.verdict import verdict_of

if TYPE_CHECKING:
    from harness.training import TrainingCurve


def conclude(
    run: Run, folder: Path, *, settings: Settings, curve: "TrainingCurve | None"
) -> tuple[Verdict, Path]:
    """Decide on a closed run, and write what follows beside its rows.

    Args:
        run: The run.
        folder: Its folder.
        settings: They name the training file.
        curve: The curve of the candidate's job, where there is one.

    Returns:
        The verdict, and the path of the page.
    """
    verdict = verdict_of(run)
    write_atomic(folder / VERDICT, to_json(verdict, indent=1))
    train = settings.train
    if train is not None:
        note_training_data(folder, run.manifest, train=settings.path(train), name=train.as_posix())
    return verdict, report.render(run, verdict, to=folder / PAGE, curve=curve)
