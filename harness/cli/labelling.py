"""`harness label`, `harness calibrate`: people check a judge, and its figures are corrected by what they say."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.runs import add_run_options, run_folder, write_verdict
from harness.errors import StorageError, UsageError

if TYPE_CHECKING:
    from harness.labelling import Item
    from harness.records import Run

LABELLED_CASES = 50


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands about people's labels."""
    label = commands.add_parser("label", help="write a sheet on which people check a run's judge")
    label.set_defaults(command=label_command)
    add_run_options(label)
    label.add_argument("--suite", metavar="S", help="one judged suite (default: all)")
    label.add_argument(
        "--n",
        type=int,
        default=LABELLED_CASES,
        metavar="CASES",
        help=f"cases of each suite, each with both models' answers (default: {LABELLED_CASES})",
    )
    label.add_argument(
        "--format",
        choices=("csv", "html"),
        default="csv",
        help="a sheet for a spreadsheet, or a page that works offline (default: csv)",
    )
    label.add_argument("--seed", type=int, default=0, help="another seed draws other cases (default: 0)")
    label.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it (default: labels-RUN.csv or .html)"
    )
    calibrate = commands.add_parser("calibrate", help="read people's labels and correct the judge's figures")
    calibrate.set_defaults(command=calibrate_command)
    add_run_options(calibrate)
    calibrate.add_argument(
        "labels", metavar="LABELS", type=Path, nargs="+", help="CSV sheets that were filled in"
    )
    calibrate.add_argument("--json", action="store_true", help="as JSON")


def label_command(options: argparse.Namespace) -> int:
    """A sheet to fill in; a sheet that is there already is not written over."""
    from harness.evals import open_run
    from harness.labelling import csv_text, html_text, sheet_of

    if options.n < 1:
        raise UsageError(f"--n is {options.n}", remedy="label at least one case; 50 are advised")
    run = open_run(run_folder(options))
    items = sheet_of(run, suite=options.suite, cases=options.n, seed=options.seed)
    out = options.out or Path(f"labels-{run.manifest.id}.{options.format}")
    if out.exists():
        raise UsageError(f"{out} is there already", remedy="it may hold labels: name another with --out")
    _write(out, csv_text(items) if options.format == "csv" else html_text(items, name=out.stem))
    print(f"{printable(str(out))}: {len(items)} rows to label")
    print(f"then: harness calibrate {run.manifest.id} FILLED.csv")
    return 0


def _write(out: Path, text: str) -> None:
    from harness.serial import write_atomic

    try:
        write_atomic(out, text)
    except OSError as error:
        raise StorageError(
            f"{out} cannot be written: {error.strerror or error}", remedy="name another file with --out"
        ) from None


def calibrate_command(options: argparse.Namespace) -> int:
    """What the labels show; they are kept in the run's folder, and its verdict and page use them from then on."""
    from harness.evals import open_run, write_labels
    from harness.labelling import judge_findings, read_sheets, told, told_reading
    from harness.serial import to_json
    from harness.verdict import word_of

    folder = run_folder(options)
    run = open_run(folder)
    reading = read_sheets(options.labels, _items(run), run=run.manifest.id)
    if not reading.labels:
        raise UsageError("no row has a label", remedy="fill in the column `label` and save the sheet as CSV")
    write_labels(folder, reading.labels, run=run.manifest.id)
    run = open_run(folder)
    verdict = write_verdict(run, folder)
    found = judge_findings(run)
    if options.json:
        print(to_json(found, indent=1))
        return 0
    judge = run.manifest.models.get("judge")
    for line in (*told_reading(reading), *told(found, judge=judge.model if judge else "unknown")):
        print(printable(line))
    print(f"\nthe verdict with these labels: {word_of(verdict).upper()} (`harness show {run.manifest.id}`)")
    return 0


def _items(run: "Run") -> "dict[str, Item]":
    from harness.labelling import chosen_suites, items_of

    return {item.id: item for name in chosen_suites(run, None) for item in items_of(run, name)}
