"""Files of some of a file's rows: a validation part held back, or a share to train on. Lines are copied byte for byte.

Rows that ask nearly the same stay on one side, so that validation asks nothing that was trained on; every kind of row has its share
on both sides. A kind is the system prompt and the answer, where answers are labels, else the answer's length.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path

from harness.dataset.examples import answer_of, example_of, line_mistakes, prompt_of, system_of
from harness.dataset.lines import Progress, Rereader, raw_lines, read_lines
from harness.dataset.near_duplicates import Sketches
from harness.dataset.splitting import Placed, share_of
from harness.dataset.writing import written_files
from harness.errors import DatasetError, Mistake, StorageError, UsageError
from harness.records import record
from harness.serial import file_digest

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
class Partition:
    """What was written of a file, by which seed; `together` rows were kept with others that ask nearly the same."""

    source: Path
    digest: str
    seed: int
    rows: int
    together: int
    parts: tuple[Part, ...]


def split_file(
    path: Path, *, train: Path, valid: Path, fraction: float, seed: int, progress: Progress | None = None
) -> Partition:
    """Write `valid` with about `fraction` (between 0 and 1) of the rows, and `train` with all others.

    Raises:
        DatasetError: Rows are no examples; all of them are named.
        UsageError: The file cannot be read, the fraction is out of range, or a target is the file itself.
        StorageError: A target cannot be written; neither is then changed.
    """
    placed, together = _placed(path, fraction, progress)
    chosen = set(share_of(placed, fraction=fraction, seed=seed))
    sides = [valid if index in chosen else train for index in range(len(placed))]
    return _written(path, sides, (train, valid), seed=seed, together=together)


def subset_file(
    path: Path, *, target: Path, fraction: float, seed: int, progress: Progress | None = None
) -> Partition:
    """Write `target` with about `fraction` of the rows; with the same seed a smaller one is part of it.

    Raises:
        DatasetError, UsageError, StorageError: As `split_file`.
    """
    placed, together = _placed(path, fraction, progress)
    chosen = set(share_of(placed, fraction=fraction, seed=seed))
    sides = [target if index in chosen else None for index in range(len(placed))]
    return _written(path, sides, (target,), seed=seed, together=together)


def _placed(path: Path, fraction: float, progress: Progress | None) -> tuple[list[Placed], int]:
    """The rows for the splitter, and how many of them are in a group with others."""
    if not 0 < fraction < 1:
        raise UsageError(
            f"a share of {fraction:g} of {path}", remedy="give a fraction between 0 and 1, such as 0.2"
        )
    sketches = Sketches()
    starts: list[int] = []
    systems: list[Hashable] = []
    answers: list[str] = []
    mistakes: list[Mistake] = []
    for line in read_lines(path, progress=progress):
        if found := line_mistakes(path, line):
            mistakes += found
            continue
        example = example_of(line.number, line.row)
        sketches.add(prompt_of(example))
        starts.append(line.start)
        systems.append(hash(system_of(example)))
        answers.append(_kept(answer_of(example) or ""))
    if mistakes or not starts:
        raise DatasetError(str(path), mistakes or [Mistake(1, "no examples", "write one JSON object a line")])
    group_of = _groups(path, sketches, starts)
    kinds = _kinds(answers)
    placed = [
        Placed(group=group_of.get(index, index), stratum=(systems[index], kinds[index]))
        for index in range(len(starts))
    ]
    return placed, len(group_of)


def _kept(answer: str) -> str:
    """An answer if it may be a label; of a longer one only the order of its length."""
    return answer.strip() if len(answer) <= LONGEST_LABEL else "\0" * len(answer).bit_length()


def _groups(path: Path, sketches: Sketches, starts: Sequence[int]) -> dict[int, int]:
    """The leader of every row that has company."""
    rereader = Rereader(path)

    def prompt(index: int) -> str:
        return prompt_of(example_of(0, rereader.at(starts[index]).row))

    try:
        return {member: group[0] for group in sketches.groups(prompt) for member in group}
    finally:
        rereader.close()


def _kinds(answers: Sequence[str]) -> Sequence[Hashable]:
    if len(Counter(answers)) <= max(2, LABEL_SHARE * len(answers)):
        return answers
    return [len(answer).bit_length() for answer in answers]


def _written(
    path: Path, sides: Sequence[Path | None], targets: Sequence[Path], *, seed: int, together: int
) -> Partition:
    if path.resolve() in [target.resolve() for target in targets]:
        raise UsageError(f"{path} would be written over", remedy="give the part another name")
    try:
        with written_files(targets) as files:
            lines = (raw.text for raw in raw_lines(path) if raw.text)
            for text, side in zip(lines, sides, strict=True):
                if side is not None:
                    files[side].write(text + b"\n")
    except OSError as error:
        raise StorageError(f"{error.filename}: {error.strerror}", remedy="choose another place") from error
    return Partition(
        source=path,
        digest=file_digest(path),
        seed=seed,
        rows=len(sides),
        together=together,
        parts=tuple(
            Part(path=target, rows=sum(side == target for side in sides), digest=file_digest(target))
            for target in targets
        ),
    )
