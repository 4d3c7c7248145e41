"""How many epochs? One job's checkpoints on the suites, with or without a run beside them."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.config import LATEST, LOCAL, OPENAI, Settings
from harness.errors import BudgetError, StorageError, UsageError
from harness.evals import CURVE, PAGE, RoleEstimate, check_budget, most_tokens
from harness.experiments.asked_suites import choose_suites
from harness.experiments.asking import Terms, seated
from harness.experiments.checkpoints import (
    Exam,
    Trained,
    counted_suites,
    estimate_checkpoints,
    study_checkpoints,
    trained_of,
)
from harness.lineup import STATE, Lineup, Seat, Teller, known_answers, ledger_of, prepared
from harness.models import AnswerCache
from harness.records import CheckpointStudy, Role, Run, Suite, TrainingJob, record
from harness.report.epochs_page import render_epochs
from harness.report.languages import ENGLISH, Language, language_of
from harness.report.sections.training import TrainingMaterial
from harness.training import TrainingCurve, recorded_jobs, write_curve

ANSWERS = "answers.sqlite"


@record
class Wanted:
    """What is to be studied: the job of a run with the run's own cases, or a job with the suites at some paths."""

    suites: tuple[Path, ...] = ()
    run: Run | None = None


@record
class Finished:
    """A study, the curve of its job, and the folder that has both; the page of one that no run is about."""

    study: CheckpointStudy
    curve: TrainingCurve | None
    folder: Path
    page: Path | None = None


@record
class EpochsExam:
    """A study that is ready to begin; `run` is the one whose folder it is kept in, `language` that of a page of its own."""

    trained: Trained
    exam: Exam
    job: TrainingJob
    curve: TrainingCurve | None
    run: Run | None = None
    language: Language = ENGLISH

    def estimate(self) -> tuple[RoleEstimate, ...]:
        """What it will ask, counted exactly."""
        return estimate_checkpoints(self.trained, self.exam.suites, self.exam.seats, terms=self.exam.terms)

    def check_budget(self, budget_usd: float | None) -> None:
        """Refuse a study that may cost more than its budget.

        Raises:
            BudgetError: Before anything is asked.
        """
        bound = estimate_checkpoints(
            self.trained, self.exam.suites, self.exam.seats, terms=self.exam.terms, count=most_tokens
        )
        try:
            check_budget(bound, budget_usd)  # needs no tokenizer, and most are far below
        except BudgetError:
            check_budget(self.estimate(), budget_usd)

    def carry_out(self) -> Finished:
        """Ask, choose, test again, and keep the study.

        Raises:
            EndpointError: The endpoint refused or stopped answering; the same call goes on from there.
            StorageError: The folder cannot be written.
        """
        exam = self.exam
        study = study_checkpoints(self.trained, exam)
        finished = Finished(study=study, curve=self.curve, folder=exam.folder)
        if self.run is not None:
            return finished
        material = TrainingMaterial(
            job=self.job,
            curve=self.curve,
            study=study,
            roles={suite.name: suite.role for suite in exam.suites},
            endpoint=exam.seats["candidate"].endpoint.label,
        )
        try:
            if self.curve is not None:
                write_curve(self.curve, exam.folder / CURVE)
            page = render_epochs(material, to=exam.folder / PAGE, language=self.language)
            return replace(finished, page=page)
        except OSError as error:
            raise StorageError(
                f"{exam.folder} cannot be written: {error.strerror or error}",
                remedy="choose another --reports",
            ) from None


def settings_for(settings: Settings, *, job: str | None, run: Run | None) -> Settings:
    """The settings under which the endpoint of a job, named or a run's, is the candidate's.

    Without either the candidate is the configured job's: the latest one, or one that is trained.

    Raises:
        UsageError: The run does not know its job.
    """
    if run is not None:
        candidate = run.manifest.models["candidate"].model
        if run.manifest.job is None:
            raise UsageError(
                f"{run.manifest.id} does not know the job of {candidate}",
                remedy="run the suites with --job ID, or leave --run out and name the job",
            )
        tables = (name for name, table in settings.models.items() if table.model == candidate)
        return replace(settings, job=run.manifest.job.id, candidate=next(tables, candidate))
    if job is not None:
        known = {entry.job.id: entry.place for entry in recorded_jobs(ledger_of(settings))}
        return replace(_at(settings, known.get(job, "")), job=job, candidate=None)
    return settings if settings.candidate == LATEST else replace(settings, candidate=None)


