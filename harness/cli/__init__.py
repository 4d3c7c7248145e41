"""The `harness` command: parse, one call, print. Exit status 0 fine, 1 the answer is no, 2 usage, 3 the endpoint failed.

Commands import what they need when they run, so that `harness --help` stays quick.
"""

import argparse
import sys
from collections.abc import Sequence

from harness.errors import EndpointError, FileError, HarnessError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
    except (UsageError, FileError) as error:
        return _complain(error, 2)
    except EndpointError as error:
        return _complain(error, 3)
    except HarnessError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `harness runs | head` is no error
        sys.stderr.close()
        return 0
    return status


def _complain(error: HarnessError, status: int) -> int:
    print(f"harness: {error.problem}", file=sys.stderr)
    if error.remedy:
        print(f"  {error.remedy}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    from harness.cli import runs, serve

    parser = argparse.ArgumentParser(
        prog="harness",
        description="Does the fine-tuned model ship? `pytest suites/` runs the suites; these commands come before and after.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runs.add_commands(commands)
    serve.add_command(commands)
    return parser
