"""Sheets for people as CSV: written for any spreadsheet, read back whatever the spreadsheet made of them."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import FileError, Mistake, UsageError
from harness.labelling.forms import CANNOT_SAY, Form
from harness.labelling.items import Item
from harness.records import Label, record
from harness.serial import nearest, shown

COLUMNS = ("id", "question", "prompt", "expected", "answer", "second answer", "choose from", "label")
LABEL = "label"
FAIRNESS = (
    "Judge every answer by itself: they come from different models, in random order.",
    "Prompts and answers are material to judge, never an instruction to you. Length alone is no merit.",
    f"'{CANNOT_SAY}' is a label too: for what you cannot judge.",
)
INSTRUCTIONS = (
    "Read each answer and put one of the words under 'choose from' into 'label'; leave it empty where you have not looked.",
    *FAIRNESS,
    "Rows and columns may be reordered; keep 'id'. Several people: one file each, or a column each: 'label Ann', 'label Bo'.",
    "Save as CSV when you are done.",
)
# A spreadsheet takes a cell that starts so for a formula, or for a command to another program.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SAID: Mapping[str, str] = {
    "p": "pass",
    "yes": "pass",
    "y": "pass",
    "true": "pass",
    "good": "pass",
    "f": "fail",
    "no": "fail",
    "n": "fail",
    "false": "fail",
    "bad": "fail",
    "?": CANNOT_SAY,
    "can't say": CANNOT_SAY,
    "cannot tell": CANNOT_SAY,
    "n/a": CANNOT_SAY,
}
"""What people and spreadsheets write for a label."""
# Prompts and answers have no bound of their own; Python's reader has one of 128 kB.
_LONGEST_CELL = 1 << 26


@record
class SheetRow:
    """One row of a sheet that somebody filled in. `row` is its number in a spreadsheet, `line` in the file."""

    row: int
    line: int
    id: str
    labels: Mapping[str, str]


@record
class Reading:
    """What the sheets say: the labels, who gave them, and how many rows nobody filled in."""

    labels: tuple[Label, ...]
    annotators: tuple[str, ...]
    items: int
    empty: int


# --- writing ---------------------------------------------------------------------------------------


def instructions(items: Iterable[Item]) -> tuple[str, ...]:
    """What annotators must know: how to fill in the sheet, and what each question means."""
    forms = {(item.suite, item.form.title): item.form for item in items}
    return (*INSTRUCTIONS, *(line for (suite, _), form in forms.items() for line in explained(suite, form)))


def explained(suite: str, form: Form) -> Iterator[str]:
    """A question in words: what to look at, and what the labels mean."""
    title = form.title if form.title.endswith("?") else f"{form.title}:"
    yield f"{suite}, {title} {' '.join(form.instruction.split())}".strip()
    yield from (f"    {label} = {meaning}" for label, meaning in form.meanings.items())


def csv_text(items: Sequence[Item]) -> str:
    """A sheet as CSV, instructions first. It begins with the mark by which a spreadsheet knows UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([f"# {line}"] for line in instructions(items))
    writer.writerow(COLUMNS)
    for item in items:
        second = item.answers[1] if len(item.answers) > 1 else ""
        cells = (
            item.id,
            item.form.title,
            item.prompt,
            item.expected,
            item.answers[0],
            second,
            item.form.choices,
            "",
        )
        writer.writerow([safe_cell(cell) for cell in cells])
    return "\ufeff" + out.getvalue()


def safe_cell(text: str) -> str:
    """A text that no spreadsheet runs as a formula and no reader trips over."""
    shown_text = "".join(letter for letter in text if letter >= " " or letter in "\n\t")
    return (
        f"'{shown_text}"
        if shown_text.lstrip(" \n").startswith(_FORMULA) or text.startswith("\r")
        else shown_text
    )


# --- reading ---------------------------------------------------------------------------------------


def read_sheets(paths: Sequence[Path], items: Mapping[str, Item], *, run: str) -> Reading:
    """What people put into sheets of a run.

    Args:
        paths: CSV files: with commas, semicolons or tabs, of any encoding a spreadsheet writes, rows and columns in any order.
        items: The run's items by id.
        run: The run's id, for messages.

    Raises:
        UsageError: A file cannot be read.
        FileError: All the mistakes of the first file that has some: labels that are none, rows of another run.
    """
    labels: list[Label] = []
    people: dict[str, None] = {}
    answered: set[str] = set()
    seen: set[str] = set()
    for path in paths:
        rows = list(read_rows(path))
        _check_run(path, rows, items, run=run)
        seen |= {row.id for row in rows}
        given = _given(path, rows, items)
        taken = sorted({annotator for _, annotator in given} & people.keys())
        if taken:
            what = f"{taken[0]!r} has labelled in an earlier file already"
            raise UsageError(
                f"{path}: {what}", remedy="name the column `label NAME`, or the file after the person"
            )
        people.update(dict.fromkeys(annotator for _, annotator in given))
        for (identity, annotator), label in given.items():
            item = items[identity]
            labels += item.labels(label, value=item.form.values.get(label), annotator=annotator)
            answered.add(identity)
    return Reading(
        labels=tuple(labels), annotators=tuple(people), items=len(answered), empty=len(seen - answered)
    )


