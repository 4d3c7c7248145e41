"""`--checkpoints`: which there are, what asking them will take, and the study once the run's own cases are answered."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import Settings
from harness.errors import HarnessError
from harness.lineup import Lineup, Seat, Teller
from harness.models import AnswerCache
from harness.pytest_plugin.questions import Questions
from harness.records import CheckpointMarks, Run

if TYPE_CHECKING:
    from harness.experiments.checkpoints import Trained
    from harness.training import TrainingCurve

# OpenAI keeps those of the last three epochs; an estimate that knows no job and no number of epochs takes as many.
KEPT_CHECKPOINTS = 3


def found_checkpoints(settings: Settings, lineup: Lineup, teller: Teller) -> "Trained | None":
    """The checkpoints of the candidate's job, if they are wanted; a line says why there are none."""
    if not settings.checkpoints:
        return None
    from harness.experiments.checkpoints import trained_of

    candidate, job = lineup.seats["candidate"], lineup.job
    if job is None or job.fine_tuned_model is None:
        teller.say("no checkpoints: the job of the candidate is not known (give --job ID)")
        return None
    trained = trained_of(job, candidate.endpoint, curve=lineup.curve, teller=teller)
    if trained is None:
        return None
    teller.say(f"{len(trained.points)} checkpoints of {job.id} will be asked the suites")
    return replace(trained, in_run=candidate.model)


def expected_checkpoints(settings: Settings, candidate: Seat) -> "Trained | None":
    """As many checkpoints as there will probably be, for an estimate that asks nobody."""
    if not settings.checkpoints:
        return None
    from harness.experiments.checkpoints import Trained

    epochs = settings.training.epochs or KEPT_CHECKPOINTS
    # The local server keeps every epoch's.
    count = epochs if candidate.embedded else min(epochs, KEPT_CHECKPOINTS)
    names = [*(f"checkpoint {number}" for number in range(1, count)), candidate.model]
    points = tuple(CheckpointMarks(step=step, model=name) for step, name in enumerate(names, start=1))
    return Trained(job="", points=points, in_run=candidate.model)


def study_run(
    run: Run, questions: Questions, *, curve: "TrainingCurve | None", answers: Path, teller: Teller
) -> None:
    """Ask the checkpoints what the run asked its candidate, and leave the study in the run's folder.

    Whatever comes in between costs the study alone: the run is closed already.
    """
    trained, folder = questions.trained, run.path
    if trained is None or folder is None:
        return
    from harness.experiments.checkpoint_table import study_lines
    from harness.experiments.checkpoints import Exam, counted_suites, study_checkpoints

    later = f"`harness experiment epochs --run {run.manifest.id}` goes on with it"
    if run.manifest.status != "complete":
        teller.say(f"the checkpoints were not asked, as the run did not come to its end; {later}")
        return
    rows = tuple(row for row in run.results if row.role == "candidate")
    try:
        with AnswerCache(answers) as cache:
            exam = Exam(
                suites=counted_suites(run.manifest),
                seats=questions.seats,
                folder=folder,
                terms=questions.terms(cache),
                teller=teller,
            )
            study = study_checkpoints(replace(trained, answered=rows), exam)
    except HarnessError as error:
        teller.say(f"the study of the checkpoints was broken off: {error}; {later}")
    except KeyboardInterrupt:
        teller.say(f"the study of the checkpoints was stopped; {later}")
    else:
        for line in study_lines(study, curve):
            teller.say(line)
