"""Nested shares of a training file: each a file of its own, smaller ones part of larger ones."""

import itertools
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from harness.dataset.lines import Progress
from harness.dataset.partition import Choice, subset_file
from harness.errors import StorageError, UsageError
from harness.records import record

_FRACTION = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)(?:/(\d+))?\s*")


@record
class Share:
    """A share of a training file by one seed: its file with so many rows, and the SHA-256 of its bytes."""

    fraction: Fraction
    seed: int
    file: Path
    rows: int
    digest: str

    @property
    def name(self) -> str:
        """Of the arm that trains on it: `1-4-0` is a quarter, seed 0."""
        return f"{self.fraction.numerator}-{self.fraction.denominator}-{self.seed}"


def read_fractions(text: str) -> tuple[Fraction, ...]:
    """Shares as typed, `1/4,1/2,1` or `.25, .5, 1`, the smallest first.

    Raises:
        UsageError: One is no share, or there are fewer than two.
    """
    found = [_fraction(part) for part in text.split(",")]
    if len(set(found)) < max(2, len(found)):
        raise UsageError(f"--fractions {text}", remedy="give two or more different shares, such as 1/4,1/2,1")
    return tuple(sorted(found))


def _fraction(text: str) -> Fraction:
    typed = _FRACTION.fullmatch(text)
    below = int(typed[2]) if typed and typed[2] else 1
    share = Fraction(typed[1]) / below if typed and below else Fraction(0)
    if not 0 < share <= 1:
        raise UsageError(f"{text.strip()!r} is no share of a file", remedy="give 1/4, .25 or 1")
    return share


def cut_shares(
    train: Path,
    *,
    fractions: Sequence[Fraction],
    seeds: Sequence[int],
    family: str | None,
    folder: Path,
    progress: Progress | None = None,
) -> tuple[Share, ...]:
    """Write each share by each seed into a folder; the same file, shares and seeds give the same bytes.

    Rows that ask nearly the same, or are of one conversation or of one `family` (a key of the rows), stay together, so that
    a share is at most half of such a group away from its fraction.

    Raises:
        DatasetError: Rows are no examples.
        UsageError: The file cannot be read, or two shares come out the same: it has too few rows or groups of them.
        StorageError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be made: {error.strerror or error}", remedy="see that it can be written"
        ) from None
    shares = [
        _cut(train, fraction, seed, family=family, folder=folder, progress=progress)
        for seed in seeds
        for fraction in fractions
    ]
    for smaller, larger in itertools.pairwise(shares):
        if smaller.seed == larger.seed and smaller.rows == larger.rows:
            raise UsageError(
                f"{smaller.fraction} and {larger.fraction} of {train} are the same {larger.rows} rows",
                remedy="it has too few groups of rows for these shares: leave one out",
            )
    return tuple(shares)


def _cut(
    train: Path, fraction: Fraction, seed: int, *, family: str | None, folder: Path, progress: Progress | None
) -> Share:
    # A provider shows the name; the stem tells arms apart in its list of files.
    target = folder / f"share-{fraction.numerator}-{fraction.denominator}-seed-{seed}.jsonl"
    done = subset_file(
        train,
        target=target,
        choice=Choice(fraction=float(fraction), seed=seed, family=family),
        progress=progress,
    )
    part = done.parts[0]
    return Share(fraction=fraction, seed=seed, file=target, rows=part.rows, digest=part.digest)
