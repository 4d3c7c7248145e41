"""`harness experiment epochs`: the suites at each checkpoint of one job, and which one to take."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.endpoints import add_endpoint_options
from harness.cli.engines import count
from harness.cli.runs import run_folder, write_verdict
from harness.cli.telling import TerminalTeller
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.config import Settings
    from harness.evals import RoleEstimate
    from harness.experiments.epochs import Finished
    from harness.records import Run


def add_epochs(experiments: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The experiment `epochs`."""
    parser = experiments.add_parser(
        "epochs", help="one job's checkpoints on the suites: which number of epochs is best?"
    )
    add = parser.add_argument
    add("suites", nargs="*", type=Path, metavar="SUITES", help="files or folders (default: suites/)")
    add("--job", metavar="ID", help="a finished job (default: the configured one, trained if that is needed)")
    add("--run", metavar="RUN", help="the job of a stored run, on the cases of that run; kept in its folder")
    add("--epochs", type=count, metavar="N", help="train for so many epochs (default: as configured)")
    add("--trials", type=count, metavar="K", help="ask every case K times (default: as its suite says)")
    add("--concurrency", type=count, metavar="N", help="requests under way at once (default 32)")
    add("--budget-usd", type=float, metavar="X", help="refuse to begin if it may cost more")
    add("--no-cache", action="store_true", help="ask everything anew; the new answers are kept")
    add("--reports", type=Path, metavar="DIR", help="where runs and studies are stored (default: reports/)")
    add("--estimate", action="store_true", help="print requests, tokens and cost; ask nothing (it may train)")
    add("--json", action="store_true", help="the study as JSON, everything else on standard error")
    add_endpoint_options(parser)
    parser.set_defaults(command=epochs_command)


def epochs_command(options: argparse.Namespace) -> int:
    """Ask the checkpoints, print and keep the study; 3 when the endpoint failed, and the same command goes on."""
    from harness.config import process_environment
    from harness.evals import open_run
    from harness.experiments.epochs import Wanted, epochs_exam, settings_for

    _refuse_contradictions(options)
    run = open_run(run_folder(options)) if options.run else None
    settings = settings_for(_settings(options), job=options.job, run=run)
    teller = TerminalTeller(for_program=options.json)
    wanted = Wanted(suites=tuple(options.suites), run=run)
    with epochs_exam(settings, process_environment(), wanted=wanted, teller=teller) as exam:
        teller.done()
        if options.estimate:
            _tell_estimate(exam.estimate(), as_json=options.json)
            return 0
        exam.check_budget(settings.budget_usd)
        finished = exam.carry_out()
    teller.done()
    _tell(finished, run, as_json=options.json)
    return 0


def _tell_estimate(estimate: "Sequence[RoleEstimate]", *, as_json: bool) -> None:
    from harness.evals import estimate_lines
    from harness.serial import to_json

    if as_json:
        print(to_json(estimate, indent=1))
        return
    for line in estimate_lines(estimate):
        print(printable(line))


def _tell(finished: "Finished", run: "Run | None", *, as_json: bool) -> None:
    from harness.experiments.checkpoint_table import study_data, study_lines
    from harness.serial import to_json

    if run is not None:
        write_verdict(run, finished.folder)  # its page has the study from now on
    if as_json:
        data = study_data(finished.study, finished.curve)
        page = str(finished.page) if finished.page else None
        print(to_json({**data, "folder": str(finished.folder), "page": page}, indent=1))
        return
    for line in study_lines(finished.study, finished.curve):
        print(printable(line))
    print(printable(f"page: {finished.page}" if finished.page else f"kept in {finished.folder}"))


def _refuse_contradictions(options: argparse.Namespace) -> None:
    given = [flag for flag, value in (("--job", options.job), ("--run", options.run)) if value]
    if len(given) > 1:
        raise UsageError("--job and --run name one job each", remedy="give one of the two")
    if given and options.epochs:
        raise UsageError(
            f"--epochs with {given[0]}, a job that is trained already", remedy="drop one of them"
        )
    if options.run and (options.suites or options.trials):
        what = "suites" if options.suites else "--trials"
        raise UsageError(f"{what} with --run, which has its own cases and trials", remedy="drop one of them")


def _settings(options: argparse.Namespace) -> "Settings":
    from dataclasses import replace

    from harness.config import project_root, read_settings, with_flags

    settings = with_flags(
        read_settings(project_root(Path.cwd())),
        {
            "backend": options.backend,
            "base_url": options.base_url,
            "trials": options.trials,
            "concurrency": options.concurrency,
            "budget_usd": options.budget_usd,
            "cache": False if options.no_cache else None,
            "reports": options.reports.resolve() if options.reports else None,
        },
    )
    if options.job and (options.backend or options.base_url):
        settings = replace(settings, base=None)  # the job knows it, and it may live elsewhere
    if options.epochs:
        training = replace(settings.training, epochs=options.epochs)
        settings = replace(settings, candidate=None, training=training)
    return settings
