"""What the starts of a job's trainer have left on disk: steps taken, states saved, models.

Every start, an attempt, works in a folder of its own. One that takes a training up again has the state it began from under
`resumed/`: it was moved there, so that a trainer left behind for a moment by a killed server cannot clear it away.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.localserver.jobs.trainer_process import read_steps
from harness.localserver.state.objects import FINISHED, StoredJob, TrainingStep
from harness.localserver.state.store import checkpoint_folder

# Both are written beside this name and renamed: what bears it is whole.
_SAVED = re.compile(r"step-(\d{1,12})")
RESUMED = "resumed"


@dataclass(frozen=True, kw_only=True)
class StepTaken:
    """A step, and the attempt that took it."""

    attempt: int
    step: TrainingStep


def read_history(folder: Path, *, attempts: int) -> list[StepTaken]:
    """Every step of a job, in order.

    What an attempt did after the state that the next one began from is taken again by that one, and counts once.

    Args:
        folder: The job's.
        attempts: How often its trainer was started.
    """
    history: list[StepTaken] = []
    for attempt in range(1, attempts + 1):
        place = _attempt(folder, attempt)
        begun = _begun_after(place)
        if begun is None:
            continue  # its server was killed before the trainer was started
        history = [taken for taken in history if taken.step.step <= begun]
        history += [StepTaken(attempt=attempt, step=step) for step in read_steps(place)]
    return history


def saved_models(folder: Path, history: Sequence[StepTaken]) -> list[StepTaken]:
    """The steps of a history at which a model was saved. It is whole, since its step was written after it."""
    return [
        taken
        for taken in history
        if (_attempt(folder, taken.attempt) / "checkpoints" / f"step-{taken.step.step}").is_dir()
    ]


def newest_state(folder: Path, *, attempts: int) -> Path | None:
    """The newest state a job's trainers have saved, None when they got to save none."""
    for attempt in range(attempts, 0, -1):
        place = _attempt(folder, attempt)
        found = [*_states(place / "state"), *_states(place / RESUMED)]
        if found:
            return max(found, key=step_of)
    return None


def move_state(state: Path, attempt: Path) -> Path:
    """Give a new attempt the state it begins from; returns where it is now."""
    target = attempt / RESUMED / state.name
    target.parent.mkdir(parents=True, exist_ok=True)
    state.rename(target)
    return target


def step_of(state: Path) -> int:
    """The step after which a state was saved."""
    found = _SAVED.fullmatch(state.name)
    assert found  # states are listed by this name
    return int(found[1])


def has_saved(folder: Path, *, attempt: int) -> bool:
    """Whether an attempt got further than it began."""
    return any(_states(_attempt(folder, attempt) / "state"))


def sweep(folder: Path, job: StoredJob) -> None:
    """Remove what only the trainer of an ended job needed; its models, metrics and logs stay."""
    if job.status not in FINISHED:
        return
    for role in ("training", "validation"):
        (folder / f"{role}.jsonl").unlink(missing_ok=True)
    models = {
        checkpoint_folder(folder, checkpoint, last_attempt=job.attempt) for checkpoint in job.checkpoints
    }
    for attempt in range(1, job.attempt + 1):
        place = _attempt(folder, attempt)
        rest = [place / "state", place / RESUMED, *(place / "checkpoints").glob("*")]
        for unneeded in rest:
            if unneeded not in models:
                shutil.rmtree(unneeded, ignore_errors=True)


def _attempt(folder: Path, number: int) -> Path:
    return folder / f"attempt-{number}"


def _states(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("step-*") if _SAVED.fullmatch(path.name) and path.is_dir())


def _begun_after(attempt: Path) -> int | None:
    """The last step an attempt had behind it when it began, None when it never did."""
    try:
        state = json.loads((attempt / "job.json").read_bytes()).get("resume_from")
    except FileNotFoundError:
        return None
    return step_of(Path(state)) if state else 0
