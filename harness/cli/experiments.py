"""`harness experiment`: trainings that answer a question, each asked the suites."""

import argparse

from harness.cli.epochs import add_epochs
from harness.cli.scaling import add_scaling


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command group `experiment`; each experiment adds its own parser to it."""
    group = commands.add_parser("experiment", help="trainings that answer a question, each asked the suites")
    experiments = group.add_subparsers(required=True, metavar="EXPERIMENT")
    add_scaling(experiments)
    add_epochs(experiments)
