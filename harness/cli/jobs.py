"""`harness jobs`: the fine-tuning jobs made here and those their provider lists; one looked at, or ended."""

import argparse
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.endpoints import add_endpoint_options, chosen_settings
from harness.cli.engines import count
from harness.cli.telling import TerminalTeller
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.config import Settings
    from harness.lineup import Place, PlacePlan
    from harness.records import TrainingJob
    from harness.training import JobRecord

LATEST = "latest"
# What the ledger calls the local server; a copy of harness.training.LOCAL_PLACE, since building a parser imports nothing heavy.
LOCAL_PLACE = "local"
# Jobs asked of the provider for a list; `--limit` takes more.
SHOWN_JOBS = 20
_ACTIONS = (
    ("show", "one job: settings, cost, model, and what was wrong"),
    ("events", "what happened, oldest first"),
    ("metrics", "loss and token accuracy by step, as CSV"),
    ("checkpoints", "its usable checkpoints, by step"),
    ("cancel", "end a job; what it has trained so far may be billed"),
)


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command group `jobs`; without an action it lists."""
    group = commands.add_parser("jobs", help="fine-tuning jobs: list, look at one, cancel")
    _add_list_options(group)
    group.set_defaults(command=list_command)
    actions = group.add_subparsers(metavar="ACTION")
    listing = actions.add_parser("list", help="jobs made here and those the provider lists, the newest first")
    _add_list_options(listing)
    listing.set_defaults(command=list_command)
    calls = (show_command, events_command, metrics_command, checkpoints_command, cancel_command)
    for (name, what), call in zip(_ACTIONS, calls, strict=True):
        action = actions.add_parser(name, help=what)
        if name == "cancel":  # nobody ends a job by leaving something out
            action.add_argument("job", metavar="ID", help="or 'latest'")
        else:
            words = "default: the newest made here"
            action.add_argument("job", nargs="?", default=LATEST, metavar="ID", help=words)
        action.add_argument("--json", action="store_true", help="as JSON")
        add_endpoint_options(action)
        action.set_defaults(command=call)


def _add_list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit", type=count, default=SHOWN_JOBS, metavar="N", help="jobs to list (default %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_endpoint_options(parser)


# --- the list ------------------------------------------------------------------------------------------


def list_command(options: argparse.Namespace) -> int:
    """List; what is recorded here is shown also when the provider cannot be asked, which the status then tells."""
    from harness.config import process_environment
    from harness.errors import HarnessError
    from harness.lineup import ledger_of, local_state, plan_place
    from harness.training import recorded_jobs

    settings, environment = chosen_settings(options), process_environment()
    ledger = ledger_of(settings)
    recorded, listed, rests, trouble = list(recorded_jobs(ledger)), [], False, None
    plan = plan_place(settings, environment)
    if options.backend or options.base_url:
        recorded = [entry for entry in recorded if entry.place == plan.name]
    if not plan.embedded or local_state(settings).is_dir():
        try:
            with opened(plan, settings) as place:
                listed, rests = _listed(place, ledger, at_most=options.limit), not place.lasting
        except HarnessError as error:
            trouble = error
    jobs = _merged(recorded, listed)[: options.limit]
    if options.json:
        tell_as_json(jobs)
    else:
        for line in (*_table(jobs), *(_resting(listed) if rests else ())):
            print(_row(line))
    if trouble is not None:
        raise trouble
    return 0


def _listed(place: "Place", ledger: Path, *, at_most: int) -> "list[JobRecord]":
    """What the provider lists, each with what is recorded of it, which is brought up to date."""
    from harness.training import list_jobs

    return [record_of(job, place, ledger) for job in list_jobs(place.endpoint, at_most=at_most)]


def _merged(recorded: "list[JobRecord]", listed: "list[JobRecord]") -> "list[JobRecord]":
    """Both without doubles, the newest first."""
    entries = {(entry.endpoint, entry.job.id): entry for entry in (*recorded, *listed)}
    return sorted(entries.values(), key=lambda entry: entry.job.created_at or 0, reverse=True)


def _resting(listed: "list[JobRecord]") -> Iterator[str]:
    """What there is to say of unfinished jobs of a local server that ran for the list alone."""
    from harness.training import FINAL

    waiting = [entry.job.id for entry in listed if entry.job.status not in FINAL]
    if waiting:
        yield f"{', '.join(waiting)}: no local server is running; `harness serve` goes on where it was"


def _table(jobs: "list[JobRecord]") -> Iterator[str]:
    if not jobs:
        yield "no jobs yet: `harness train FILE` makes one"
        return
    rows = [("job", "status", "made", "tokens", "cost", "where", "model")]
    for entry in jobs:
        job = entry.job
        rows.append(
            (
                job.id,
                job.status,
                time_of(job.created_at),
                f"{job.trained_tokens:,}" if job.trained_tokens is not None else "-",
                _cost(entry),
                entry.place or entry.endpoint,
                job.fine_tuned_model or job.model,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]])


# --- one job -------------------------------------------------------------------------------------------


def show_command(options: argparse.Namespace) -> int:
    """One job as it is now; 1 when it has failed or was cancelled."""
    with _target(options) as (place, job, ledger):
        from harness.training import retrieve_job

        found = record_of(retrieve_job(place.endpoint, job), place, ledger)
    if options.json:
        tell_as_json(found)
    else:
        tell_job(found)
    return 1 if found.job.status in {"failed", "cancelled"} else 0


def events_command(options: argparse.Namespace) -> int:
    """Everything a job has told."""
    from harness.serial import to_json
    from harness.training import job_events

    with _target(options) as (place, job, _):
        events = job_events(place.endpoint, job)
    if options.json:
        print(to_json(events, indent=1))
        return 0
    for event in events:
        level = "" if event.level == "info" else f"{event.level}: "
        print(_row(f"{time_of(event.created_at)}  {level}{event.message}"))
    return 0


def metrics_command(options: argparse.Namespace) -> int:
    """The curve as CSV; 1 when there is none yet."""
    from harness.serial import to_json
    from harness.training import curve_of, retrieve_job

    with _target(options) as (place, job, _):
        curve = curve_of(place.endpoint, retrieve_job(place.endpoint, job))
    if options.json:
        rows = [] if curve is None else curve.steps.to_dict(orient="records")
        print(to_json(rows, indent=1))
    elif curve is not None:
        print(curve.steps.dropna(axis="columns", how="all").to_csv(index=False), end="")
    else:
        print("nothing has been measured yet")
    return 1 if curve is None else 0


def checkpoints_command(options: argparse.Namespace) -> int:
    """The checkpoints by step."""
    from harness.serial import to_json
    from harness.training import checkpoints_of, retrieve_job

    with _target(options) as (place, job, _):
        points = checkpoints_of(place.endpoint, retrieve_job(place.endpoint, job))
    if options.json:
        print(to_json(points, indent=1))
        return 0
    for point in points:
        measures = [f"{name} {value:.4g}" for name, value in sorted(point.metrics.items()) if name != "step"]
        print(_row("  ".join([f"step {point.step}", point.model, *measures])))
    if not points:
        print("no checkpoints: they come at the end of each epoch, and not every provider keeps them")
    return 0


def cancel_command(options: argparse.Namespace) -> int:
    """End a job; 1 when it had ended already."""
    from harness.training import cancel_job

    with _target(options) as (place, job, ledger):
        now, was_cancelled = cancel_job(place.endpoint, job)
        found = record_of(now, place, ledger)
    if options.json:
        tell_as_json(found)
    elif was_cancelled:
        bill = "" if found.place == LOCAL_PLACE else "; what it has trained so far may be billed"
        print(printable(f"{now.id} is {now.status}{bill}"))
    else:
        print(printable(f"{now.id} has ended already: {now.status}"))
    return 0 if was_cancelled else 1


@contextmanager
def _target(options: argparse.Namespace) -> "Iterator[tuple[Place, str, Path]]":
    """Where the job that is meant is, and its id: the place its record names, unless flags say otherwise."""
    from harness.config import process_environment
    from harness.lineup import ledger_of, local_state, place_named, plan_place
    from harness.training import list_jobs, recorded_jobs

    settings, environment = chosen_settings(options), process_environment()
    ledger = ledger_of(settings)
    recorded = list(recorded_jobs(ledger))
    plan, has_flags = plan_place(settings, environment), bool(options.backend or options.base_url)
    if has_flags:
        recorded = [entry for entry in recorded if entry.place == plan.name]
    newest = _merged(recorded, [])
    known = next((entry for entry in newest if options.job in {entry.job.id, LATEST}), None)
    if known is not None and known.place and not has_flags:
        try:
            plan = place_named(settings, known.place, environment)
        except UsageError as error:
            raise UsageError(
                f"{known.job.id} was made at {known.place!r}: {error.problem}",
                remedy=f"configure it again, or give --backend or --base-url; {error.remedy}",
            ) from error
    if plan.embedded and not local_state(settings).is_dir():
        raise UsageError(f"there is no job {options.job} here", remedy="`harness jobs` lists them")
    with opened(plan, settings) as place:
        job = known.job.id if known is not None else options.job
        if job == LATEST:
            found = list_jobs(place.endpoint, at_most=1)
            if not found:
                raise UsageError("there are no jobs yet", remedy="`harness train FILE` makes one")
            job = found[0].id
        yield place, job, ledger


@contextmanager
def opened(plan: "PlacePlan", settings: "Settings") -> "Iterator[Place]":
    """The place for a short question; a local server that is started for it takes up jobs that rest, and rests again."""
    from harness.config import process_environment
    from harness.lineup import open_place

    teller = TerminalTeller(for_program=True)
    try:
        with open_place(plan, settings, process_environment(), teller=teller, joins_any=True) as place:
            yield place
    finally:
        teller.done()


# --- a job told ----------------------------------------------------------------------------------------


def record_of(job: "TrainingJob", place: "Place", ledger: Path) -> "JobRecord":
    """What is recorded of a job, brought up to date there; of an unknown one, what the provider tells."""
    from harness.training import JobRecord, note_state, recorded_job

    label = place.endpoint.label
    note_state(ledger, job, endpoint=label)
    known = recorded_job(ledger, job.id, endpoint=label)
    return known or JobRecord(job=job, endpoint=label, place=place.name)


def tell_as_json(told: "JobRecord | list[JobRecord]") -> None:
    """One job, or a list of them, with its cost."""
    import json

    from harness.serial import to_plain

    def with_cost(entry: "JobRecord") -> dict[str, object]:
        return {**to_plain(entry), "cost_usd": entry.cost_usd}

    data = [with_cost(entry) for entry in told] if isinstance(told, list) else with_cost(told)
    print(json.dumps(data, indent=1, ensure_ascii=False))


def tell_job(entry: "JobRecord") -> None:
    """One job, line by line, and what to do next."""
    for line in _lines(entry):
        print(_row(line))


def _lines(entry: "JobRecord") -> Iterator[str]:
    job = entry.job
    yield f"{job.id}: {job.status}"
    yield f"  model     {job.fine_tuned_model or '-'}, tuned from {job.model}"
    place = entry.endpoint if entry.place in {"", entry.endpoint} else f"{entry.place} ({entry.endpoint})"
    yield f"  where     {place}"
    ended = f", ended {time_of(job.finished_at)}" if job.finished_at else ""
    yield f"  made      {time_of(job.created_at)}{ended}"
    for name, digest in entry.files.items():
        yield f"  {name:<9} {entry.paths.get(name, '')} sha256 {digest[:16]} as {entry.uploads.get(name, '-')}"
    if job.hyperparameters:
        yield "  settings  " + ", ".join(f"{name} {value}" for name, value in job.hyperparameters.items())
    if job.trained_tokens is not None and entry.place == LOCAL_PLACE:
        yield f"  trained   {job.trained_tokens:,} tokens, on this machine"
    elif job.trained_tokens is not None:
        yield f"  billed    {job.trained_tokens:,} tokens, {_cost(entry)}"
    elif entry.estimate_usd:
        yield f"  billed    not told; the estimate was {in_usd(entry.estimate_usd)}"
    if job.error:
        yield from _faults(entry)
    if job.status == "succeeded" and job.fine_tuned_model:
        # A provider's names are pasted into a shell with it.
        yield f"judge it: pytest suites/ --candidate {shlex.quote(job.fine_tuned_model)} --job {shlex.quote(job.id)}"


def _faults(entry: "JobRecord") -> Iterator[str]:
    """The provider's words, with the lines they are about and what mends them."""
    from harness.training import faults_of_failure

    path = entry.paths.get("valid" if "validation" in (entry.job.error or "") else "train")
    faults = faults_of_failure(entry.job.error or "", file=Path(path) if path else None)
    for fault in faults:
        where = f"{path}:{fault.line}: " if path and fault.line is not None else ""
        yield f"  failed    {where}{fault.what}"
    yield f"            {faults[0].remedy}"


def _cost(entry: "JobRecord") -> str:
    return "-" if entry.cost_usd is None or entry.place == LOCAL_PLACE else in_usd(entry.cost_usd)


def in_usd(amount: float) -> str:
    """Money with as many decimals as it needs."""
    from harness.report.checked_file import usd_digits

    return f"{amount:.{usd_digits([amount])}f} USD"


def time_of(seconds: int | None) -> str:
    """Unix seconds as a person reads them, in UTC."""
    if not seconds:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (OSError, OverflowError, ValueError):  # milliseconds, or nonsense
        return "-"


def _row(text: str) -> str:
    """One line for a terminal, whatever a provider has put into its names."""
    return printable(text).replace("\n", " ")
