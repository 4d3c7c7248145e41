"""`harness report`: a stored run as a page, a summary in Markdown, facts in JSON, or a table in CSV."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.cli import printable
from harness.cli.runs import add_run_options, page_language, run_folder, stored_curve, write_outputs_again
from harness.errors import StorageError, UsageError
from harness.report.languages import CODES

if TYPE_CHECKING:
    from harness.records import Run, Verdict
    from harness.report.languages import Language

_Written = TypeVar("_Written")


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command and its forms."""
    parser = commands.add_parser("report", help="a run as a page, as Markdown, JSON or CSV")
    parser.set_defaults(command=report_command)
    add_run_options(parser)
    printed = parser.add_mutually_exclusive_group()
    printed.add_argument(
        "--markdown",
        action="store_true",
        help="print a summary for a pull request or a CI job, write no page",
    )
    printed.add_argument("--json", action="store_true", help="print the facts of the run as JSON")
    parser.add_argument(
        "--link", metavar="URL", default="", help="where the page can be read; the summary links to it"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all results as a table, and no page")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page there, not into the folder")
    parser.add_argument(
        "--lang", choices=CODES, help="the language of the page or the summary (default: the configured one)"
    )


def report_command(options: argparse.Namespace) -> int:
    """Write and print what was asked for; the page where nothing else was."""
    from harness.evals import PAGE, open_run
    from harness.verdict import verdict_of

    if options.link and not re.match(r"https?://[^\s<>()\\\\]+$", options.link):
        raise UsageError(f"--link {options.link}: no web address", remedy="it begins with https://")
    folder = run_folder(options)
    run = open_run(folder)
    verdict = verdict_of(run)
    page: Path = options.html or folder / PAGE
    language = page_language(options.lang)
    if options.html is not None:
        _render(run, verdict, folder=folder, to=page, language=language)
    elif not (options.markdown or options.csv):
        write_outputs_again(run, verdict, folder, language=language)
    if options.csv is not None:
        _write_table(run, verdict, to=options.csv)
    if options.markdown or options.json:
        shown = page if page.is_file() else None
        _print_facts(run, verdict, options=options, page=shown, language=language)
    elif options.html is not None or options.csv is None:
        print(printable(str(page)))
    return 0


def _print_facts(
    run: "Run", verdict: "Verdict", *, options: argparse.Namespace, page: Path | None, language: "Language"
) -> None:
    from harness.report.facts import facts_of
    from harness.report.markdown import markdown_summary
    from harness.serial import to_json, to_plain

    facts = facts_of(run, verdict)
    if options.markdown:
        shown = "" if page is None else _short(page)
        print(markdown_summary(facts, page=shown, link=options.link, language=language), end="")
    else:
        print(to_json({**to_plain(facts), "page": None if page is None else str(page)}, indent=1))


def _short(page: Path) -> str:
    """A path as it stands in the working folder: a summary is read where that folder is not."""
    here = Path.cwd()
    return (page.relative_to(here) if page.is_relative_to(here) else page).as_posix()


def _render(run: "Run", verdict: "Verdict", *, folder: Path, to: Path, language: "Language") -> None:
    from harness.report import render

    curve = stored_curve(folder)
    _attempt(to, lambda: render(run, verdict, to=to, curve=curve, language=language))


def _write_table(run: "Run", verdict: "Verdict", *, to: Path) -> None:
    from harness.report.csv_rows import write_csv

    rows = _attempt(to, lambda: write_csv(run, verdict, to=to))
    print(printable(f"{to}: {rows:,} rows"), file=sys.stderr)


def _attempt(to: Path, write: Callable[[], _Written]) -> _Written:
    try:
        return write()
    except OSError as error:
        raise StorageError(
            f"{to} cannot be written: {error.strerror or error}", remedy="name a file in a writable folder"
        ) from None
