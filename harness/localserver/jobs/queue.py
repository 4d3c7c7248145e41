"""The life of a fine-tuning job: its files validated, its turn awaited, trained, paused, taken up again, ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from harness.localserver.jobs.attempts import (
    has_saved,
    move_state,
    newest_state,
    read_history,
    step_of,
    sweep,
)
from harness.localserver.jobs.chronicle import STARTED, Chronicle
from harness.localserver.jobs.conclusion import conclude
from harness.localserver.jobs.defaults import resolved
from harness.localserver.jobs.faults import JobError, reason_of, server_fault
from harness.localserver.jobs.pace import Pace
from harness.localserver.jobs.trainer_process import (
    Outcome,
    Trainer,
    TrainerSetup,
    read_outcome,
    start_trainer,
)
from harness.localserver.jobs.validation import Prepared, Wanted, prepare
from harness.localserver.state.identifiers import now
from harness.localserver.state.objects import FINISHED, Fault, StoredJob
from harness.localserver.state.store import Store

# A job is given up when the server dies this often in a row without it getting further: it may be what kills the server.
MAX_CRASHES = 3

_log = logging.getLogger(__name__)


class JobQueue:
    """Brings jobs from `validating_files` to their end, one training at a time. Lives in the event loop of the server.

    A job's record is what is true of it; the trainer at work is steered after it. Jobs of another base model wait for a server
    that serves that model.
    """

    def __init__(self, store: Store, setup: TrainerSetup, *, base_digest: str) -> None:
        self._store = store
        self._setup = setup
        self._base_digest = base_digest
        self._chronicle = Chronicle(store)
        self._validations: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._stopping = False
        self._worker: asyncio.Task[None] | None = None
        self._at_work: tuple[StoredJob, Trainer] | None = None
        self._pace: Pace | None = None

    def start(self) -> None:
        """Take up the jobs an earlier server left unfinished, and begin to work."""
        for job in self._store.jobs():
            if job.status == "validating_files":
                self._begin_validation(job)
            elif job.status == "running":
                self._recover(job)
            if job.status not in FINISHED and job.base_digest != self._base_digest:
                message = f"The server serves another model: the job waits for one that serves {job.model}"
                self._chronicle.say_once(job, message, level="warn")
        self._worker = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Let the trainer save its state and end; unfinished jobs stay on disk, for the next server."""
        self._stopping = True
        self._steer()
        self._news.set()
        tasks = list(self._validations.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *([self._worker] if self._worker else []), return_exceptions=True)

    # --- what callers ask for ---

    def submit(self, job: StoredJob) -> StoredJob:
        """Store a new job and begin with it."""
        self._store.keep_job(job)
        self._chronicle.say(job, f"Created fine-tuning job: {job.id}")
        self._begin_validation(job)
        return job

    def cancel(self, job: StoredJob) -> StoredJob:
        """End an unfinished job at once; its trainer is gone soon after."""
        self._chronicle.say(job, "Fine-tuning job cancelled")
        job = self._store.keep_job(replace(job, status="cancelled", finished_at=now(), checkpoints=()))
        if job.id in self._validations:
            self._validations[job.id].cancel()
        elif self._at_work and self._at_work[0].id == job.id:
            self._steer()
        else:
            self._sweep(job)
        return job

    def pause(self, job: StoredJob) -> StoredJob:
        """Take a queued or running job out of the queue; a running one saves its state after the current step."""
        job = self._store.keep_job(replace(job, status="paused"))
        self._chronicle.say(job, "Fine-tuning job paused")
        self._steer()
        return job

    def resume(self, job: StoredJob) -> StoredJob:
        """Put a paused job back in the queue, at the place it had."""
        job = self._store.keep_job(replace(job, status="queued"))
        self._chronicle.say(job, "Fine-tuning job resumed, moving job to queued state")
        self._news.set()
        return job

    def estimated_finish(self, job: StoredJob) -> int | None:
        """When a running or queued job should be done, by the pace of the training at work; Unix time."""
        pace = self._pace
        if pace is None or job.base_digest != self._base_digest:
            return None
        left_s = None
        if job.status == "running":
            left_s = pace.seconds_left()
        elif job.status == "queued" and job.id != pace.job_id:
            left_s = pace.seconds_left([other for other in self._queued() if other.number <= job.number])
        return None if left_s is None else now() + round(left_s)

    # --- from state to state ---

    def _recover(self, job: StoredJob) -> None:
        """Queue a job during which the server was killed."""
        if read_outcome(self._store.attempt_folder(job)) is None:
            self._chronicle.say(job, "The server was killed while the job was running", level="warn")
            further = has_saved(self._store.job_folder(job), attempt=job.attempt)
            job = replace(job, crashes=1 if further else job.crashes + 1)
        self._store.keep_job(replace(job, status="queued"))

    def _begin_validation(self, job: StoredJob) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(job, self._validate))
        self._validations[job.id] = task

        def ended(_: "asyncio.Task[None]") -> None:
            self._validations.pop(job.id, None)
            self._sweep(job)

        task.add_done_callback(ended)

    async def _guarded(self, job: StoredJob, step: Callable[[StoredJob], Awaitable[None]]) -> None:
        try:
            await step(job)
        except JobError as error:
            self._fail(job, error.fault)
        except Exception as error:  # noqa: BLE001 - the edge of a job: the server and the queue live on
            _log.exception("job %s", job.id)
            self._fail(job, server_fault(f"The job could not go on: {reason_of(error)}").fault)

    async def _validate(self, job: StoredJob) -> None:
        both = f" and validation file: {job.validation_file}" if job.validation_file else ""
        self._chronicle.say_once(job, f"Validating training file: {job.training_file}{both}")
        wanted = Wanted(file_id=job.training_file, role="training", method=job.method)
        training = await self._prepare(job, wanted)
        if job.validation_file:
            await self._prepare(
                job, replace(wanted, file_id=job.validation_file, role="validation", shape=training.shape)
            )
        numbers = resolved(job.hyperparameters, examples=training.examples)
        self._store.keep_job(
            replace(job, status="queued", hyperparameters=numbers, examples=training.examples)
        )
        self._chronicle.say(job, "Files validated, moving job to queued state")
        self._news.set()

    async def _prepare(self, job: StoredJob, wanted: Wanted) -> Prepared:
        file = self._store.find_file(wanted.file_id)
        if file is None:
            message = f"The {wanted.role} file {wanted.file_id} was deleted before the job could read it."
            raise JobError(
                Fault(code=f"invalid_{wanted.role}_file", message=message, param=f"{wanted.role}_file")
            )
        target = self._store.job_folder(job) / f"{wanted.role}.jsonl"
        prepared = await asyncio.to_thread(prepare, self._store.content_of(file), target, wanted=wanted)
        for warning in prepared.warnings:
            self._chronicle.say_once(job, warning, level="warn")
        return prepared

    # --- training ---

    async def _work(self) -> None:
        """Train what is queued, the oldest job first."""
        while not self._stopping:
            job = next(iter(self._queued()), None)
            if job is None:
                self._news.clear()
                await self._news.wait()
            else:
                await self._guarded(job, self._train)
                self._sweep(job)

    def _queued(self) -> list[StoredJob]:
        """The jobs whose turn will come here, oldest first."""
        return [
            job
            for job in self._store.jobs()
            if job.status == "queued" and job.base_digest == self._base_digest
        ]

    async def _train(self, job: StoredJob) -> None:
        # There before the trainer is started: an earlier server was killed, or the job paused, as the trainer ended.
        outcome = read_outcome(self._store.attempt_folder(job)) if job.attempt else None
        if outcome is None or outcome.paused:
            outcome = await self._run_trainer(job)
        job = self._now(job)
        if outcome.fault:
            raise JobError(outcome.fault)
        if outcome.paused:
            if job.status == "running":
                self._store.keep_job(replace(job, status="queued"))
                self._chronicle.say(job, "The server was stopped while the job was running", level="warn")
        elif job.status in {"running", "queued"}:
            conclude(job, trained_tokens=outcome.trained_tokens, store=self._store, chronicle=self._chronicle)

    async def _run_trainer(self, job: StoredJob) -> Outcome:
        job, trainer = await self._start_trainer(job)
        self._at_work = (job, trainer)
        self._pace = pace = Pace(job)
        try:
            self._steer()
            async for step in trainer.steps():
                if self._now(job).status not in FINISHED:  # nothing is told of a job after its end
                    self._chronicle.tell_step(job, step)
                pace.note(step)
        finally:
            await trainer.stop()
            self._at_work = self._pace = None
        outcome = read_outcome(self._store.attempt_folder(job))
        if outcome is None and not self._stopping:
            raise JobError(trainer.fault())
        return outcome or Outcome(paused=True)

    async def _start_trainer(self, job: StoredJob) -> tuple[StoredJob, Trainer]:
        if job.crashes >= MAX_CRASHES:
            raise server_fault(
                f"The server was killed {job.crashes} times while the job ran and got no further; it is given up."
            )
        folder = self._store.job_folder(job)
        state = newest_state(folder, attempts=job.attempt)
        history = read_history(folder, attempts=job.attempt)
        again = job.attempt > 0
        job = self._store.keep_job(replace(job, status="running", attempt=job.attempt + 1))
        place = self._store.attempt_folder(job)
        if state:
            for taken in history:
                if taken.step.step <= step_of(state):
                    self._chronicle.tell_step(job, taken.step)
            state = move_state(state, place)
            self._chronicle.say(job, f"Fine-tuning job goes on after step {step_of(state)}")
        elif again:
            message = "No saved state was found: the job starts again from step 1"
            self._chronicle.say(job, message, level="warn")
        else:
            self._chronicle.say(job, STARTED)
        return job, await start_trainer(job, self._setup, folder=place, resume_from=state)

    def _steer(self) -> None:
        """Let the trainer at work do what has become of its job."""
        if self._at_work is None:
            return
        job, trainer = self._now(self._at_work[0]), self._at_work[1]
        if job.status in FINISHED:
            trainer.end()
        elif self._stopping or job.status != "running":
            trainer.pause(in_a_hurry=self._stopping)

    # --- ends ---

    def _fail(self, job: StoredJob, fault: Fault) -> None:
        job = self._now(job)
        if job.status in FINISHED:  # cancelled: what its trainer then dies of is nobody's concern
            return
        failed = replace(job, status="failed", error=fault, finished_at=now(), checkpoints=())
        try:
            self._chronicle.say(job, fault.message, level="error")
            self._store.keep_job(failed)
        except OSError:  # a full disk, most likely what the job failed of
            _log.exception("job %s", job.id)
            self._store.show_job(failed)

    def _now(self, job: StoredJob) -> StoredJob:
        """The job as its record is now."""
        found = self._store.find_job(job.id)
        assert found is not None  # jobs are never deleted
        return found

    def _sweep(self, job: StoredJob) -> None:
        try:
            sweep(self._store.job_folder(job), self._now(job))
        except OSError:  # what is left lies in nobody's way, and the next job waits
            _log.exception("job %s", job.id)
