"""What people said about a run's answers, kept in the run's folder beside its rows."""

from pathlib import Path

from harness.errors import StorageError
from harness.records import Label, record
from harness.serial import ParseError, from_json, to_json, write_atomic

LABELS = "labels.json"
SCHEMA = 1


@record
class StoredLabels:
    """The file of labels: of which run they are, and what was said."""

    schema: int
    run: str
    labels: tuple[Label, ...]


def write_labels(folder: Path, labels: tuple[Label, ...], *, run: str) -> Path:
    """Keep labels in a run's folder, in place of those that were there.

    Raises:
        StorageError: The folder cannot be written; what was there stays.
    """
    file = folder / LABELS
    try:
        write_atomic(file, to_json(StoredLabels(schema=SCHEMA, run=run, labels=labels), indent=1))
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written: {error.strerror or error}",
            remedy="copy the run to a folder that can be written",
        ) from None
    return file


def read_labels(folder: Path, *, run: str) -> tuple[Label, ...]:
    """The labels in a run's folder; none where nobody labelled.

    Raises:
        StorageError: The file is damaged, newer than this version, or of another run.
    """
    file = folder / LABELS
    try:
        stored = from_json(StoredLabels, file.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror or error}") from None
    except ParseError as error:
        raise StorageError(
            f"{file} is damaged: {error}", remedy="delete it and run `harness calibrate` again"
        ) from None
    if stored.schema > SCHEMA:
        raise StorageError(
            f"{file} has schema {stored.schema}, this version knows {SCHEMA}",
            remedy="upgrade finetune-harness",
        )
    if stored.run != run:
        raise StorageError(
            f"{file} holds labels for the run {stored.run}",
            remedy="labels hold for the answers they were given for: delete the file",
        )
    return stored.labels
