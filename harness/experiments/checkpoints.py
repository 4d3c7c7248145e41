"""The suites at each checkpoint of a job: how behaviour moved over the steps, and which checkpoint is to be taken.

A choice by the suites flatters what it chooses. So the chosen checkpoint is tested again where the choice did not look:
on fresh trials where answers are drawn at random, on other cases where they are not (`CheckpointChoice.on`).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness import training
from harness.errors import EndpointError
from harness.evals import Count, Precedents, RoleEstimate, exact_tokens, together, write_checkpoint_study
from harness.experiments.asking import NotServedError, Terms, ask_suites, estimate_asking, seated
from harness.lineup import Seat, Teller
from harness.records import (
    Checkpoint,
    CheckpointChoice,
    CheckpointMarks,
    CheckpointStudy,
    Endpoint,
    Manifest,
    Result,
    Role,
    Suite,
    SuiteMark,
    TrainingJob,
    record,
)
from harness.verdict import (
    CheckpointScores,
    families_of,
    mark_of,
    marks_of,
    mean_score,
    pick_checkpoint,
    read_elsewhere,
    takes_part,
)

if TYPE_CHECKING:
    from harness.training import TrainingCurve

FOLDER = "checkpoints"
RETEST = "retest"

Rows = Mapping[str, Sequence[Result]]
"""Results by model."""


@record
class Trained:
    """A job and what there is to ask of it.

    `points` are its usable checkpoints in the order of their steps, the job's own model last, without marks.
    `in_run` is the one that a run asks anyway as its candidate, and `answered` are its rows there.
    """

    job: str
    points: tuple[CheckpointMarks, ...]
    in_run: str | None = None
    answered: tuple[Result, ...] = ()

    @property
    def to_ask(self) -> tuple[CheckpointMarks, ...]:
        """The checkpoints that no run asks."""
        return tuple(point for point in self.points if point.model != self.in_run)


def trained_of(
    job: TrainingJob, endpoint: Endpoint, *, curve: "TrainingCurve | None", teller: Teller
) -> Trained | None:
    """A job with its checkpoints, as the provider tells them now; None where there are none, which is said in a line."""
    try:
        points = points_of(job, training.checkpoints_of(endpoint, job), curve=curve)
    except EndpointError as error:
        teller.say(f"no checkpoints: {endpoint.label} does not tell those of {job.id}: {error.problem}")
        return None
    if len(points) == 1:
        teller.say(f"no checkpoints: {endpoint.label} has none of {job.id} beside its own model")
        return None
    return Trained(job=job.id, points=points)


def points_of(
    job: TrainingJob, checkpoints: Sequence[Checkpoint], *, curve: "TrainingCurve | None"
) -> tuple[CheckpointMarks, ...]:
    """The models of a job by step, each set of weights once, the job's own model last.

    Some providers list that model among the checkpoints, under its own name or under another one at the last step;
    OpenAI makes a checkpoint of each epoch but the last.
    """
    own = job.fine_tuned_model
    assert own is not None, "a job without a model has nothing to ask"
    listed = {point.model: point.step for point in checkpoints}
    last = listed.pop(own, None)
    if last is None and curve is not None and len(curve.steps):
        last = int(curve.steps["step"].iloc[-1])
    earlier = sorted((step, model) for model, step in listed.items() if last is None or step < last)
    if last is None:
        last = _next_step([step for step, _ in earlier])
    epochs = job.hyperparameters.get("n_epochs")
    share = epochs / last if isinstance(epochs, int) and last else None
    return tuple(
        CheckpointMarks(step=step, model=model, epoch=None if share is None else round(step * share, 2))
        for step, model in [*earlier, (last, own)]
    )


def _next_step(steps: Sequence[int]) -> int:
    """Where the last of evenly spaced checkpoints would be, for a job that tells its last step nowhere."""
    return steps[-1] + (steps[-1] - (steps[-2] if len(steps) > 1 else 0)) if steps else 0


def counted_suites(manifest: Manifest) -> tuple[Suite, ...]:
    """The suites of a run with the cases that its verdict rests on; those written in Python ask for themselves."""
    return tuple(
        replace(suite, cases=tuple(case for case in suite.cases if case.id in frozenset(counted)))
        for suite in manifest.suites
        if suite.path and (counted := manifest.counted.get(suite.name))
    )


# --- the study -----------------------------------------------------------------------------------------


@record
class Exam:
    """What models are asked, and where.

    Args:
        suites: With the cases that are to be asked.
        seats: Who plays which role; checkpoints are asked in the candidate's place.
        folder: Of the run, or of the experiment.
        terms: How models are asked.
        teller: Told which checkpoint is asked, and how far that is.
    """

    suites: tuple[Suite, ...]
    seats: Mapping[Role, Seat]
    folder: Path
    terms: Terms
    teller: Teller

    @property
    def deciding(self) -> tuple[Suite, ...]:
        """The suites that a checkpoint is chosen by."""
        return tuple(suite for suite in self.suites if takes_part(suite.role))


def study_checkpoints(trained: Trained, exam: Exam) -> CheckpointStudy:
    """Ask every checkpoint the suites, choose one, test it again, and write the study into the folder as it grows.

    Rows lie below `checkpoints/` in the folder, and a study that was broken off goes on from them. A checkpoint that
    the provider does not serve is left out, and said.

    Raises:
        EndpointError: The endpoint refused or stopped answering; what came is kept, and in the written study. Or
            it serves none of the checkpoints.
        StorageError: The folder cannot be written.
    """
    rows: dict[str, Sequence[Result]] = {}
    study = CheckpointStudy(job=trained.job, checkpoints=())
    for point in trained.points:
        found = _asked(point, trained, exam)
        if found is not None:
            rows[point.model] = found
            marked = replace(point, marks=marks_of(found, exam.suites))
            study = replace(study, checkpoints=(*study.checkpoints, marked))
            write_checkpoint_study(exam.folder, study)
    if not rows:
        raise EndpointError(
            f"none of the {len(trained.points)} models of {trained.job} is served",
            remedy="ask again later: fresh ones need some minutes; where they must be deployed, deploy them first",
        )
    own = trained.points[-1].model
    study = replace(study, choice=_choice(study, exam.deciding, rows=rows, own=own))
    write_checkpoint_study(exam.folder, study)
    if study.choice is not None and len(study.checkpoints) > 1 and is_drawn(exam.deciding):
        again = _tested_again(study.choice, own if own in rows else None, exam)
        study = replace(study, choice=again)
        write_checkpoint_study(exam.folder, study)
    return study


def _asked(point: CheckpointMarks, trained: Trained, exam: Exam) -> Sequence[Result] | None:
    """The rows of one checkpoint; None where the endpoint does not serve it."""
    if point not in trained.to_ask:
        return trained.answered
    place = f"checkpoint {trained.points.index(point) + 1} of {len(trained.points)}, step {point.step}"
    folder = exam.folder / FOLDER / f"step-{point.step}"
    terms = replace(exam.terms, on_row=_told(exam.teller, place))
    try:
        return ask_suites(exam.suites, seated(exam.seats, point.model), folder=folder, terms=terms)
    except NotServedError as error:
        exam.teller.say(f"{place} is left out: {error.problem}")
        return None


def _told(teller: Teller, what: str) -> Callable[[int, int], None]:
    return lambda done, wanted: teller.progress(f"{what}: {done} of {wanted} answers")


# --- choosing ------------------------------------------------------------------------------------------


def is_drawn(suites: Sequence[Suite]) -> bool:
    """Whether every suite's answers are drawn at random, so that a further trial tells something new.

    An endpoint that is given no temperature uses its own, which is 1 everywhere.
    """
    return all(suite.sampling.temperature != 0 for suite in suites)


def fresh_terms(terms: Terms, suites: Sequence[Suite]) -> Terms:
    """The terms for trials that no choice has seen: behind those of every suite, and never from the cache."""
    first = max((suite.trials for suite in suites), default=1)
    return replace(terms, read=False, first_trial=first)


def _choice(
    study: CheckpointStudy, deciding: Sequence[Suite], *, rows: Rows, own: str
) -> CheckpointChoice | None:
    """The checkpoint to take; already read on other cases where answers are not drawn at random.

    `own` is the job's own model, which the endpoint may not have served.
    """
    tables = [_table(suite, [rows[point.model] for point in study.checkpoints]) for suite in deciding]
    pick = pick_checkpoint(tables)
    if pick is None:
        return None
    taken = study.checkpoints[pick.index]
    is_only = len(study.checkpoints) == 1
    why = "it is the only one that could be asked" if is_only else pick.why
    lost = "" if own in rows or is_only else "; the job's own model could not be asked"
    choice = CheckpointChoice(
        step=taken.step, model=taken.model, is_last=taken.model == own, why=f"{why}{lost}"
    )
    if is_only:
        return choice
    elsewhere = None if is_drawn(deciding) else read_elsewhere(tables, seed=study.job)
    if elsewhere is None:
        return choice
    fresh = tuple(
        mark_of(
            suite,
            {
                case.id: float(score)
                for case, score in zip(suite.cases, scores, strict=True)
                if not np.isnan(score)
            },
        )
        for suite, scores in zip(deciding, elsewhere, strict=True)
    )
    names = {suite.name for suite in deciding}
    last = study.checkpoints[-1].marks if own in rows else ()
    return replace(
        choice, on="other cases", fresh=fresh, last=tuple(mark for mark in last if mark.suite in names)
    )


def _table(suite: Suite, models: Sequence[Sequence[Result]]) -> CheckpointScores:
    scores = np.full((len(models), len(suite.cases)), np.nan)
    for at, results in enumerate(models):
        trials: defaultdict[str, list[Result]] = defaultdict(list)
        for result in results:
            if result.suite == suite.name:
                trials[result.case].append(result)
        for column, case in enumerate(suite.cases):
            mean = mean_score(suite, trials[case.id])
            if mean is not None:
                scores[at, column] = mean
    return CheckpointScores(
        name=suite.name,
        role=suite.role,
        scores=scores,
        families=families_of(suite, tuple(case.id for case in suite.cases)),
        weight=suite.weight,
    )


def _tested_again(choice: CheckpointChoice, last: str | None, exam: Exam) -> CheckpointChoice:
    """The choice with its marks on fresh trials, and those of the job's own model on the same ones, if it is served."""

    def marks(model: str, which: str) -> tuple[SuiteMark, ...]:
        told = _told(exam.teller, f"the {which} checkpoint on fresh trials")
        rows = ask_suites(
            exam.deciding,
            seated(exam.seats, model),
            folder=exam.folder / FOLDER / RETEST / which,
            terms=replace(fresh_terms(exam.terms, exam.deciding), on_row=told),
        )
        return marks_of(rows, exam.deciding)

    fresh = marks(choice.model, "chosen")
    if choice.is_last:
        return replace(choice, on="fresh trials", fresh=fresh, last=fresh)
    return replace(choice, on="fresh trials", fresh=fresh, last=marks(last, "last") if last else ())


