"""`harness runs`, `show`, `gate`: stored runs, every one recomputable from its folder."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.errors import HarnessError, StorageError, UsageError

if TYPE_CHECKING:
    from harness.evals import Promotion
    from harness.records import Json, Outcome, Run, Verdict
    from harness.report.languages import Language
    from harness.training import TrainingCurve


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands about stored runs."""
    listing = commands.add_parser("runs", help="list the stored runs, newest first")
    listing.set_defaults(command=list_command)
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--html", action="store_true", help="write the page over all runs, and say where it is")
    add_reports(listing)
    for name, words, command in (
        ("show", "a run's table and verdict", show_command),
        ("gate", "recompute a run's verdict; exit 0 only for promote", gate_command),
    ):
        parser = commands.add_parser(name, help=words)
        parser.set_defaults(command=command)
        add_run_options(parser)
        parser.add_argument("--json", action="store_true", help="as JSON")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Which run a command is about, and where runs are."""
    parser.add_argument("run", metavar="RUN", help="a run's folder, its id, or 'latest'")
    add_reports(parser)


def add_reports(parser: argparse.ArgumentParser) -> None:
    """Where runs are."""
    parser.add_argument(
        "--reports", type=Path, metavar="DIR", help="where runs are stored (default: reports/)"
    )


def list_command(options: argparse.Namespace) -> int:
    """Every stored run with its verdict; a damaged one with the reason."""
    from harness.evals import list_runs

    reports = reports_folder(options)
    if options.html:
        print(printable(str(_index(reports))))
        return 0
    promoted = {promotion.run for promotion in _promotions(reports)[:1]}
    rows = [{**_row(folder), "promoted": folder.name in promoted} for folder in list_runs(reports)]
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    for row in rows:
        print(printable(_line(row)))
    if not rows:
        print("no runs yet: `pytest suites/` makes one")
    return 0


def _index(reports: Path) -> Path:
    from harness.report.index_page import INDEX, write_index

    try:
        return write_index(reports, language=page_language())
    except OSError as error:
        what = f"{reports / INDEX} cannot be written: {error.strerror or error}"
        raise StorageError(what, remedy="copy the runs to a folder that can be written") from None


def _promotions(reports: Path) -> "tuple[Promotion, ...]":
    """What is on record as promoted, the latest first; a record that cannot be read hides no run."""
    from harness.evals import read_promotions

    try:
        return read_promotions(reports)
    except StorageError as error:
        print(printable(f"harness: {error}"), file=sys.stderr)
        return ()


def _row(folder: Path) -> "dict[str, Json]":
    from harness.evals import open_run
    from harness.verdict import verdict_of

    try:
        run = open_run(folder)
        verdict = verdict_of(run)
    except HarnessError as error:
        return _damaged(folder, str(error))
    except Exception as error:  # noqa: BLE001 - rows edited by hand may say anything; the other runs are shown
        return _damaged(folder, f"{type(error).__name__}: {error}")
    candidate = run.manifest.models.get("candidate")
    return {
        "run": folder.name,
        "status": run.manifest.status,
        "verdict": verdict.outcome,
        "candidate": candidate.model if candidate else "",
        "rows": len(run.results),
    }


def _damaged(folder: Path, problem: str) -> "dict[str, Json]":
    return {"run": folder.name, "status": "damaged", "problem": problem}


def _line(row: "dict[str, Json]") -> str:
    mark = "  (in production)" if row["promoted"] else ""
    if "problem" in row:
        return f"{row['run']}  {row['status']:<11}  {row['problem']}{mark}"
    return f"{row['run']}  {row['status']:<11}  {row['verdict']:<9}  {row['rows']:>6} rows  {row['candidate']}{mark}"


def show_command(options: argparse.Namespace) -> int:
    """The table and the verdict of one run, what to do next, and when it was promoted."""
    _print_verdict(options, advises=True)
    if not options.json:
        name = run_folder(options).resolve().name
        for promotion in _promotions(reports_folder(options)):
            if promotion.run == name:
                why = f", overriding the verdict: {promotion.override}" if promotion.override else ""
                print(printable(f"promoted {promotion.at}, by {promotion.by}{why}"))
    return 0


def gate_command(options: argparse.Namespace) -> int:
    """The verdict from the stored rows alone; exit 0 only for promote."""
    return 0 if _print_verdict(options) == "promote" else 1


def _print_verdict(options: argparse.Namespace, *, advises: bool = False) -> "Outcome":
    from harness.advice import advise, sightings_of
    from harness.evals import open_run
    from harness.report import text_summary, warnings_of
    from harness.report.next_steps import advice_lines
    from harness.serial import to_json, to_plain
    from harness.verdict import leanings_of, reference_of, verdict_of, word_of

    run = open_run(run_folder(options))
    verdict = verdict_of(run)
    given = advise(sightings_of(run, verdict)) if advises else ()
    if options.json:
        leanings = leanings_of(run, reference=reference_of(run))
        shown = {"word": word_of(verdict), "warnings": warnings_of(run.manifest), "leanings": leanings}
        shown |= {"advice": given} if advises else {}
        print(to_json({**to_plain(verdict), **shown}, indent=1))
    else:
        for line in (*text_summary(run, verdict), *advice_lines(given, run=run.manifest.id)):
            print(printable(line.text))
    return verdict.outcome


def write_verdict(run: "Run", folder: Path) -> "Verdict":
    """Decide anew, and write the verdict of a run and all that follows from it again."""
    from harness.evals import VERDICT
    from harness.serial import to_json, write_atomic
    from harness.verdict import verdict_of

    verdict = verdict_of(run)
    write_atomic(folder / VERDICT, to_json(verdict, indent=1))
    write_outputs_again(run, verdict, folder)
    return verdict


def write_outputs_again(
    run: "Run", verdict: "Verdict", folder: Path, *, language: "Language | None" = None
) -> Path:
    """The page, the summary and the index of the folder they lie in, from the stored rows; the page's path.

    Pages are in the configured language where none is given.

    Raises:
        StorageError: The page cannot be written.
    """
    from harness.report.outputs import write_outputs

    spoken = page_language() if language is None else language
    try:
        outputs = write_outputs(run, verdict, folder=folder, curve=stored_curve(folder), language=spoken)
    except OSError as error:
        what = f"{folder / 'index.html'} cannot be written: {error.strerror}"
        raise StorageError(what, remedy="copy the run to a folder that can be written") from None
    for problem in outputs.problems:
        print(printable(f"harness: {problem}"), file=sys.stderr)
    return outputs.page


def write_index_again(reports: Path) -> None:
    """The page over all runs, where there is one: what cannot be written is told, and is no error."""
    from harness.report.index_page import INDEX, is_index, write_index

    if is_index(reports / INDEX):
        try:
            write_index(reports, language=page_language())
        except OSError as error:
            what = f"harness: {reports / INDEX} cannot be written: {error.strerror or error}"
            print(printable(what), file=sys.stderr)


def page_language(code: str | None = None) -> "Language":
    """The language with this code; without one, the configured one."""
    from harness.config import project_root, read_settings
    from harness.report.languages import language_of

    return language_of(code or read_settings(project_root(Path.cwd())).lang)


def stored_curve(folder: Path) -> "TrainingCurve | None":
    """The curve of a run's job, where one is stored."""
    from harness.evals import CURVE
    from harness.training import read_curve

    return read_curve(folder / CURVE) if (folder / CURVE).is_file() else None


def reports_folder(options: argparse.Namespace) -> Path:
    """Where runs are: the flag's folder, which must be there, or the configured one, which need not be yet."""
    from harness.config import project_root, read_settings

    if options.reports is None:
        settings = read_settings(project_root(Path.cwd()))
        return settings.path(settings.reports)
    folder = Path(options.reports)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", remedy="--reports names the folder that holds the runs")
    return folder


def run_folder(options: argparse.Namespace) -> Path:
    """The folder of a run given by path, id or 'latest'."""
    from harness.evals import list_runs
    from harness.serial import nearest

    given = Path(options.run)
    if (given / "manifest.json").is_file():
        return given
    reports = reports_folder(options)
    folders = {folder.name: folder for folder in list_runs(reports)}
    if options.run == "latest" and folders:
        return next(iter(folders.values()))
    if options.run in folders:
        return folders[options.run]
    if not folders:
        raise UsageError(f"no runs in {reports}", remedy="`pytest suites/` makes one")
    guess = nearest(options.run, folders)
    remedy = guess if guess.startswith("did you mean") else "`harness runs` lists them"
    raise UsageError(f"no run {options.run!r} in {reports}", remedy=remedy)
