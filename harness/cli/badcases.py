"""`harness badcases`: a run's failing cases with what training taught of them, and the start of new training rows."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import printable
from harness.cli.runs import add_run_options, run_folder
from harness.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.records import Run
    from harness.vetting.badcases import BadCase, BadCases
    from harness.vetting.contamination import Checked

NEIGHBOURS = 3
SIBLINGS = 2
# Cases a terminal is shown; `--json` and the sheet have all.
SHOWN_CASES = 20
SHOWN_REPEATS = 50
SHOWN_CHARACTERS = 160
_WORDS = {
    "gap": "GAP",
    "conflict": "CONFLICT",
    "taught": "TAUGHT, NOT LEARNED",
    "unclear": "UNCLEAR",
    "unknown": "no training file",
}
_LIKENESS = {
    "equal": "is {}",
    "holds": "holds {}, or most of it",
    "near": "is nearly {}",
    "reworded": "is {} in other words, with its answer",
}


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `badcases`."""
    parser = commands.add_parser(
        "badcases",
        help="a run's failing cases with the nearest training rows, as the start of new training data",
    )
    parser.set_defaults(command=badcases_command)
    add_run_options(parser)
    does = parser.add_mutually_exclusive_group(required=True)
    does.add_argument(
        "--out", type=Path, metavar="F", help="rows to be written (.jsonl), with a sheet beside it (.md)"
    )
    does.add_argument(
        "--check",
        type=Path,
        metavar="F",
        help="rows that were written: is any of them a case of the run's suites?",
    )
    parser.add_argument(
        "--train",
        type=Path,
        metavar="FILE",
        help="what the candidate was trained on (default: the configured file)",
    )
    parser.add_argument(
        "--neighbours",
        type=int,
        default=NEIGHBOURS,
        metavar="N",
        help="training rows shown of a case (default: %(default)s)",
    )
    parser.add_argument(
        "--siblings",
        type=int,
        default=SIBLINGS,
        metavar="N",
        help="rows to be written for a case (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="write over files that are there")
    parser.add_argument("--json", action="store_true", help="as JSON")


def badcases_command(options: argparse.Namespace) -> int:
    """Write the skeleton and its sheet, or check rows that were written."""
    from harness.evals import open_run

    run = open_run(run_folder(options))
    return _check(options, run) if options.check else _start(options, run)


def _start(options: argparse.Namespace, run: "Run") -> int:
    from harness.serial import to_json
    from harness.vetting.badcases import find_bad_cases, training_file

    targets = _targets(options)
    train, notes = training_file(run, given=options.train, configured=_configured())
    if train is not None and train.resolve() == targets[0].resolve():
        raise UsageError(f"{train} would be written over", remedy="name another file with --out")
    found = find_bad_cases(run, train=train, notes=notes)
    if found.cases:
        _write(found, run, targets, each=options.siblings)
    if options.json:
        print(to_json(found, indent=1))
        return 0
    for line in _told(found, options.neighbours):
        print(printable(line))
    if found.cases:
        rows = len(found.cases) * options.siblings
        print(
            f"\n{printable(str(targets[0]))}: {rows:,} rows to be written; what each is for: {printable(str(targets[1]))}"
        )
        print(
            "write siblings of the cases, never the cases themselves: the suites would judge what was learned by heart"
        )
        print(printable(f"then: harness badcases {options.run} --check {targets[0]}"))
    return 0


def _targets(options: argparse.Namespace) -> tuple[Path, Path]:
    """The skeleton and its sheet; nothing that is there is written over."""
    out: Path = options.out
    if out.suffix != ".jsonl":
        raise UsageError(f"{out}: rows are JSON lines", remedy="name a file that ends in .jsonl")
    for name, least in (("neighbours", 0), ("siblings", 1)):
        if getattr(options, name) < least:
            raise UsageError(f"--{name} is {getattr(options, name)}", remedy=f"give at least {least}")
    targets = out, out.with_suffix(".md")
    there = [target for target in targets if target.exists()]
    if there and not options.force:
        remedy = "it may hold rows that were written: name another file, or write over it with --force"
        raise UsageError(f"{there[0]} is there already", remedy=remedy)
    return targets


def _configured() -> Path | None:
    from harness.config import project_root, read_settings

    settings = read_settings(project_root(Path.cwd()))
    return settings.path(settings.train) if settings.train is not None else None


def _write(found: "BadCases", run: "Run", targets: tuple[Path, Path], *, each: int) -> None:
    from harness.serial import write_atomic
    from harness.vetting.siblings import sheet, siblings_of

    siblings = siblings_of(found, run, each=each)
    texts = (
        "".join(f"{sibling.row}\n" for sibling in siblings),
        sheet(siblings, found, skeleton=targets[0].name),
    )
    for target, text in zip(targets, texts, strict=True):
        try:
            write_atomic(target, text)
        except OSError as error:
            raise StorageError(
                f"{target}: {error.strerror}", remedy="choose another place with --out"
            ) from error


def _told(found: "BadCases", neighbours: int) -> "Iterator[str]":
    counts = {word: sum(case.reading == word for case in found.cases) for word in _WORDS}
    told = ", ".join(f"{count:,} {_WORDS[word]}" for word, count in counts.items() if count)
    yield f"{found.run}: {len(found.cases):,} of {found.compared:,} cases fail" + (
        f": {told}" if told else ""
    )
    if found.unanswered:
        yield f"{found.unanswered:,} more have no answer of the candidate: the endpoint's fault, not training's"
    yield from (f"note: {note}" for note in found.notes)
    if found.train:
        yield f"training rows: {found.train}"
    for case in found.cases[:SHOWN_CASES]:
        yield ""
        yield from _case(case, neighbours)
    if len(found.cases) > SHOWN_CASES:
        yield f"\n... and {len(found.cases) - SHOWN_CASES:,} more: the sheet and --json have all"


def _case(case: "BadCase", neighbours: int) -> "Iterator[str]":
    from harness.vetting.siblings import expected_text

    marks = [case.change or "no reference", *(["required"] if case.required else [])]
    marks += [f"fails the gate on {gate}" for gate in case.gates]
    yield f"{case.suite}: {case.case} ({', '.join(marks)})"
    yield f"  asked     {_short(case.prompt)}"
    yield f"  answered  {_short(case.answer)}"
    if case.expected is not None:
        yield f"  expected  {_short(expected_text(case.expected))}"
    yield from (f"  {name}: {_short(reason)}" for name, reason in case.reasons.items())
    if case.why:
        yield f"  {_WORDS[case.reading]}: {case.why}"
    for row in case.rows[:neighbours]:
        yield f"    line {row.line} ({row.similarity:.2f}): {_short(row.prompt)} -> {_short(row.answer)}"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN_CHARACTERS else f"{flat[:SHOWN_CHARACTERS]}…"


def _check(options: argparse.Namespace, run: "Run") -> int:
    from harness.serial import to_json
    from harness.vetting.contamination import check_rows

    checked = check_rows(options.check, run.manifest.suites)
    if options.json:
        print(to_json(checked, indent=1))
    else:
        for line in _told_check(checked):
            print(printable(line))
    return 0 if checked.is_clean else 1


def _name(suite: str, case: str) -> str:
    return f"the case {suite}: {case}"


def _told_check(checked: "Checked") -> "Iterator[str]":
    lines = [f"{checked.path}:{one.line}: {one.what}, {one.remedy}" for one in checked.unfit]
    lines += [
        f"{checked.path}:{one.line}: {_LIKENESS[one.likeness].format(_name(one.suite, one.case))}, write about another matter"
        for one in checked.repeats
    ]
    yield from lines[:SHOWN_REPEATS]
    if len(lines) > SHOWN_REPEATS:
        yield f"... and {len(lines) - SHOWN_REPEATS:,} more"
    bad = {one.line for one in checked.unfit} | {one.line for one in checked.repeats}
    if not checked.rows:
        yield f"{checked.path}: no rows"
    elif bad:
        yield f"{checked.path}: {len(bad):,} of {checked.rows:,} rows must not be trained on"
    else:
        yield f"{checked.path}: none of {checked.rows:,} rows is a case of the run's suites"