# --- what it will cost ---------------------------------------------------------------------------------


def estimate_checkpoints(
    trained: Trained,
    suites: Sequence[Suite],
    seats: Mapping[Role, Seat],
    *,
    terms: Terms,
    count: Count = exact_tokens,
    precedents: Precedents | None = None,
) -> tuple[RoleEstimate, ...]:
    """What `study_checkpoints` will ask: the checkpoints, and where answers are drawn two models once more.

    Without `precedents` it is the most that it may be.
    """
    lines = [
        line
        for point in trained.to_ask
        for line in estimate_asking(
            suites, seated(seats, point.model), terms=terms, count=count, precedents=precedents
        )
    ]
    deciding = [suite for suite in suites if takes_part(suite.role)]
    if len(trained.points) > 1 and deciding and is_drawn(deciding):
        again = fresh_terms(terms, deciding)
        # Which checkpoint it will be is not known, and it makes no difference: no stored answer counts.
        lines += 2 * list(estimate_asking(deciding, seats, terms=again, count=count, precedents=precedents))
    return _summed(lines, checkpoints=len(trained.to_ask))


def _summed(lines: Sequence[RoleEstimate], *, checkpoints: int) -> tuple[RoleEstimate, ...]:
    """A line for each role."""
    by_role: defaultdict[Role, list[RoleEstimate]] = defaultdict(list)
    for line in lines:
        by_role[line.role].append(line)
    return tuple(
        replace(
            together(several),
            model=f"{checkpoints} checkpoint{'' if checkpoints == 1 else 's'} and the test of the chosen one"
            if role == "candidate"
            else f"{several[0].model}, for the checkpoints",
        )
        for role, several in by_role.items()
    )
