"""What does a server offer? The embedded model or one on the disk: its names, what identifies it, and its engine."""

import importlib.util
import json
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from harness.errors import UsageError
from harness.localserver.api.services import ServedModel
from harness.localserver.generation.requests import Engine
from harness.localserver.hf.memory import check_fit, free_main_memory
from harness.localserver.hf.recognition import ModelOnDisk, weight_sizes
from harness.serial import digest, file_digest, write_atomic

EMBEDDED = "smollm2-135m-instruct"
# The day its weights were published.
EMBEDDED_PUBLISHED = datetime(2024, 10, 31, tzinfo=timezone.utc)
# What a request's `model` may be: fine-tunes are named after it, with colons between the parts, and a slash would part a path.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# The folders of the modules that decide what is answered. Their bytes are part of the fingerprint, so that no version number
# has to be remembered when one of them changes.
_LEAN_ROOMS, _HF_ROOMS = ("generation", "model"), ("generation", "hf", "model")
_LEAN_PACKAGES, _HF_PACKAGES = ("torch",), ("torch", "transformers", "peft", "tokenizers")
_DIGESTS = "model-digests.json"
# The weights are in memory in at least this many bytes each.
_LEAST_ITEM_BYTES = 2
_DIGEST_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Names:
    """How a model is asked for: by its name, that of its folder or file by default, and by aliases."""

    name: str | None = None
    aliases: frozenset[str] = frozenset()


def check_names(names: Iterable[str]) -> None:
    """Refuse what cannot be a model's name.

    Raises:
        UsageError: One of them cannot.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a model",
                remedy="take letters, digits, dots, dashes and underscores, 64 at most",
            )


def check_packages(model: ModelOnDisk) -> None:
    """Refuse a model that is run by packages that are not installed.

    Raises:
        UsageError: They are not.
    """
    wanted = () if model.lean else ("transformers", "peft", "gguf")
    lacking = [package for package in wanted if importlib.util.find_spec(package) is None]
    if lacking:
        raise UsageError(
            f"{model.path}: this model needs {' and '.join(lacking)}, not installed here",
            remedy='python -m pip install "finetune-harness[hf]"',
        )


def check_memory(model: ModelOnDisk, *, device: str) -> None:
    """Refuse a folder whose weights cannot fit, before anything is loaded; GGUF files are looked at when they are.

    Raises:
        UsageError: They do not fit.
    """
    if device == "cpu" and not model.is_gguf:
        size = sum(weight_sizes(model.path)) * _LEAST_ITEM_BYTES
        check_fit(size, free_main_memory(), place="this machine")


def served_model(model: ModelOnDisk, names: Names, *, state: Path, embedded: bool) -> ServedModel:
    """What is told of a model; the digests of its files are remembered in the state folder."""
    digests = _file_digests(model, state / _DIGESTS)
    # One file is known by its own digest, as it was when no other model could be served.
    found = next(iter(digests.values())) if model.is_gguf else digest(digests)
    name = names.name or (EMBEDDED if embedded else model.name)
    published = int(EMBEDDED_PUBLISHED.timestamp()) if embedded else int(model.files[0].stat().st_mtime)
    return ServedModel(
        name=name,
        created_at=published,
        digest=found[:_DIGEST_DIGITS],
        fingerprint=_fingerprint(model, found[:_DIGEST_DIGITS]),
        aliases=names.aliases - {name},
    )


def engine_of(model: ModelOnDisk, *, threads: int) -> Callable[[], Engine]:
    """Makes the engine of a model, when it is first needed."""

    def load() -> Engine:
        # Imported here because they import torch, which takes seconds: the server is ready without it, and a
        # server that only trains never needs it.
        engine = importlib.import_module("harness.localserver.generation.engine").Engine
        if model.lean:
            lean = importlib.import_module("harness.localserver.generation.lean")
            made: Engine = engine(lean.LeanBackend(model.path, threads=threads))
        else:
            backend = importlib.import_module("harness.localserver.hf.backend")
            made = engine(backend.HfBackend(model, threads=threads))
        return made

    return load


def likely_device() -> str:
    """`cuda` where this system has a GPU and a torch that can use one, else `cpu`; torch itself is not asked, it takes seconds."""
    is_cpu_build = metadata.version("torch").endswith("+cpu")
    has_gpu = any(Path("/dev").glob("nvidia[0-9]*"))
    return "cuda" if has_gpu and not is_cpu_build and platform.system() == "Linux" else "cpu"


def _fingerprint(model: ModelOnDisk, weights: str) -> str:
    folders = [Path(__file__).with_name(room) for room in (_LEAN_ROOMS if model.lean else _HF_ROOMS)]
    code = {
        f"{folder.name}/{file.name}": file_digest(file)
        for folder in folders
        for file in sorted(folder.glob("*.py"))
    }
    packages = _LEAN_PACKAGES if model.lean else _HF_PACKAGES
    versions = {package: metadata.version(package) for package in packages}
    return "fp_" + digest({"weights": weights, **versions, **code})[:10]


def _file_digests(model: ModelOnDisk, remembered: Path) -> Mapping[str, str]:
    """The SHA-256 of each file, computed anew only for files whose size or time has changed."""
    known = _remembered(remembered)
    found: dict[str, str] = {}
    stamps: dict[str, list[str]] = {}
    for file in model.files:
        stat = file.stat()
        stamp = f"{stat.st_size} {stat.st_mtime_ns}"
        earlier = known.get(str(file))
        found[file.name] = earlier[1] if earlier and earlier[0] == stamp else file_digest(file)
        stamps[str(file)] = [stamp, found[file.name]]
    if stamps != known:
        write_atomic(remembered, json.dumps(stamps, indent=1) + "\n")
    return found


def _remembered(path: Path) -> Mapping[str, list[str]]:
    try:
        stamps = json.loads(path.read_text(encoding="utf-8"))
        return {str(file): [str(stamp), str(found)] for file, (stamp, found) in stamps.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # not there yet, or not ours: it is written anew
