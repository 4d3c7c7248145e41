"""`harness runs`, `show`, `gate`, `report`: stored runs, every one recomputable from its folder."""

import argparse
import json
from pathlib import Path

from harness.errors import UsageError


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands about stored runs."""
    listing = commands.add_parser("runs", help="list the stored runs, newest first")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(command=list_command)
    for name, words, command in (
        ("show", "a run's table and verdict", show_command),
        ("gate", "recompute a run's verdict; exit 0 only for promote", gate_command),
        ("report", "write a run's page again", report_command),
    ):
        parser = commands.add_parser(name, help=words)
        parser.add_argument("run", metavar="RUN", help="a run's folder, its id, or 'latest'")
        parser.add_argument("--json", action="store_true", help="as JSON")
        parser.set_defaults(command=command)
    for parser in commands.choices.values():
        parser.add_argument("--reports", type=Path, help="where runs are stored (default: reports/)")


def list_command(options: argparse.Namespace) -> int:
    """Every stored run with its verdict."""
    from harness.evals import list_runs, open_run
    from harness.verdict import verdict_of

    rows = []
    for folder in list_runs(_reports(options)):
        run = open_run(folder)
        candidate = run.manifest.models["candidate"].model if "candidate" in run.manifest.models else ""
        rows.append(
            {
                "run": run.manifest.id,
                "status": run.manifest.status,
                "verdict": verdict_of(run).outcome,
                "candidate": candidate,
                "rows": len(run.results),
            }
        )
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    for row in rows:
        print(
            f"{row['run']}  {row['status']:<11}  {row['verdict']:<9}  {row['rows']:>6} rows  {row['candidate']}"
        )
    if not rows:
        print("no runs yet: `pytest suites/` makes one")
    return 0


def show_command(options: argparse.Namespace) -> int:
    """The table and the verdict of one run."""
    return _judged(options, quiet_exit=True)


def gate_command(options: argparse.Namespace) -> int:
    """The verdict from the stored rows alone; exit 0 only for promote."""
    return _judged(options, quiet_exit=False)


def _judged(options: argparse.Namespace, *, quiet_exit: bool) -> int:
    from harness.evals import open_run
    from harness.report import text_summary
    from harness.serial import to_json
    from harness.verdict import verdict_of

    run = open_run(_folder(options))
    verdict = verdict_of(run)
    if options.json:
        print(to_json(verdict, indent=1))
    else:
        for line in text_summary(run, verdict):
            print(line.text)
    return 0 if quiet_exit or verdict.outcome == "promote" else 1


def report_command(options: argparse.Namespace) -> int:
    """The page, written again from the stored rows."""
    from harness.evals import CURVE, PAGE, open_run
    from harness.report import render
    from harness.training import read_curve
    from harness.verdict import verdict_of

    folder = _folder(options)
    run = open_run(folder)
    curve = read_curve(folder / CURVE) if (folder / CURVE).is_file() else None
    page = render(run, verdict_of(run), to=folder / PAGE, curve=curve)
    print(json.dumps({"page": str(page)}) if options.json else page)
    return 0


def _reports(options: argparse.Namespace) -> Path:
    from harness.config import read_settings

    if options.reports is not None:
        return Path(options.reports)
    settings = read_settings(Path.cwd())
    return settings.path(settings.reports)


def _folder(options: argparse.Namespace) -> Path:
    """The folder of a run given by path, id or 'latest'."""
    from harness.evals import list_runs
    from harness.serial import nearest

    given = Path(options.run)
    if (given / "manifest.json").is_file():
        return given
    runs = list_runs(_reports(options))
    if options.run == "latest" and runs:
        return runs[0]
    for folder in runs:
        if folder.name == options.run:
            return folder
    known = nearest(options.run, [folder.name for folder in runs[:50]])
    raise UsageError(
        f"no run {options.run!r} in {_reports(options)}", remedy=known or "`pytest suites/` makes one"
    )
