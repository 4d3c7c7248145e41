"""The `harness` command: parse, one call, print. Exit status 0 fine, 1 the answer is no, 2 usage, 3 the endpoint failed.

Commands import what they need when they run, so that `harness --help` stays quick.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import metadata

from harness.errors import UNREADABLE, EndpointError, FileError, HarnessError, UsageError

DISTRIBUTION = "finetune-harness"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    _print_anything()
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        sys.stdout.flush()  # here, where a reader that went away is met without a traceback
    except (UsageError, FileError) as error:
        return _complain(error, 2)
    except EndpointError as error:
        return _complain(error, 3)
    except HarnessError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `harness runs | head` is no error
        _forget_output()
        return 0
    return status


def _print_anything() -> None:
    """A terminal that cannot show a character gets its escape instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stand-in that is not a real text stream
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _forget_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not complain when it leaves."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _complain(error: HarnessError, status: int) -> int:
    print(f"harness: {printable(error.problem)}", file=sys.stderr)
    if error.remedy:
        print(f"  {printable(error.remedy)}", file=sys.stderr)
    return status


def printable(text: str) -> str:
    """Text from files without what could steer a terminal; its line ends stay."""
    return UNREADABLE.sub(" ", text)


def _parser() -> argparse.ArgumentParser:
    from harness.cli import (
        advice,
        badcases,
        data,
        experiments,
        jobs,
        labelling,
        models,
        promotion,
        reporting,
        runs,
        serve,
        training,
    )

    parser = argparse.ArgumentParser(
        prog="harness",
        description="Does the fine-tuned model ship? `pytest suites/` runs the suites; these commands come before and after.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    data.add_commands(commands)
    training.add_command(commands)
    jobs.add_commands(commands)
    runs.add_commands(commands)
    reporting.add_command(commands)
    advice.add_command(commands)
    promotion.add_commands(commands)
    badcases.add_command(commands)
    labelling.add_commands(commands)
    serve.add_command(commands)
    models.add_commands(commands)
    experiments.add_commands(commands)
    return parser


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"
