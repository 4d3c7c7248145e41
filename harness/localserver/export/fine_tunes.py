"""How does a fine-tune leave the local server? As a PEFT adapter beside its base model, or merged into one whole model.

A folder appears under its name only when it is whole.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import torch
from safetensors import SafetensorError, safe_open

from harness.errors import StorageError, UsageError
from harness.localserver.export.cards import (
    Origin,
    adapter_card,
    model_card,
    serve_adapter_command,
    serve_model_command,
)
from harness.localserver.export.folders import check_free, check_room, new_folder
from harness.localserver.model.adapters import CONFIG_NAME, TENSORS_NAME

Precision: TypeAlias = Literal["bfloat16", "float32"]
Progress: TypeAlias = Callable[[int, int], None]

TORCH_TYPES: Mapping[Precision, torch.dtype] = {"bfloat16": torch.bfloat16, "float32": torch.float32}
BYTES_EACH: Mapping[Precision, int] = {"bfloat16": 2, "float32": 4}

# What this program wrote a folder from. It is also how a base model that lies there already is known again.
NOTE_NAME = "harness-export.json"
CARD_NAME = "README.md"
_BASE_FOLDER = "base"


class BaseModel(Protocol):
    """A model fine-tunes are made of, as something that can be written for other programs."""

    @property
    def folder(self) -> Path | None:
        """Where other programs can read it as it is; None when it has to be written for them first."""

    @property
    def license(self) -> str | None:
        """Its licence, by its SPDX name in lower case, where it is known."""

    def folder_bytes(self, precision: Precision) -> int:
        """How much room a folder of it takes on disk, rounded up."""

    def write(self, folder: Path, *, adapter: Path | None, precision: Precision, progress: Progress) -> None:
        """Write it, with a fine-tune's changes merged into it if there is one, as a Hugging Face folder.

        Args:
            folder: An existing empty folder.
            adapter: The PEFT folder of a fine-tune, None for the model as it is.
            precision: Of the weights written.
            progress: Called with bytes of weights done and in all.

        Raises:
            StorageError: The fine-tune cannot be read or does not fit.
            OSError: The folder cannot be written, or the disk is full.
            SafetensorError: The same, of the file of weights.
        """


@dataclass(frozen=True, kw_only=True)
class Source:
    """A fine-tune to be exported: its name, its PEFT folder, and the name and digest of what it was trained from."""

    name: str
    adapter: Path
    base: str
    base_digest: str


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where an export goes.

    Attributes:
        folder: The folder to be made.
        base: Where an adapter's base model is put; `base` inside the folder when it is not said.
        precision: Of the weights written.
        replace: Whether an export that lies there already is replaced.
    """

    folder: Path
    base: Path | None = None
    precision: Precision = "bfloat16"
    replace: bool = False


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An export that is whole.

    Attributes:
        folder: Where it lies.
        base: Where the base model of an adapter lies, None for a merged model.
        serve: The command with which vLLM serves it.
    """

    folder: Path
    base: Path | None
    serve: str


@dataclass(frozen=True, kw_only=True)
class _BasePlan:
    """Where a base model will lie, and how it is written."""

    folder: Path
    precision: Precision
    progress: Progress


def export_adapter(
    source: Source, model: BaseModel, destination: Destination, *, progress: Progress
) -> Exported:
    """Write a fine-tune as a PEFT folder, and its base model where that does not lie already.

    Raises:
        UsageError: A folder has something else in it.
        StorageError: The fine-tune cannot be read, or a folder cannot be written.
    """
    config, rank = _read_adapter(source.adapter)
    folder = destination.folder.resolve()
    base = destination.base.resolve() if destination.base else model.folder or folder / _BASE_FOLDER
    if base == folder:
        problem = f"{folder}: cannot hold both the adapter and its base model"
        raise UsageError(problem, remedy="name two folders")
    check_free(folder, replace=destination.replace)
    inside = base.is_relative_to(folder)
    plan = _BasePlan(folder=base, precision=destination.precision, progress=progress)
    if not inside and not _is_there(base, source, model, precision=destination.precision):
        with new_folder(base, replace=destination.replace) as part:
            _write_base(part, source, model, plan=plan)
    origin = _origin(source, model)
    with new_folder(folder, replace=destination.replace) as part:
        if inside:
            place = part / base.relative_to(folder)
            place.mkdir(parents=True)
            _write_base(place, source, model, plan=plan)
        shutil.copyfile(source.adapter / TENSORS_NAME, part / TENSORS_NAME)
        _write_json(part / CONFIG_NAME, {**config, "base_model_name_or_path": str(base)})
        card = adapter_card(origin, folder=folder, base_folder=base, rank=rank)
        (part / CARD_NAME).write_text(card, encoding="utf-8")
    command = serve_adapter_command(origin, folder=folder, base_folder=base, rank=rank)
    return Exported(folder=folder, base=base, serve=command)


def export_merged(
    source: Source, model: BaseModel, destination: Destination, *, progress: Progress
) -> Exported:
    """Write a fine-tune merged into its base model, as one whole model.

    Raises:
        UsageError: The folder has something else in it.
        StorageError: The fine-tune cannot be read, or the folder cannot be written.
    """
    _read_adapter(source.adapter)
    folder = destination.folder.resolve()
    origin = _origin(source, model)
    with new_folder(folder, replace=destination.replace) as part:
        check_room(part, model.folder_bytes(destination.precision))
        model.write(part, adapter=source.adapter, precision=destination.precision, progress=progress)
        (part / CARD_NAME).write_text(model_card(origin, folder=folder), encoding="utf-8")
        _write_json(part / NOTE_NAME, _note(source, destination.precision, name=source.name))
    return Exported(folder=folder, base=None, serve=serve_model_command(origin, folder=folder))


def _read_adapter(folder: Path) -> tuple[dict[str, object], int]:
    """An adapter's settings and rank; its tensors are known to be readable."""
    try:
        config: dict[str, object] = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        with safe_open(folder / TENSORS_NAME, framework="pt") as tensors:
            tensors.keys()
        return config, int(str(config["r"]))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        problem = f"{folder}: cannot be read as a fine-tuned model: {error}"
        raise StorageError(problem, remedy="train it again") from error


def _write_base(part: Path, source: Source, model: BaseModel, *, plan: _BasePlan) -> None:
    check_room(part, model.folder_bytes(plan.precision))
    model.write(part, adapter=None, precision=plan.precision, progress=plan.progress)
    origin = replace(_origin(source, model), name=None)
    (part / CARD_NAME).write_text(model_card(origin, folder=plan.folder), encoding="utf-8")
    _write_json(part / NOTE_NAME, _note(source, plan.precision, name=None))


def _is_there(base: Path, source: Source, model: BaseModel, *, precision: Precision) -> bool:
    """Whether this very base model lies there: the original, or what an earlier export wrote."""
    if model.folder and base == model.folder.resolve():
        return True
    try:
        note: object = json.loads((base / NOTE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return note == _note(source, precision, name=None)


def _note(source: Source, precision: Precision, *, name: str | None) -> dict[str, object]:
    return {
        "fine_tune": name,
        "base": source.base,
        "base_digest": source.base_digest,
        "precision": precision,
    }


def _origin(source: Source, model: BaseModel) -> Origin:
    return Origin(name=source.name, base=source.base, base_digest=source.base_digest, license=model.license)


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
