"""How does a job go on where it stopped? A folder with all that its next step depends on, whole or not there.

`seal.json` names the step, the job, and the SHA-256 of every other file: a state that is cut off, altered or of another job
is refused, never trained on.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.errors import StorageError
from harness.localserver.training.plan import TrainingPlan
from harness.serial import canonical, digest, file_digest, write_atomic

_SEAL = "seal.json"


def job_digest(plan: TrainingPlan) -> str:
    """What must be the same for a state to be of the same job: the rows and every number that steers the training."""
    files = (plan.training_file, plan.validation_file)
    return digest(
        {
            "files": [path and file_digest(path) for path in files],
            "method": plan.method,
            "beta": plan.beta,
            "n_epochs": plan.n_epochs,
            "batch_size": plan.batch_size,
            "learning_rate_multiplier": plan.learning_rate_multiplier,
            "seed": plan.seed,
        }
    )


def keep_state(folder: Path, *, step: int, job: str, write: Callable[[Path], None]) -> None:
    """Keep a state as `folder/step-N`, where `write` fills the folder it is given; older ones are removed afterwards."""
    part = folder / f".step-{step}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    write(part)
    files = {path.name: file_digest(path) for path in sorted(part.iterdir())}
    write_atomic(part / _SEAL, canonical({"step": step, "job": job, "files": files}))
    kept = folder / f"step-{step}"
    shutil.rmtree(kept, ignore_errors=True)
    part.replace(kept)
    for other in folder.iterdir():
        if other != kept:
            shutil.rmtree(other, ignore_errors=True)


def check_state(folder: Path, *, job: str) -> int:
    """The step after which a state was saved.

    Raises:
        StorageError: It is missing, not whole, or of another job.
    """
    try:
        seal = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
        found = {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.name != _SEAL}
        step, sealed, files = int(seal["step"]), seal["job"], seal["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refused(folder, f"cannot be read: {error}") from error
    if found != files:
        raise _refused(folder, "is not as it was saved")
    if sealed != job:
        raise _refused(folder, "is of another job, or the job's files have changed")
    return step


def _refused(folder: Path, why: str) -> StorageError:
    return StorageError(f"{folder}: the saved state {why}", remedy="create the job again")
