"""The trainer as a process: started in a folder, followed by its metrics, stopped when asked."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from harness.localserver.jobs import tether
from harness.localserver.jobs.faults import without_folders
from harness.localserver.state.objects import Fault, StoredJob, TrainingStep
from harness.serial import canonical, write_atomic

# The file whose appearance asks a trainer to pause.
PAUSE = "pause"
# What a shell, and the tether, make of SIGKILL.
_KILLED = 128 + signal.SIGKILL
_STEP_FIELDS = tuple(item.name for item in fields(TrainingStep))


@dataclass(frozen=True, kw_only=True)
class TrainerSetup:
    """How jobs are trained here.

    Attributes:
        command: The trainer; the folder of the attempt is added as its last argument.
        weights: The base model: a GGUF file, or the folder of a Hugging Face model.
        threads: Processor threads one training may use.
        grace_s: Seconds a trainer has to end: after SIGTERM, and to save its state when the server stops. A launcher
            gives the server ten seconds in all.
        poll_s: Seconds between two looks at the metrics.
    """

    command: tuple[str, ...]
    weights: Path
    threads: int
    grace_s: float = 5.0
    poll_s: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a training ended: with tokens trained, paused with its state saved, or with a fault."""

    trained_tokens: int = 0
    paused: bool = False
    fault: Fault | None = None


class Trainer:
    """One start of the trainer, at work in a folder."""

    def __init__(self, process: Process, setup: TrainerSetup, *, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._setup = setup
        self._deadline: float | None = None

    async def steps(self) -> AsyncIterator[TrainingStep]:
        """Every step as it is measured, until the process has ended."""
        ending = asyncio.ensure_future(self._process.wait())
        offset = 0
        try:
            while True:
                ended = ending.done()  # looked at first: the rows read after it are then all there are
                steps, offset = _read_steps(self._folder, offset)
                for step in steps:
                    yield step
                if ended:
                    return
                await self._await(ending)
        finally:
            ending.cancel()

    def pause(self, *, in_a_hurry: bool = False) -> None:
        """Ask the trainer to save its state after the current step and end; in a hurry, it is killed after the grace."""
        try:
            (self._folder / PAUSE).touch()
        except OSError:  # a full disk: there is nothing to save then
            self.end()
        if in_a_hurry:
            self._limit()

    def end(self) -> None:
        """Tell the process to end at once; after the grace it is killed, with all of its group."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            self._limit()

    async def stop(self) -> None:
        """End the process if it still runs, and wait until it is gone."""
        self.end()
        ending = asyncio.ensure_future(self._process.wait())
        while not ending.done():
            await self._await(ending)

    async def _await(self, ending: "asyncio.Future[int]") -> None:
        """Wait for the end, but not for long; kill the process when its time is over."""
        await asyncio.wait({ending}, timeout=self._setup.poll_s)
        late = self._deadline is not None and time.monotonic() > self._deadline
        if late and not ending.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _limit(self) -> None:
        self._deadline = self._deadline or time.monotonic() + self._setup.grace_s

    def fault(self) -> Fault:
        """What to say of a trainer that ended without an outcome."""
        log = self._folder / "trainer.log"
        lines = log.read_text("utf-8", "replace").split("\n") if log.exists() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
        if self._process.returncode == _KILLED:
            last = "it was killed, most likely because the machine ran out of memory"
        return Fault(
            code="server_error",
            message=f"The trainer ended with status {self._process.returncode}: {without_folders(last[:500])}",
        )


async def start_trainer(
    job: StoredJob, setup: TrainerSetup, *, folder: Path, resume_from: Path | None
) -> Trainer:
    """Start the trainer on a job whose files are prepared in the folder above.

    Raises:
        OSError: The folder cannot be written, or the trainer's program is not there.
    """
    folder.mkdir(exist_ok=True)
    specification = _specification(job, setup, rows=folder.parent, resume_from=resume_from)
    write_atomic(folder / "job.json", canonical(specification))
    with (folder / "trainer.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            tether.__file__,
            str(os.getpid()),
            *setup.command,
            str(folder),
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in a terminal is the server's to handle
        )
    return Trainer(process, setup, folder=folder)


def _specification(
    job: StoredJob, setup: TrainerSetup, *, rows: Path, resume_from: Path | None
) -> Mapping[str, object]:
    chosen = job.hyperparameters
    return {
        "model": str(setup.weights),
        "training_file": str(rows / "training.jsonl"),
        "validation_file": str(rows / "validation.jsonl") if job.validation_file else None,
        "method": job.method,
        "beta": chosen.beta if job.method == "dpo" else None,
        "n_epochs": chosen.n_epochs,
        "batch_size": chosen.batch_size,
        "learning_rate_multiplier": chosen.learning_rate_multiplier,
        "seed": job.seed,
        "threads": setup.threads,
        "resume_from": str(resume_from) if resume_from else None,
    }


def read_steps(folder: Path) -> list[TrainingStep]:
    """The steps the trainer has written so far."""
    return _read_steps(folder, 0)[0]


def _read_steps(folder: Path, offset: int) -> tuple[list[TrainingStep], int]:
    """The steps written after a place in the file, and the place after them: a half line waits."""
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            file.seek(offset)
            complete, end, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], offset
    rows = (json.loads(line) for line in complete.splitlines())
    steps = [TrainingStep(**{key: row[key] for key in _STEP_FIELDS if key in row}) for row in rows]
    return steps, offset + len(complete) + len(end)


def read_outcome(folder: Path) -> Outcome | None:
    """How the trainer says it ended, None when it did not get to say it."""
    try:
        said = json.loads((folder / "outcome.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    if said["status"] == "paused":
        return Outcome(paused=True)
    if said["status"] == "succeeded":
        return Outcome(trained_tokens=int(said["trained_tokens"]))
    error = said["error"]
    message = without_folders(str(error["message"]))
    return Outcome(fault=Fault(code=str(error["code"]), message=message, param=error.get("param")))
