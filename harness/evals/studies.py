"""Training studies as files of a folder: a job's checkpoints on the suites, arms on shares of the data."""

import logging
from pathlib import Path
from typing import TypeVar

from harness.errors import StorageError
from harness.records import CheckpointStudy, Json, ScalingStudy
from harness.serial import ParseError, from_json, parse, to_json, to_plain, write_atomic

log = logging.getLogger(__name__)

SCHEMA = 1
CHECKPOINTS, SCALING = "checkpoints.json", "scaling.json"

_Study = TypeVar("_Study", CheckpointStudy, ScalingStudy)


def write_checkpoint_study(folder: Path, study: CheckpointStudy) -> Path:
    """Write `checkpoints.json` into a folder, and say where it is.

    Raises:
        StorageError: The folder cannot be written; an older file stays as it is.
    """
    return _write(folder / CHECKPOINTS, study)


def read_checkpoint_study(folder: Path) -> CheckpointStudy | None:
    """The study of a folder; None where there is none, or it is damaged, which is logged as a warning.

    Raises:
        StorageError: A newer version wrote it.
    """
    return _read(folder / CHECKPOINTS, CheckpointStudy)


def write_scaling_study(folder: Path, study: ScalingStudy) -> Path:
    """Write `scaling.json` into a folder, and say where it is.

    Raises:
        StorageError: The folder cannot be written; an older file stays as it is.
    """
    return _write(folder / SCALING, study)


def read_scaling_study(folder: Path) -> ScalingStudy | None:
    """The study of a folder; None where there is none, or it is damaged, which is logged as a warning.

    Raises:
        StorageError: A newer version wrote it.
    """
    return _read(folder / SCALING, ScalingStudy)


def _write(file: Path, study: CheckpointStudy | ScalingStudy) -> Path:
    try:
        write_atomic(file, to_json({"schema": SCHEMA, "study": to_plain(study)}, indent=1) + "\n")
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written: {error.strerror or error}", remedy="choose a writable folder"
        ) from None
    return file


def _read(file: Path, kind: type[_Study]) -> _Study | None:
    try:
        found: dict[str, Json] = from_json(dict, file.read_text(encoding="utf-8"))
        schema = found.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise StorageError(
                f"{file} has schema {schema}, this version knows {SCHEMA}", remedy="upgrade finetune-harness"
            )
        return parse(kind, found.get("study"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, ParseError) as error:
        log.warning("%s is left out, it cannot be read: %s", file, error)
        return None
