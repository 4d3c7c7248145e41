"""`harness data`: training data looked at before money is spent on it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.report.text import Line

# The model a file is judged for when neither a flag nor the configuration names one: of those that can still be tuned, the cheap one.
DEFAULT_MODEL = "gpt-4.1-mini-2025-04-14"
# The encoding the official script counts with, whatever the model.
OFFICIAL_ENCODING = "cl100k_base"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command group `data`."""
    group = commands.add_parser("data", help="training data: check, count, price")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser(
        "check", help="mistakes, tokens, cost and quality; exit 1 when a job would fail"
    )
    check.add_argument("file", type=Path, metavar="FILE", help="JSONL, plain or gzipped")
    check.add_argument("--valid", type=Path, metavar="FILE", help="the validation file of the same job")
    check.add_argument("--model", metavar="NAME", help="the base model (default: the configured one)")
    check.add_argument("--json", action="store_true", help="the report as JSON")
    check.add_argument(
        "--official",
        choices=("2023", "2024"),
        nargs="?",
        const="2024",
        help="print what OpenAI's own check script prints, in this edition (default 2024)",
    )
    check.set_defaults(command=check_command)


def check_command(options: argparse.Namespace) -> int:
    """Check a file; the exit status says whether a job would take it."""
    from harness.dataset import check_dataset
    from harness.report.training_data import dataset_text
    from harness.serial import to_json

    if options.official:
        return _official(options)
    report = check_dataset(options.file, model=options.model or _configured_model(), valid=options.valid)
    if options.json:
        print(to_json(report, indent=1))
    else:
        _write(dataset_text(report))
    return 0 if report.is_fit else 1


def _official(options: argparse.Namespace) -> int:
    from harness.dataset import count_tokens, read_lines
    from harness.dataset.official import official_report
    from harness.report.training_data import official_text
    from harness.serial import to_json

    def count(text: str) -> int:
        return count_tokens(text, encoding=OFFICIAL_ENCODING)

    report = official_report(read_lines(options.file), count, edition=options.official)
    if options.json:
        print(to_json(report, indent=1))
    else:
        _write(official_text(report))
    return 1 if report.errors or report.stopped else 0


def _configured_model() -> str:
    from harness.config import project_root, read_settings

    return read_settings(project_root(Path.cwd())).base or DEFAULT_MODEL


_CODES = {"green": "32", "red": "31", "yellow": "33"}


def _write(lines: "Iterable[Line]") -> None:
    """Lines on standard output, in colour where a person looks on."""
    coloured = sys.stdout.isatty()
    for line in lines:
        codes = [_CODES[line.colour]] if line.colour else []
        codes += ["1"] if line.bold else []
        print(f"\033[{';'.join(codes)}m{line.text}\033[0m" if coloured and codes else line.text)
