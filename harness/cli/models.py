"""`harness models`: the fine-tuned models of an endpoint, and how those of the local server get out of it."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.endpoints import add_endpoint_options, chosen_settings
from harness.cli.progress import bytes_done
from harness.cli.serve import STATE
from harness.errors import StorageError, UsageError

if TYPE_CHECKING:
    from harness.config import Settings
    from harness.localserver.export.fine_tunes import BaseModel
    from harness.localserver.state.store import FineTune
    from harness.training import JobRecord

LATEST = "latest"
_CHECKPOINT = ":ckpt-step-"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command group `models`; without an action it lists."""
    group = commands.add_parser("models", help="fine-tuned models: list, delete, export")
    _add_list_options(group)
    group.set_defaults(command=list_command)
    actions = group.add_subparsers(metavar="ACTION")
    listing = actions.add_parser("list", help="the fine-tuned models of an endpoint")
    _add_list_options(listing)
    listing.set_defaults(command=list_command)
    delete = actions.add_parser("delete", help="delete a fine-tuned model for good; asks first")
    delete.add_argument("model", metavar="MODEL", help="its whole name")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    add_endpoint_options(delete)
    delete.set_defaults(command=delete_command)
    _add_export(actions)


def _add_list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="base models, too")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_endpoint_options(parser)


def _add_export(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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


def list_command(options: argparse.Namespace) -> int:
    """What the endpoint has, the newest first; fine-tunes are told by their names, or by the jobs made here."""
    from harness.cli.jobs import opened, time_of
    from harness.config import process_environment
    from harness.dataset import is_tuned
    from harness.lineup import ledger_of, local_state, plan_place
    from harness.serial import to_json
    from harness.training import list_models, recorded_jobs

    settings = chosen_settings(options)
    plan = plan_place(settings, process_environment())
    found = []
    if not plan.embedded or local_state(settings).is_dir():
        with opened(plan, settings) as place:
            found = sorted(list_models(place.endpoint), key=lambda model: model.created or 0, reverse=True)
    made = {entry.job.fine_tuned_model: entry.job for entry in recorded_jobs(ledger_of(settings))}
    shown = [model for model in found if options.all or is_tuned(model.id) or model.id in made]
    if options.json:
        print(to_json(shown, indent=1))
        return 0
    for model in shown:
        job = made.get(model.id)
        parts = [time_of(model.created), model.id, *([f"from {job.id}"] if job else [])]
        parts += [f"shut down on {model.last_day}"] if model.last_day else []
        print(printable("  ".join(parts)))
    if not shown:
        print("no fine-tuned models: `harness train FILE` makes one")
    return 0


def delete_command(options: argparse.Namespace) -> int:
    """Delete, when a person says yes or said so before; 1 when they say no."""
    from harness.cli.jobs import opened
    from harness.config import process_environment
    from harness.lineup import ledger_of, place_named, plan_place
    from harness.training import delete_model, recorded_jobs

    settings, environment = chosen_settings(options), process_environment()
    plan = plan_place(settings, environment)
    known = [entry for entry in recorded_jobs(ledger_of(settings)) if _is_of(options.model, entry)]
    if known and known[-1].place and not (options.backend or options.base_url):
        plan = place_named(settings, known[-1].place, environment)
    if not options.yes and not _agreed(options.model, plan.name, in_production=_in_production(settings)):
        print("nothing was deleted")
        return 1
    with opened(plan, settings) as place:
        delete_model(place.endpoint, options.model)
    print(printable(f"{options.model} is deleted"))
    return 0


def _is_of(model: str, entry: "JobRecord") -> bool:
    """Whether a model is a job's own; a checkpoint has an id of its own in its name and is not told."""
    return entry.job.fine_tuned_model == model


def _in_production(settings: "Settings") -> str | None:
    from harness.evals import read_promotions

    promotions = read_promotions(settings.path(settings.reports))
    return promotions[0].model if promotions else None


def _agreed(model: str, place: str, *, in_production: str | None) -> bool:
    """What a person says to the question.

    Raises:
        UsageError: There is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{model} is not deleted without a yes", remedy="add --yes where nobody can be asked"
        )
    if model == in_production:
        print(printable(f"{model} is in production: the last promotion names it"))
    question = f"delete {model} at {place}? It cannot be brought back [y/N] "
    try:
        return input(printable(question)).strip().lower() in {"y", "yes"}
    except EOFError:
        return False


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
