"""Who will probably play which role, found out without starting or asking anybody: what an estimate counts with."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.config import Settings
from harness.errors import StorageError
from harness.evals import list_runs, read_manifest
from harness.lineup.fine_tuning import is_trained
from harness.lineup.production import LOCAL_LABEL
from harness.lineup.seats import Seat, planned_seats
from harness.records import Manifest, ModelFacts, Role
from harness.serial import file_digest

# Each manifest holds whole suites.
MOST_RUNS = 20


def expected_seats(settings: Settings, environment: Mapping[str, str]) -> dict[Role, Seat]:
    """The planned seats; those of this machine's own server as the last run had them, if it would have the same again.

    Its label, by which answers are stored, is known only while it runs, and so is the model it would train. A run that
    trained on the same files, for as many epochs, tells both.
    """
    seats = planned_seats(settings, environment)
    if not any(seat.embedded for seat in seats.values()):
        return seats
    digests = _digests(settings)
    for manifest in _manifests(settings):
        found = {
            role: _as_before(seat, manifest.models.get(role)) if seat.embedded else seat
            for role, seat in seats.items()
        }
        candidate = found["candidate"]
        is_own = candidate is not None and candidate.embedded and is_trained(settings)
        if is_own and not _is_of_same_training(manifest, settings, digests):
            found["candidate"] = (
                replace(seats["candidate"], endpoint=candidate.endpoint) if candidate else None
            )
        if all(seat is not None for seat in found.values()):
            return {role: seat for role, seat in found.items() if seat is not None}
    return seats


def _as_before(seat: Seat, before: ModelFacts | None) -> Seat | None:
    """The seat with the model and label it had in an earlier run; None where that was another's."""
    if before is None or not before.endpoint.startswith(LOCAL_LABEL):
        return None
    return replace(seat, model=before.model, endpoint=replace(seat.endpoint, label=before.endpoint))


def _is_of_same_training(manifest: Manifest, settings: Settings, digests: frozenset[str]) -> bool:
    job = manifest.job
    epochs = settings.training.epochs
    told = job.hyperparameters.get("n_epochs") if job is not None else None
    return bool(digests) and digests == frozenset(manifest.data.values()) and epochs in {None, told}


def _digests(settings: Settings) -> frozenset[str]:
    files = [settings.path(file) for file in (settings.train, settings.valid) if file is not None]
    return frozenset(file_digest(file) for file in files if file.is_file())


def _manifests(settings: Settings) -> Iterator[Manifest]:
    for folder in list_runs(settings.path(settings.reports))[:MOST_RUNS]:
        with contextlib.suppress(StorageError):
            yield read_manifest(folder)
