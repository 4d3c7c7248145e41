"""`harness models`: the fine-tuned models of the local server, and how they get out of it."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.progress import bytes_done
from harness.cli.serve import STATE
from harness.errors import StorageError, UsageError

if TYPE_CHECKING:
    from harness.localserver.export.fine_tunes import BaseModel
    from harness.localserver.state.store import FineTune

LATEST = "latest"
_CHECKPOINT = ":ckpt-step-"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command group `models`."""
    group = commands.add_parser("models", help="the local server's fine-tuned models")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    export = actions.add_parser(
        "export", help="as a PEFT adapter with its base model, or merged, for vLLM, transformers, llama.cpp"
    )
    export.add_argument("model", metavar="MODEL", help="a fine-tune's or checkpoint's name, or 'latest'")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to be made")
    export.add_argument(
        "--base",
        type=Path,
        metavar="DIR_OR_GGUF",
        help="what it was trained from (default: the embedded model)",
    )
    export.add_argument("--merged", action="store_true", help="one whole model instead of an adapter")
    export.add_argument(
        "--base-out",
        type=Path,
        metavar="DIR",
        help="where the adapter's base model goes (default DIR/base); one that lies there already is used",
    )
    export.add_argument(
        "--dtype",
        choices=("bfloat16", "float32"),
        default="bfloat16",
        help="of the weights (default bfloat16)",
    )
    export.add_argument(
        "--state", type=Path, default=STATE, metavar="DIR", help=f"the server's folder (default {STATE})"
    )
    export.add_argument("--force", action="store_true", help="replace a model that lies there")
    export.add_argument("--json", action="store_true", help="as JSON")
    export.set_defaults(command=export_command)


def export_command(options: argparse.Namespace) -> int:
    """Write one fine-tune for other programs, and say how vLLM serves it."""
    from harness.localserver.export.fine_tunes import Destination, Source, export_adapter, export_merged

    if options.merged and options.base_out:
        raise UsageError(
            "--base-out: a merged model has no base beside it", remedy="leave one of the two out"
        )
    model = _fine_tune(options.model, options.state)
    destination = Destination(
        folder=options.out, base=options.base_out, precision=options.dtype, replace=options.force
    )
    made = (export_merged if options.merged else export_adapter)(
        Source(name=model.name, adapter=model.adapter, base=model.base, base_digest=model.base_digest),
        _base_model(model, options.base, options.state),
        destination,
        progress=bytes_done("writing weights"),
    )
    if options.json:
        base = str(made.base) if made.base else None
        told = {"model": model.name, "folder": str(made.folder), "base": base, "dtype": options.dtype}
        print(json.dumps({**told, "vllm": made.serve}, indent=1, ensure_ascii=False))
        return 0
    print(printable(f"{model.name}: {made.folder}"))
    if made.base:
        print(printable(f"  its base model: {made.base}"))
    print(printable(f"  {made.serve}"))
    return 0


def _fine_tune(name: str, state: Path) -> "FineTune":
    from harness.localserver.state.store import read_fine_tunes
    from harness.serial import nearest

    models = read_fine_tunes(state)
    if not models:
        raise UsageError(
            f"{state}: there are no fine-tuned models",
            remedy="--state names the folder of the server that trained",
        )
    if name == LATEST:
        finals = [model for model in models if _CHECKPOINT not in model.name]
        return (finals or models)[-1]
    found = next((model for model in models if model.name == name), None)
    if found is None:
        raise UsageError(
            f"{state}: there is no fine-tuned model {name!r}",
            remedy=nearest(name, [model.name for model in models]),
        )
    return found


def _base_model(model: "FineTune", given: Path | None, state: Path) -> "BaseModel":
    """The very weights a fine-tune was trained from: the embedded model's, or those the user names."""
    from harness.localserver.export.gguf_model import GgufModel
    from harness.localserver.hf.recognition import recognise
    from harness.localserver.model.weights import ensure_weights
    from harness.localserver.offering import Names, check_memory, check_packages, served_model
    from harness.localserver.state.objects import EMBEDDED_DIGEST

    if given is None and model.base_digest == EMBEDDED_DIGEST:
        return GgufModel(ensure_weights(progress=bytes_done("fetching the base model")))
    if given is None:
        raise UsageError(
            f"{model.name} was trained from {model.base}, which is not the embedded model",
            remedy="--base names its folder or GGUF file, as `harness serve --model` did",
        )
    found = recognise(given)
    try:
        digest = served_model(found, Names(), state=state, embedded=False).digest
    except OSError as error:
        raise StorageError(
            f"{error.filename}: {error.strerror}", remedy="make it readable, and the state folder writable"
        ) from None
    if digest != model.base_digest:
        raise UsageError(
            f"{given}: these are not the weights {model.name} was trained from",
            remedy=f"give {model.base} as it was then, weights {model.base_digest}",
        )
    if found.lean:
        return GgufModel(found.path)
    check_packages(found)
    check_memory(found, device="cpu")
    # transformers is imported with it, which takes seconds and the extra `hf`.
    from harness.localserver.export.hf_model import HfModel

    return HfModel(found)
