"""`harness data`: training data looked at before money is spent on it."""

import argparse
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.distillation import add_distill
from harness.cli.engines import add_engine_options, chosen_engine
from harness.cli.progress import bytes_done

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.dataset import DatasetReport
    from harness.dataset.partition import Partition
    from harness.report.lines import Line

# Columns of a report that no terminal shows.
KEPT_COLUMNS = 100
# Rows left out of a conversion that are told one by one.
SHOWN_PROBLEMS = 10
# What `--from` takes; a copy of harness.dataset.convert.SOURCES, since building a parser must import nothing heavy.
SOURCES = ("alpaca", "chat", "chatlaw", "csv", "gemini", "prompt-completion", "sharegpt")
# The encoding the official script counts with, whatever the model.
OFFICIAL_ENCODING = "cl100k_base"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command group `data`."""
    group = commands.add_parser("data", help="training data: check, count, price, convert, split, distill")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    _add_check(actions)
    _add_convert(actions)
    _add_split(actions)
    _add_subset(actions)
    add_distill(actions)


def _add_check(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = actions.add_parser(
        "check", help="mistakes, tokens, cost and quality; exit 1 when a job would fail"
    )
    check.add_argument("file", type=Path, metavar="FILE", help="JSONL, plain or gzipped")
    check.add_argument("--valid", type=Path, metavar="FILE", help="the validation file of the same job")
    check.add_argument(
        "--suites",
        type=Path,
        metavar="DIR",
        help="the suites that will judge the model: what they ask must not be here",
    )
    check.add_argument(
        "--run",
        metavar="RUN",
        help="a stored run, its folder, id or 'latest': are its failing cases among what is taught?",
    )
    check.add_argument(
        "--reports", type=Path, metavar="DIR", help="where runs are stored (default: reports/)"
    )
    check.add_argument("--model", metavar="NAME", help="the base model (default: the configured one)")
    check.add_argument(
        "--expect-refusals",
        type=_share,
        metavar="SHARE",
        help="refusals expected in production, such as 0.05",
    )
    check.add_argument("--json", action="store_true", help="the report as JSON")
    check.add_argument("--html", type=Path, metavar="OUT", help="write the report as one HTML page, too")
    check.add_argument(
        "--official",
        choices=("2023", "2024"),
        nargs="?",
        const="2024",
        help="print what OpenAI's own check script prints, in this edition (default 2024)",
    )
    add_engine_options(check)
    check.set_defaults(command=check_command)


def _add_convert(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    convert = actions.add_parser(
        "convert", help="rows of another shape to chat JSONL; exit 1 if any was left out"
    )
    convert.add_argument("file", type=Path, metavar="IN", help="JSONL, a JSON array, or CSV with a head line")
    convert.add_argument("out", type=Path, metavar="OUT", help="the chat JSONL to write")
    convert.add_argument("--from", dest="source", choices=SOURCES, required=True, help="the shape of IN")
    convert.add_argument("--json", action="store_true", help="what was done, as JSON")
    convert.set_defaults(command=convert_command)


def _add_split(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    split = actions.add_parser("split", help="hold back a validation part; near-duplicates stay on one side")
    _add_part_options(split)
    split.add_argument(
        "--valid", type=float, default=0.2, metavar="SHARE", help="to hold back (default %(default)s)"
    )
    split.add_argument("--train-out", type=Path, metavar="FILE", help="default: FILE.train.jsonl")
    split.add_argument("--valid-out", type=Path, metavar="FILE", help="default: FILE.valid.jsonl")
    split.set_defaults(command=split_command)


def _add_subset(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    subset = actions.add_parser(
        "subset", help="a share of the rows; with one seed smaller shares are part of larger ones"
    )
    _add_part_options(subset)
    subset.add_argument("--fraction", type=float, required=True, metavar="SHARE", help="such as 0.5")
    subset.add_argument("--out", type=Path, metavar="FILE", help="default: FILE.<share>.jsonl")
    subset.set_defaults(command=subset_command)


def _add_part_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="JSONL, plain or gzipped")
    parser.add_argument(
        "--family",
        metavar="KEY",
        help="rows with one value of this key stay together; it is left out of what is written (a.b: b within a)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="what was written, with digests, as JSON")


def _share(text: str) -> float:
    """A share for argparse, which tells what is wrong with it."""
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return share


def check_command(options: argparse.Namespace) -> int:
    """Check a file; the exit status says whether a job would take it."""
    from harness.serial import to_json

    if options.official:
        return _official(options)
    report = _checked(options)
    page = _page(report, options.html) if options.html else None
    if options.json:
        print(to_json(report, indent=1))
    else:
        tell_report(report, page=page)
    return 0 if report.is_fit else 1


def tell_report(report: "DatasetReport", *, page: Path | None = None) -> None:
    """The whole report on standard output, as wide as the terminal."""
    from harness.report.training_data import dataset_text

    _write(dataset_text(report, page=page, plain=not _shows_all(sys.stdout.encoding), width=_columns()))


def _checked(options: argparse.Namespace) -> "DatasetReport":
    from harness.cli.bases import chosen_base
    from harness.dataset.checking import check_file
    from harness.dataset.pricing import with_prices

    base = chosen_base(options.model)
    engine = chosen_engine(options)
    if options.suites is None and not options.run:
        # What suites and runs need takes longer to import than a small file to check.
        report = check_file(
            options.file,
            model=base.model,
            valid=options.valid,
            expected_refusals=options.expect_refusals,
            engine=engine,
        )
        return with_prices(report, base=base.price, tuned=base.tuned_price)
    from harness.cli.runs import run_folder
    from harness.evals import open_run
    from harness.vetting import check_dataset, with_coverage

    report = check_dataset(
        options.file,
        model=base.model,
        valid=options.valid,
        suites=options.suites,
        expected_refusals=options.expect_refusals,
        engine=engine,
    )
    report = with_prices(report, base=base.price, tuned=base.tuned_price)
    return with_coverage(report, open_run(run_folder(options))) if options.run else report


def _page(report: "DatasetReport", target: Path) -> Path:
    from harness.errors import StorageError
    from harness.report.data_page import render_data

    try:
        return render_data(report, to=target)
    except OSError as error:
        raise StorageError(f"{target}: {error.strerror}", remedy="choose another place") from error


def _official(options: argparse.Namespace) -> int:
    from harness.dataset import read_lines
    from harness.dataset.lines import raw_lines
    from harness.dataset.official import blank_line, official_report
    from harness.dataset.tokens import count_many
    from harness.report.training_data import official_text
    from harness.serial import to_json

    count_all = partial(count_many, encoding=OFFICIAL_ENCODING)
    blank = blank_line(raw_lines(options.file))
    report = official_report(read_lines(options.file), count_all, edition=options.official, blank=blank)
    if options.json:
        print(to_json(report, indent=1))
    else:
        _write(official_text(report))
    return 1 if report.errors or report.stopped else 0


def convert_command(options: argparse.Namespace) -> int:
    """Write the chat rows, and say what has no place in them and what was left out."""
    from harness.cli import printable
    from harness.dataset.convert import convert_file
    from harness.dataset.findings import counted
    from harness.serial import to_json

    done = convert_file(options.file, options.out, source=options.source, progress=bytes_done("converting"))
    if options.json:
        print(to_json(done, indent=1))
    else:
        print(f"{printable(str(options.out))}: {done.written:,} of {counted(done.rows, 'row')} written")
        for key, count in done.dropped.items():
            print(printable(f"no place in a chat row: {key} ({counted(count, 'row')})"))
        for problem in done.problems[:SHOWN_PROBLEMS]:
            print(printable(f"left out: {options.file}:{problem.line}: {problem.what}"))
        if done.left_out > SHOWN_PROBLEMS:
            more = counted(done.left_out - SHOWN_PROBLEMS, "more row", "more rows")
            print(f"... and {more} left out")
    return 1 if done.left_out else 0


def split_command(options: argparse.Namespace) -> int:
    """Write both parts."""
    from harness.dataset.partition import Choice, split_file

    train = options.train_out or _beside(options.file, "train")
    valid = options.valid_out or _beside(options.file, "valid")
    done = split_file(
        options.file,
        train=train,
        valid=valid,
        choice=Choice(fraction=options.valid, seed=options.seed, family=options.family),
        progress=bytes_done("reading"),
    )
    return _tell_parts(done, options)


def subset_command(options: argparse.Namespace) -> int:
    """Write the share."""
    from harness.dataset.partition import Choice, subset_file

    target = options.out or _beside(options.file, f"{options.fraction:g}")
    done = subset_file(
        options.file,
        target=target,
        choice=Choice(fraction=options.fraction, seed=options.seed, family=options.family),
        progress=bytes_done("reading"),
    )
    return _tell_parts(done, options)


def _beside(file: Path, part: str) -> Path:
    """A file's part, `train.jsonl` or `train.jsonl.gz` becoming `train.<part>.jsonl`."""
    stem = file.name.removesuffix(".gz").removesuffix(".jsonl")
    return file.with_name(f"{stem}.{part}.jsonl")


