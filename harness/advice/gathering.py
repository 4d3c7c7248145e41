"""A stored run as the sightings that rules read: from its rows, its verdict, and the files beside them."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness import training
from harness.advice.answers import (
    answers_of,
    diversity_of,
    failing_kinds_of,
    recitals_of,
    refusals_of,
    task_of,
)
from harness.advice.related import checkpoint_study_of, read_data_sight, scaling_study_of
from harness.advice.sightings import CurveSight, Sightings
from harness.errors import HarnessError
from harness.evals import CURVE
from harness.records import Run, TrainingJob, Verdict

if TYPE_CHECKING:
    from harness.training import TrainingCurve

FIRST_POINTS = 3
"""The training loss starts at the median of so many measurements."""


def sightings_of(run: Run, verdict: Verdict, *, curve: "TrainingCurve | None" = None) -> Sightings:
    """Everything there is to see of a run.

    Args:
        run: The run. Where it has a folder, the curve, the studies and the look at its training file are read from there,
            and studies of the same job also from the folders beside it.
        verdict: What was decided on it.
        curve: Its job's curve, where the caller has it already.
    """
    manifest, folder = run.manifest, run.path
    answers = answers_of(run)
    task, scored_by = task_of(manifest.suites, verdict)
    curve = curve or _curve_in(folder)
    checkpoints, scaling = checkpoint_study_of(run), scaling_study_of(run)
    candidate = manifest.models.get("candidate")
    return Sightings(
        run=manifest.id,
        status=manifest.status,
        verdict=verdict,
        candidate=candidate.model if candidate is not None else None,
        task=task,
        scored_by=scored_by,
        job=manifest.job.id if manifest.job else None,
        epochs=_epochs(manifest.job),
        curve=_curve_sight(curve, epochs=_epochs(manifest.job))
        if curve is not None and len(curve.steps)
        else None,
        checkpoint=checkpoints.choice if checkpoints else None,
        diversity=diversity_of(answers),
        data=read_data_sight(folder) if folder is not None else None,
        doubling=scaling.pooled if scaling else None,
        doubling_cost_usd=scaling.doubling_cost_usd if scaling else None,
        failing=failing_kinds_of(answers, verdict),
        refusals=refusals_of(answers),
        recitals=recitals_of(answers),
    )


def _curve_sight(curve: "TrainingCurve", *, epochs: int | None) -> CurveSight:
    first = curve.steps["train_loss"].dropna().head(FIRST_POINTS)
    return CurveSight(
        diagnosis=training.diagnose(curve, epochs=epochs),
        train_start=float(first.median()) if len(first) else None,
    )


def _curve_in(folder: Path | None) -> "TrainingCurve | None":
    """The curve beside a run's rows; one that somebody damaged is none, and the page says so."""
    file = folder / CURVE if folder is not None else None
    if file is None or not file.is_file():
        return None
    try:
        return training.read_curve(file)
    except HarnessError:
        return None


def _epochs(job: TrainingJob | None) -> int | None:
    """The number of epochs, where the job tells it as a number (providers also say "auto")."""
    epochs = job.hyperparameters.get("n_epochs") if job else None
    return epochs if isinstance(epochs, int) and not isinstance(epochs, bool) else None
