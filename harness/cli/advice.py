"""`harness advice RUN`: what to do next, by every rule that has something to say."""

import argparse

from harness.cli import printable
from harness.cli.runs import add_run_options, run_folder


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The one command of this group."""
    parser = commands.add_parser("advice", help="what to do next after a run, and what was seen that says so")
    parser.set_defaults(command=advice_command)
    add_run_options(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def advice_command(options: argparse.Namespace) -> int:
    """All advice on a run, the first thing first; recomputed from the run's folder alone."""
    from harness.advice import advise, sightings_of
    from harness.evals import open_run
    from harness.serial import to_json
    from harness.verdict import verdict_of

    run = open_run(run_folder(options))
    given = advise(sightings_of(run, verdict_of(run)))
    if options.json:
        print(to_json({"run": run.manifest.id, "advice": given}, indent=1))
        return 0
    for number, advice in enumerate(given, start=1):
        print(printable(f"{number}. {advice.says}"))
        print(printable(f"   saw:  {advice.saw}"))
        print(printable(f"   rule: {advice.source}"))
    return 0