def _at(settings: Settings, place: str) -> Settings:
    """The settings with the place of a job, as the ledger calls it, for the backend."""
    if settings.base_url is None and "://" in place:
        return replace(settings, base_url=place, base=None)
    if settings.base_url is None and (place in {LOCAL, OPENAI} or place in settings.models):
        return replace(settings, backend=place, base=None)
    return settings


@contextlib.contextmanager
def epochs_exam(
    settings: Settings, environment: Mapping[str, str], *, wanted: Wanted, teller: Teller
) -> Iterator[EpochsExam]:
    """Everything up to the first question: the job found or trained, its checkpoints listed, the suites loaded.

    Raises:
        UsageError: No job or no checkpoints to study, no suites, or the endpoint is not the run's.
        HarnessError: What `prepared` raises.
    """
    with contextlib.ExitStack() as stack:
        lineup = stack.enter_context(prepared(settings, environment, teller=teller))
        trained = _trained(lineup, teller)
        cache = stack.enter_context(AnswerCache(settings.path(Path(STATE)) / ANSWERS))
        seats = seated(lineup.seats, trained.points[-1].model)
        suites, folder = _suites(settings, seats, wanted=wanted, teller=teller), _folder(settings, trained)
        if wanted.run is not None and wanted.run.path is not None:
            _check_place(wanted.run, lineup.seats["candidate"])
            folder = wanted.run.path
            rows = tuple(row for row in wanted.run.results if row.role == "candidate")
            is_whole = wanted.run.manifest.status == "complete"
            own = lineup.seats["candidate"].model
            trained = replace(trained, in_run=own, answered=rows) if is_whole else trained
        terms = Terms(
            cache=cache,
            read=settings.cache,
            concurrency=settings.at_once,
            known=known_answers(settings),
        )
        exam = Exam(suites=suites, seats=seats, folder=folder, terms=terms, teller=teller)
        assert lineup.job is not None, "studied without a job"
        yield EpochsExam(
            trained=trained,
            exam=exam,
            job=lineup.job,
            curve=lineup.curve,
            run=wanted.run,
            language=language_of(settings.lang),
        )


def _trained(lineup: Lineup, teller: Teller) -> Trained:
    if lineup.job is None or lineup.job.fine_tuned_model is None:
        raise UsageError("there is no job to study", remedy="give --job ID, or training data: `train`")
    endpoint = lineup.seats["candidate"].endpoint
    trained = trained_of(lineup.job, endpoint, curve=lineup.curve, teller=teller)
    if trained is None:
        raise UsageError(
            f"{lineup.job.id} has no checkpoints to compare",
            remedy="train with other numbers of epochs instead: `harness train FILE --epochs N`",
        )
    return trained


def _suites(
    settings: Settings, seats: Mapping[Role, Seat], *, wanted: Wanted, teller: Teller
) -> tuple[Suite, ...]:
    if wanted.run is not None:
        return counted_suites(wanted.run.manifest)
    paths: Sequence[Path] = wanted.suites or (settings.path(Path("suites")),)
    suites, left_out = choose_suites(paths, settings, seats)
    for line in left_out:
        teller.say(line)
    if not suites:
        raise UsageError("no suites to ask", remedy="name suite files or folders with *.suite.yaml in them")
    return suites


def _folder(settings: Settings, trained: Trained) -> Path:
    """Where a study without a run is kept: one folder for each job, so that the same command goes on with it."""
    return settings.path(settings.reports) / f"epochs-{re.sub(r'[^A-Za-z0-9._-]', '-', trained.job)}"


def _check_place(run: Run, seat: Seat) -> None:
    told = run.manifest.models["candidate"].endpoint
    if seat.endpoint.label != told:
        raise UsageError(
            f"the models of {run.manifest.id} are at {told}, and {seat.endpoint.label} is configured",
            remedy="give --backend or --base-url as the run had it",
        )
