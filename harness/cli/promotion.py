"""`harness promote`, `promoted`, `compare`: which model is in production, and how two runs' candidates differ."""

import argparse
import getpass
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.runs import add_reports, add_run_options, reports_folder, run_folder, write_index_again
from harness.errors import HarnessError, StorageError, UsageError

if TYPE_CHECKING:
    from harness.evals import Promotion
    from harness.records import Run, Verdict


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands about promotions, and two runs side by side."""
    promote = commands.add_parser("promote", help="record a run's candidate as the model in production")
    promote.set_defaults(command=promote_command)
    add_run_options(promote)
    promote.add_argument(
        "--override", metavar="REASON", help="promote without a promote verdict; the reason stays on record"
    )
    promote.add_argument("--by", metavar="NAME", help="who promotes (default: git's user, else the system's)")
    promoted = commands.add_parser("promoted", help="the model in production, since when and why")
    promoted.set_defaults(command=promoted_command)
    promoted.add_argument("--history", action="store_true", help="every promotion there was, newest first")
    promoted.add_argument("--json", action="store_true", help="as JSON")
    add_reports(promoted)
    compare = commands.add_parser("compare", help="the candidate of run B against that of run A")
    compare.set_defaults(command=compare_command)
    compare.add_argument(
        "earlier", metavar="A", help="a run's folder, its id, or 'latest': what is compared with"
    )
    compare.add_argument("later", metavar="B", help="the run whose candidate is compared")
    compare.add_argument("--json", action="store_true", help="as JSON")
    add_reports(compare)


# --- promoting -------------------------------------------------------------------------------------


def promote_command(options: argparse.Namespace) -> int:
    """Record a promotion; exit 1 without a promote verdict, unless there is a reason to override it."""
    from harness.evals import PROMOTED, add_promotion, new_promotion, open_run, read_promotions

    by, override = _said(options.by, "--by"), _said(options.override, "--override")
    folder, reports = run_folder(options), reports_folder(options)
    read_promotions(reports)  # a broken record is told before anything else
    run = open_run(folder)
    verdict = _judged(run, folder)
    promotion = new_promotion(run, verdict, by=by or _user(), override=override)
    if verdict.outcome != "promote" and override is None:
        return _refuse(run, verdict)
    before = add_promotion(reports, promotion)
    if before is not None and before.run == promotion.run:
        print(printable(f"{before.model} is in production already: {_told(before)}"))
        return 0
    print(printable(f"promoted {promotion.model} ({promotion.endpoint}), by {promotion.by}"))
    if verdict.outcome != "promote":
        print(f"the verdict was {verdict.outcome.upper()}; the reason to override it stays on record")
    for line in _remarks(promotion, before):
        print(printable(line))
    print(f"recorded in {_short(reports / PROMOTED)}: commit it")
    write_index_again(reports)
    if folder.resolve() == (reports / promotion.run).resolve():
        folder = _short(folder)
        print(
            f"for runs elsewhere to reuse its answers: git add -f {folder}/manifest.json {folder}/results.jsonl"
        )
    return 0


def _short(path: Path) -> Path:
    """A path as it is typed in this folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _said(text: str | None, flag: str) -> str | None:
    """What a flag gives, on one line; saying nothing is no reason and no name.

    Raises:
        UsageError: Nothing is said.
    """
    said = None if text is None else " ".join(printable(text).split())
    if said == "":
        raise UsageError(f"{flag} says nothing", remedy="it stays on record: say who, or why")
    return said


def _judged(run: "Run", folder: Path) -> "Verdict":
    """The verdict from the rows as they are now.

    Raises:
        StorageError: They cannot be judged: somebody edited them.
    """
    from harness.verdict import verdict_of

    try:
        return verdict_of(run)
    except HarnessError as error:
        raise StorageError(f"{folder} is damaged: {error}", remedy="run the suites again") from None


def _refuse(run: "Run", verdict: "Verdict") -> int:
    print(
        f"harness: {run.manifest.id} is not promoted: its verdict is {verdict.outcome.upper()}",
        file=sys.stderr,
    )
    for reason in verdict.reasons:
        print(f"  - {printable(reason)}", file=sys.stderr)
    print("  --override REASON promotes it all the same, and keeps the reason", file=sys.stderr)
    return 1


def _remarks(promotion: "Promotion", before: "Promotion | None") -> "list[str]":
    """What a promotion changes, and what its run did not look at."""
    if before is None:
        return []
    if (before.model, before.endpoint) == (promotion.model, promotion.endpoint):
        return [f"it was in production already, {_told(before)}: the record now rests on {promotion.run}"]
    lines = [f"before: {before.model}, {_told(before)}"]
    if promotion.reference != before.model:
        lines.append(
            f"note: this run compared it with {promotion.reference or 'no model'}, not with {before.model}"
        )
    return lines


def _user() -> str:
    """Who is at work: git's user, else the system's."""
    name, email = (_git_setting(f"user.{key}") for key in ("name", "email"))
    if name or email:
        return f"{name} <{email}>" if name and email else name or email
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for its user
        raise UsageError("nobody is known to promote it", remedy="give --by NAME") from None


def _git_setting(name: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "config", name],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return " ".join(printable(done.stdout).split())


# --- what is promoted ------------------------------------------------------------------------------


def promoted_command(options: argparse.Namespace) -> int:
    """The model in production, or all there were."""
    from harness.evals import read_promotions
    from harness.serial import to_json

    promotions = read_promotions(reports_folder(options))
    if options.json:
        shown = promotions if options.history else next(iter(promotions), None)
        print(to_json(shown, indent=1))
    elif not promotions:
        print("no model is promoted yet: `harness promote RUN` records one")
    elif options.history:
        for promotion in promotions:
            print(
                printable(
                    f"{promotion.at}  {promotion.model} ({promotion.endpoint}), by {promotion.by}, {promotion.run}"
                )
            )
            print(printable(f"  {_why(promotion)}"))
    else:
        for line in _sheet(promotions[0]):
            print(printable(line))
    return 0


def _sheet(promotion: "Promotion") -> "list[str]":
    return [
        f"{promotion.model}  ({promotion.endpoint})",
        f"since     {promotion.at}",
        f"by        {promotion.by}",
        f"run       {promotion.run}, compared with {promotion.reference or 'no model'}",
        f"verdict   {_why(promotion)}",
        *(f"suite     {name}  {digest}" for name, digest in promotion.suites.items()),
        *(f"data      {name}  {digest}" for name, digest in promotion.data.items()),
    ]


def _told(promotion: "Promotion") -> str:
    return f"since {promotion.at}, by {promotion.by}, with {promotion.run}"


def _why(promotion: "Promotion") -> str:
    """`promote: routing improved by 12 points ...`, or how it was overridden."""
    said = f"{promotion.verdict}: {promotion.reason}"
    return said if promotion.override is None else f"{said}; overridden: {promotion.override}"


# --- two runs --------------------------------------------------------------------------------------


def compare_command(options: argparse.Namespace) -> int:
    """How the candidate of B differs from that of A on the cases they share; exit 1 when there are none."""
    from harness.evals import open_run
    from harness.report.two_runs import compare_runs
    from harness.report.two_runs_text import comparison_lines
    from harness.serial import to_json

    earlier, later = (
        open_run(run_folder(argparse.Namespace(run=name, reports=options.reports)))
        for name in (options.earlier, options.later)
    )
    comparison = compare_runs(earlier, later)
    if options.json:
        print(to_json(comparison, indent=1))
    else:
        for line in comparison_lines(earlier, later, comparison):
            print(printable(line))
    return 0 if comparison.suites else 1