def _tell_parts(done: "Partition", options: argparse.Namespace) -> int:
    from harness.cli import printable
    from harness.dataset.findings import counted
    from harness.serial import to_json

    if options.json:
        print(to_json(done, indent=1))
        return 0
    for part in done.parts:
        print(
            f"{printable(str(part.path))}: {part.rows:,} of {counted(done.rows, 'row')}, sha256 {part.digest[:16]}"
        )
    if done.together:
        staying = counted(done.together, "row stays", "rows stay")
        print(f"{staying} with another: nearly the same question, one conversation or one family")
    if done.lone:
        lacking = counted(done.lone, "row has", "rows have")
        print(f"{lacking} no {done.family}: each is a family of its own")
    return 0


def _columns() -> int:
    """A terminal's columns; elsewhere always as many, so that a report that is kept is the same everywhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else KEPT_COLUMNS


def _shows_all(encoding: str | None) -> bool:
    """Whether a terminal of this encoding has every character."""
    return (encoding or "").lower().replace("-", "").startswith("utf")


_CODES = {"green": "32", "red": "31", "yellow": "33"}


def _write(lines: "Iterable[Line]") -> None:
    """Lines on standard output, in colour where a person looks on."""
    from harness.cli import printable

    coloured = sys.stdout.isatty()
    for line in lines:
        text = printable(line.text)
        codes = [_CODES[line.colour]] if line.colour else []
        codes += ["1"] if line.bold else []
        print(f"\033[{';'.join(codes)}m{text}\033[0m" if coloured and codes else text)