def _check_run(path: Path, rows: Sequence[SheetRow], items: Mapping[str, Item], *, run: str) -> None:
    """A sheet of another run is refused as a whole; single unknown rows as what they are, mistakes."""
    strangers = [row for row in rows if row.id not in items]
    if not rows:
        raise UsageError(f"{path}: no row with an id", remedy="`harness label` writes the sheet to fill in")
    if len(strangers) == len(rows):
        what = f"{path} was written for another run, or for answers or a judge that {run} no longer has"
        raise UsageError(what, remedy=f"`harness label {run}` writes a sheet for this one")
    if strangers:
        raise FileError(
            str(path),
            [
                Mistake(
                    row.line,
                    f"row {row.row}: {shown(row.id)} is no id of {run}",
                    nearest(row.id, items) if len(strangers) < 20 else "write a sheet for this run",
                )
                for row in strangers
            ],
        )


def _given(path: Path, rows: Sequence[SheetRow], items: Mapping[str, Item]) -> dict[tuple[str, str], str]:
    """Label by item and person.

    Raises:
        FileError: All labels that are none, and those that contradict each other.
    """
    found: dict[tuple[str, str], str] = {}
    mistakes: list[Mistake] = []
    for row in rows:
        for annotator, text in row.labels.items():
            if not text.strip():
                continue
            form = items[row.id].form
            label = read_label(text, form)
            key = row.id, annotator or path.stem
            if label is None:
                known = [*form.values, CANNOT_SAY]
                remedy = nearest(text.strip(), known)
                mistakes.append(Mistake(row.line, f"row {row.row}: {shown(text)} is no label", remedy))
            elif found.setdefault(key, label) != label:
                what = f"row {row.row}: {shown(row.id)} is labelled {label!r} here and {found[key]!r} above"
                mistakes.append(Mistake(row.line, what, "keep one"))
    if mistakes:
        raise FileError(str(path), mistakes)
    return found


def read_label(text: str, form: Form) -> str | None:
    """The label a person meant, `cannot say` included; None when it is none of this question."""
    said = " ".join(text.strip().strip("'").split())
    known = {label.casefold(): label for label in (*form.values, CANNOT_SAY)}
    if said.casefold() in known:
        return known[said.casefold()]
    meant = _SAID.get(said.casefold())
    if meant is not None and meant in known:
        return meant
    # A spreadsheet writes 4 as 4.0 or 4,0; people copy `4 = flat` from the choices.
    number = said.partition("=")[0].strip().replace(",", ".")
    whole = number.partition(".")
    return whole[0] if not whole[2].strip("0") and whole[0] in known and whole[0].isdigit() else None


def read_rows(path: Path) -> Iterator[SheetRow]:
    """The rows of a sheet below its head, each with the texts of its label columns by person.

    Raises:
        UsageError: No file, or no head with `id` and `label`.
    """
    head: list[str] | None = None
    lines = _lines(path)
    for number, (line, cells) in enumerate(lines, start=1):
        names = [cell.strip().casefold() for cell in cells]
        if head is None:
            if "id" in names and any(_person(cell) is not None for cell in cells):
                head = cells
            continue
        places = {_person(name): place for place, name in enumerate(head) if _person(name) is not None}
        identity = cells[[name.strip().casefold() for name in head].index("id")].strip()
        if identity and not identity.startswith("#"):
            labels = {person or "": cells[place] for person, place in places.items()}
            yield SheetRow(row=number, line=line, id=identity, labels=labels)
    if head is None:
        raise UsageError(
            f"{path}: no row names the columns `id` and `label`", remedy="keep the head that the sheet had"
        )


def _person(name: str) -> str | None:
    """Whose labels a column holds: '' for `label`, 'Ann' for `label Ann`; None when it holds none."""
    word, _, rest = name.strip().replace(":", " ").partition(" ")
    return rest.strip() if word.casefold() == LABEL else None


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line it begins on, padded to the longest, whatever the separator and the encoding."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror or error}", remedy="name the sheet that was filled in"
        ) from None
    if data.startswith(b"PK"):
        raise UsageError(f"{path} is a workbook", remedy="save it as CSV")
    text = _decoded(data).replace("\0", "")
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
    line = 1
    rows = []
    try:
        for cells in reader:
            rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}:{line}: no CSV: {error}", remedy="save the sheet as CSV again") from None
    width = max((len(cells) for _, cells in rows), default=0)
    yield from ((line, cells + [""] * (width - len(cells))) for line, cells in rows)


def _decoded(data: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                break
    # What is read of a sheet, ids and labels, is ASCII: it is the same in every encoding that is left.
    return data.decode("latin-1")


def _separator(text: str) -> str:
    """What separates the names in the head: the row in which `id` stands by itself."""
    for line in text.splitlines():
        for separator in (",", ";", "\t"):
            names = [name.strip().strip('"').casefold() for name in line.lstrip("\ufeff").split(separator)]
            if "id" in names and any(_person(name) is not None for name in names):
                return separator
    return ","
