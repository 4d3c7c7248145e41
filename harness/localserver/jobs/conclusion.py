"""The end of a job that was trained: its models get their names, its steps their table."""

from collections.abc import Sequence
from dataclasses import replace

from harness.localserver.jobs.attempts import StepTaken, read_history, saved_models
from harness.localserver.jobs.chronicle import Chronicle
from harness.localserver.jobs.faults import server_fault
from harness.localserver.jobs.metrics import step_table
from harness.localserver.state.identifiers import checkpoint_name, fine_tune_name, new_id, now
from harness.localserver.state.objects import Checkpoint, StoredJob
from harness.localserver.state.store import Store


def conclude(job: StoredJob, *, trained_tokens: int, store: Store, chronicle: Chronicle) -> StoredJob:
    """Make a trained job a succeeded one.

    The names are stored before they are told: a server killed in between tells the same ones again.

    Raises:
        JobError: The trainer has left no model.
    """
    folder = store.job_folder(job)
    history = read_history(folder, attempts=job.attempt)
    if not job.checkpoints:
        saved = saved_models(folder, history)
        if not saved:
            raise server_fault("The trainer reported success without a model.")
        job = store.keep_job(replace(job, checkpoints=_named(job, saved)))
    for taken in history:
        chronicle.tell_step(job, taken.step)
    result = store.keep_result(job, step_table([taken.step for taken in history]))
    for checkpoint in job.checkpoints[:-1]:
        chronicle.say_once(
            job, f"Checkpoint created at step {checkpoint.step} with Snapshot ID: {checkpoint.model}"
        )
    chronicle.say_once(job, f"New fine-tuned model created: {job.fine_tuned_model}")
    chronicle.say_once(job, "The job has successfully completed")
    return store.keep_job(
        replace(
            job,
            status="succeeded",
            finished_at=now(),
            trained_tokens=trained_tokens,
            result_files=(result.id,),
        )
    )


def _named(job: StoredJob, saved: Sequence[StepTaken]) -> tuple[Checkpoint, ...]:
    """A checkpoint for every saved model; the last one bears the fine-tuned model's own name."""
    names = [checkpoint_name(job.model, job.suffix, step=taken.step.step) for taken in saved[:-1]]
    names.append(fine_tune_name(job.model, job.suffix))
    return tuple(
        Checkpoint(
            id=new_id("ftckpt_"), created_at=now(), step=taken.step.step, model=name, attempt=taken.attempt
        )
        for taken, name in zip(saved, names, strict=True)
    )
