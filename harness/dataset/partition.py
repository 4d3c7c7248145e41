"""Files of some of a file's rows: a validation part held back, or a share to train on. Lines are copied byte for byte.

Rows that ask nearly the same, or are of one conversation or family, stay on one side, so that validation asks nothing that
was trained on; every kind of row has its share on both sides. A kind is the system prompt and the answer, where answers are labels, else the answer's length.
"""

from array import array
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.dataset.engines.parts import plain
from harness.dataset.examples import answer_of, example_of, line_mistakes, prompt_of, system_of
from harness.dataset.families import Families, joined, name_of, value_at
from harness.dataset.lines import Line, Progress, RawLine, Rereader, parsed, raw_lines, read_lines
from harness.dataset.near_duplicates import Sketches
from harness.dataset.quality.templates import groups_of_own_words
from harness.dataset.shapes import form_of
from harness.dataset.splitting import Placed, share_of
from harness.dataset.writing import row_text, written_files
from harness.errors import DatasetError, Mistake, StorageError, UsageError
from harness.records import Json, record
from harness.serial import file_digest, nearest

# Keys a family may be told by that are part of the row all the same.
_OWN_KEYS = ("messages", "input", "prompt")
# Answers are labels when at most this share of them are different, and none is longer.
LABEL_SHARE = 0.1
LONGEST_LABEL = 60


@record
class Part:
    """A written file: its rows, and the SHA-256 of its bytes."""

    path: Path
    rows: int
    digest: str


@record
class Choice:
    """Which rows are chosen: about `fraction` (between 0 and 1) of them, by `seed`; 1 is all of them, for a subset.

    `family` names a key of the rows, or a path of keys with dots between them: rows with one value of it stay together. What
    a job would refuse of it is left out of what is written.
    """

    fraction: float
    seed: int
    family: str | None = None


@record
class Partition:
    """What was written of a file, and by which choice.

    `together` rows were kept with others: they ask nearly the same, are of one conversation or of one family. `lone` rows have
    no family where others have.
    """

    source: Path
    digest: str
    seed: int
    family: str | None
    rows: int
    together: int
    lone: int
    parts: tuple[Part, ...]


def split_file(
    path: Path, *, train: Path, valid: Path, choice: Choice, progress: Progress | None = None
) -> Partition:
    """Write `valid` with the chosen rows, and `train` with all others.

    Raises:
        DatasetError: Rows are no examples; all of them are named.
        UsageError: The file cannot be read, the fraction is out of range, no row has the family's key, or a target is the
            file itself or the other target.
        StorageError: A target cannot be written; neither is then changed.
    """
    targets = (train, valid)
    _refuse_share(choice.fraction, whole=False)
    _refuse_loss(path, targets)
    with plain(path, progress=progress) as file:
        rows = _read(path, file, choice, progress)
        chosen = set(share_of(rows.placed, fraction=choice.fraction, seed=choice.seed))
        sides = [valid if index in chosen else train for index in range(len(rows.placed))]
        return _written(path, file, sides, targets, rows=rows, choice=choice)


def subset_file(path: Path, *, target: Path, choice: Choice, progress: Progress | None = None) -> Partition:
    """Write `target` with the chosen rows; with the same seed a smaller share is part of a larger one.

    Raises:
        DatasetError, UsageError, StorageError: As `split_file`.
    """
    _refuse_share(choice.fraction, whole=True)
    _refuse_loss(path, (target,))
    with plain(path, progress=progress) as file:
        rows = _read(path, file, choice, progress)
        chosen = set(share_of(rows.placed, fraction=choice.fraction, seed=choice.seed))
        sides = [target if index in chosen else None for index in range(len(rows.placed))]
        return _written(path, file, sides, (target,), rows=rows, choice=choice)


def _refuse_share(fraction: float, *, whole: bool) -> None:
    if not (0 < fraction < 1 or (whole and fraction == 1)):
        raise UsageError(f"a share of {fraction}", remedy="give a number between 0 and 1, such as 0.2")


def _refuse_loss(path: Path, targets: Sequence[Path]) -> None:
    """Nothing is written over that is still needed."""
    resolved = [target.resolve() for target in targets]
    if path.resolve() in resolved:
        raise UsageError(f"{path} would be written over", remedy="give the part another name")
    if len(set(resolved)) < len(resolved):
        raise UsageError(f"{targets[0]} would be written twice", remedy="give each part a name of its own")


