"""The life of a fine-tuning job: files validated, queued, trained one at a time, and its models named."""

import asyncio
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace

from harness.localserver.jobs.defaults import resolved
from harness.localserver.jobs.trainer_process import (
    Trainer,
    TrainerSetup,
    checkpoint_steps,
    read_outcome,
    read_steps,
    start_trainer,
)
from harness.localserver.jobs.validation import DataError, fault_of, prepare
from harness.localserver.state.identifiers import checkpoint_name, fine_tune_name, new_id, now
from harness.localserver.state.objects import (
    FINISHED,
    Checkpoint,
    Event,
    Fault,
    Level,
    StoredJob,
    TrainingStep,
)
from harness.localserver.state.store import Store

# A job during which the server died this often is given up: it may be what kills the server.
MAX_CRASHES = 3

_log = logging.getLogger(__name__)


class _JobError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class JobQueue:
    """Brings jobs from `validating_files` to their end. Lives in the event loop of the server."""

    def __init__(self, store: Store, setup: TrainerSetup) -> None:
        self._store = store
        self._setup = setup
        self._one_trainer = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._estimates: dict[str, int] = {}

    def resume(self) -> None:
        """Take up the jobs an earlier server left unfinished, oldest first."""
        for job in self._store.jobs():
            if job.status not in FINISHED:
                self._start(self._recovered(job))

    async def stop(self) -> None:
        """Stop the trainer; unfinished jobs stay queued on disk, for the next server."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in self._store.jobs():
            if job.status == "running":
                self._store.keep_job(replace(job, status="queued"))
                self._say(job, "The server was stopped; the job starts again with it", level="warn")

    def submit(self, job: StoredJob) -> StoredJob:
        """Store a new job and begin with it."""
        self._store.keep_job(job)
        self._say(job, f"Created fine-tuning job: {job.id}")
        self._start(job)
        return job

    def cancel(self, job: StoredJob) -> StoredJob:
        """End an unfinished job at once; its trainer is gone soon after."""
        self._say(job, "Fine-tuning job cancelled")
        job = self._store.keep_job(replace(job, status="cancelled", finished_at=now()))
        task = self._tasks.get(job.id)
        if task:
            task.cancel()
        return job

    def estimated_finish(self, job: StoredJob) -> int | None:
        """When a running job should be done, by the pace of its steps so far; Unix time."""
        estimate = self._estimates.get(job.id) if job.status == "running" else None
        return estimate and max(estimate, now())

    # --- from state to state ---

    def _recovered(self, job: StoredJob) -> StoredJob:
        if job.status != "running" or read_outcome(self._store.attempt_folder(job)):
            return job
        self._say(job, "The server was killed; the job starts again from its first step", level="warn")
        return self._store.keep_job(replace(job, status="queued", crashes=job.crashes + 1))

    def _start(self, job: StoredJob) -> None:
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._ended(job.id))

    async def _run(self, job: StoredJob) -> None:
        try:
            if job.status == "validating_files":
                job = await self._validate(job)
            async with self._one_trainer:
                if job.status == "queued":
                    job = await self._train(job)
                self._finish(job)
        except _JobError as error:
            self._fail(job.id, error.fault)
        except Exception as error:  # noqa: BLE001 - the edge of a job: the server and the queue live on
            _log.exception("job %s", job.id)
            self._fail(job.id, Fault(code="server_error", message=f"The job could not go on: {error}"))

    async def _validate(self, job: StoredJob) -> StoredJob:
        names = [("training", job.training_file), ("validation", job.validation_file)]
        given = [(role, file_id) for role, file_id in names if file_id]
        self._say(job, "Validating " + " and ".join(f"{role} file: {file_id}" for role, file_id in given))
        counts = [await self._prepare(job, file_id, role=role) for role, file_id in given]
        job = self._store.keep_job(
            replace(job, status="queued", hyperparameters=resolved(job.hyperparameters, examples=counts[0]))
        )
        self._say(job, "Files validated, moving job to queued state")
        return job

    async def _prepare(self, job: StoredJob, file_id: str, *, role: str) -> int:
        file = self._store.find_file(file_id)
        if file is None:
            raise _JobError(
                Fault(
                    code=f"invalid_{role}_file",
                    message=f"The {role} file {file_id} was deleted before the job could read it.",
                    param=f"{role}_file",
                )
            )
        target = self._store.job_folder(job) / f"{role}.jsonl"
        try:
            return await asyncio.to_thread(prepare, self._store.content_of(file), target, role=role)
        except DataError as error:
            raise _JobError(fault_of(error, role=role)) from None

    async def _train(self, job: StoredJob) -> StoredJob:
        if job.crashes >= MAX_CRASHES:
            message = f"The server was killed {job.crashes} times while the job ran; it is given up."
            raise _JobError(Fault(code="server_error", message=message))
        job = self._store.keep_job(replace(job, status="running", attempt=job.attempt + 1))
        self._say(job, "Fine-tuning job started")
        starting = asyncio.ensure_future(
            start_trainer(job, self._setup, folder=self._store.attempt_folder(job))
        )
        try:  # shielded, so that a job cancelled right now does not lose sight of its process
            await self._follow(job, await asyncio.shield(starting))
        finally:
            self._estimates.pop(job.id, None)
            trainer = await starting
            await trainer.stop()
        if read_outcome(self._store.attempt_folder(job)) is None:
            raise _JobError(trainer.fault())
        return job

    async def _follow(self, job: StoredJob, trainer: Trainer) -> None:
        first: float | None = None
        async for step in trainer.steps():
            self._store.add_event(job, _metrics_event(step))
            elapsed_s = time.monotonic() - (first := first or time.monotonic())
            if step.step > 1 and elapsed_s:
                left_s = elapsed_s / (step.step - 1) * (step.total_steps - step.step)
                self._estimates[job.id] = now() + round(left_s)

    def _finish(self, job: StoredJob) -> None:
        folder = self._store.attempt_folder(job)
        outcome = read_outcome(folder)
        assert outcome is not None  # _train and _recovered have looked
        if outcome.fault:
            raise _JobError(outcome.fault)
        saved = checkpoint_steps(folder)
        if not saved:
            raise _JobError(
                Fault(code="server_error", message="The trainer reported success without a model.")
            )
        checkpoints = _named(job, saved)
        result = self._store.keep_result(job, step_table(read_steps(folder)))
        for checkpoint in checkpoints[:-1]:
            self._say(
                job, f"Checkpoint created at step {checkpoint.step} with Snapshot ID: {checkpoint.model}"
            )
        self._say(job, f"New fine-tuned model created: {checkpoints[-1].model}")
        self._say(job, "The job has successfully completed")
        self._store.keep_job(
            replace(
                job,
                status="succeeded",
                finished_at=now(),
                trained_tokens=outcome.trained_tokens,
                result_files=(result.id,),
                checkpoints=checkpoints,
            )
        )

    def _fail(self, job_id: str, fault: Fault) -> None:
        job = self._store.find_job(job_id)
        assert job is not None  # jobs are never deleted
        failed = replace(job, status="failed", error=fault, finished_at=now())
        try:
            self._say(job, fault.message, level="error")
            self._store.keep_job(failed)
        except OSError:  # a full disk, most likely what the job failed of
            _log.exception("job %s", job_id)
            self._store.show_job(failed)

    def _ended(self, job_id: str) -> None:
        """Drop what only the trainer of a finished job needed: it is no longer at work."""
        self._tasks.pop(job_id, None)
        job = self._store.find_job(job_id)
        if job is None or job.status not in FINISHED:
            return
        folder = self._store.job_folder(job)
        for role in ("training", "validation"):
            (folder / f"{role}.jsonl").unlink(missing_ok=True)
        for number in range(1, job.attempt + 1):
            if number < job.attempt or job.status != "succeeded":
                shutil.rmtree(folder / f"attempt-{number}" / "checkpoints", ignore_errors=True)

    def _say(self, job: StoredJob, message: str, *, level: Level = "info") -> None:
        event = Event(id=new_id("ftevent-"), created_at=now(), level=level, message=message)
        self._store.add_event(job, event)


def _named(job: StoredJob, steps: Sequence[int]) -> tuple[Checkpoint, ...]:
    """A checkpoint for every saved step; the last one bears the fine-tuned model's own name."""
    names = [checkpoint_name(job.model, job.suffix, step=step) for step in steps[:-1]]
    names.append(fine_tune_name(job.model, job.suffix))
    return tuple(
        Checkpoint(id=new_id("ftckpt_"), created_at=now(), step=step, model=name)
        for step, name in zip(steps, names, strict=True)
    )


def _metrics_event(step: TrainingStep) -> Event:
    measured = [
        ("training loss", step.train_loss),
        ("validation loss", step.valid_loss),
        ("full validation loss", step.full_valid_loss),
    ]
    losses = ", ".join(f"{name}={loss:.2f}" for name, loss in measured if loss is not None)
    values = step.measures()
    always = ("train_loss", "train_mean_token_accuracy")
    return Event(
        id=new_id("ftevent-"),
        created_at=now(),
        level="info",
        message=f"Step {step.step}/{step.total_steps}: {losses}",
        type="metrics",
        data={
            "step": step.step,
            "total_steps": step.total_steps,
            **{key: value for key, value in values.items() if value is not None or key in always},
        },
    )


def step_table(steps: Sequence[TrainingStep]) -> str:
    """The result file: OpenAI's five columns, five decimals with trailing zeros cut, blank when not measured."""
    rows = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
    columns = ("train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy")
    for step in steps:
        values = step.measures()
        cells = [values[column] for column in columns]
        rows.append(
            ",".join([str(step.step), *("" if cell is None else str(round(cell, 5)) for cell in cells)])
        )
    return "\n".join(rows) + "\n"