@record
class _Rows:
    """A file's rows for the splitter, and how many of them are in a group with others, or lack a family."""

    placed: Sequence[Placed]
    together: int
    lone: int


def _read(path: Path, file: Path, choice: Choice, progress: Progress | None) -> _Rows:
    """The rows of `file`, which is `path` unpacked."""
    sketches, families = Sketches(), Families()
    starts, answers, systems = array("Q"), list[str](), array("q")
    mistakes: list[Mistake] = []
    known: set[str] = set()
    lone = rows = 0
    for line in read_lines(file, progress=progress):
        rows += 1
        family = _family(line, choice.family)
        lone += family is None
        known.update(line.row if isinstance(line.row, Mapping) else ())
        told = line if choice.family is None else replace(line, row=_without(line.row, choice.family))
        if found := line_mistakes(path, told):
            mistakes += found
            continue
        example = example_of(line.number, told.row)
        sketches.add(prompt_of(example))
        families.add(example, family=family)
        starts.append(line.start)
        systems.append(hash(system_of(example)))
        answers.append(_kept(answer_of(example) or ""))
    if choice.family is not None and lone == rows > 0:
        raise UsageError(f"{path}: no row has {choice.family!r}", remedy=nearest(choice.family, known))
    if mistakes or not starts:
        raise DatasetError(str(path), mistakes or [Mistake(1, "no examples", "write one JSON object a line")])
    leader = joined((*_near(file, sketches, starts), *families.groups()))
    kinds = _kinds(answers)
    placed = [
        Placed(group=leader.get(index, index), stratum=(systems[index], kinds[index]))
        for index in range(len(starts))
    ]
    return _Rows(placed=placed, together=len(leader), lone=lone if choice.family else 0)


def _family(line: Line, path: str | None) -> str | None:
    if path is None or line.fault or not isinstance(line.row, Mapping):
        return None
    return name_of(value_at(line.row, path))


def _without(row: Json, path: str) -> Json:
    """A row without the key that tells its family, but for a graded prompt, which may have any."""
    if not isinstance(row, Mapping):
        return row
    top = path if path in row else path.split(".", maxsplit=1)[0]
    rest = {key: value for key, value in row.items() if key != top}
    return row if top in _OWN_KEYS or form_of(rest) == "reinforcement" else rest


def _kept(answer: str) -> str:
    """An answer if it may be a label; of a longer one only the order of its length."""
    return answer.strip() if len(answer) <= LONGEST_LABEL else "\0" * len(answer).bit_length()


def _near(path: Path, sketches: Sketches, starts: Sequence[int]) -> list[list[int]]:
    """Groups of rows that ask nearly the same."""
    rereader = Rereader(path)

    def prompt(index: int) -> str:
        return prompt_of(example_of(0, rereader.at(starts[index]).row))

    try:
        return [*groups_of_own_words(sketches, prompt)]
    finally:
        rereader.close()


def _kinds(answers: Sequence[str]) -> Sequence[Hashable]:
    if len(Counter(answers)) <= max(2, LABEL_SHARE * len(answers)):
        return answers
    return [len(answer).bit_length() for answer in answers]


def _written(
    path: Path,
    file: Path,
    sides: Sequence[Path | None],
    targets: Sequence[Path],
    *,
    rows: _Rows,
    choice: Choice,
) -> Partition:
    try:
        with written_files(targets) as files:
            lines = (raw for raw in raw_lines(file) if raw.text)
            for raw, side in zip(lines, sides, strict=True):
                if side is not None:
                    files[side].write(_copied(raw, choice.family) + b"\n")
    except OSError as error:
        raise StorageError(f"{error.filename}: {error.strerror}", remedy="choose another place") from error
    return Partition(
        source=path,
        digest=file_digest(path),
        seed=choice.seed,
        family=choice.family,
        rows=len(sides),
        together=rows.together,
        lone=rows.lone,
        parts=tuple(
            Part(path=target, rows=sum(side == target for side in sides), digest=file_digest(target))
            for target in targets
        ),
    )


def _copied(raw: RawLine, family: str | None) -> bytes:
    """A line as it stands, but for what tells its family."""
    row = parsed(raw).row if family is not None else None
    if family is None or not isinstance(row, Mapping):
        return raw.text
    rest = _without(row, family)
    return raw.text if rest is row or not isinstance(rest, Mapping) else row_text(rest).encode()
