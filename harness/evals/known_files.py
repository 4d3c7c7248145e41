"""Files that scorers judge by: found and digested when the suite is loaded."""

from collections.abc import Iterator
from pathlib import Path

from harness.dataset import read_lines
from harness.errors import HarnessError
from harness.evals.digests import code_digest
from harness.protocols import AnyScorer, FileScorer
from harness.records import Json, ScorerSpec
from harness.serial import (
    ParseError,
    Problem,
    digest,
    file_digest,
    has_unfit_letter,
    remedy_of_path,
    shown,
)


def known_digest(spec: ScorerSpec, scorer: AnyScorer, *, suite: Path) -> str:
    """The digest of what decides beside an entry's settings: its own code, and the file it judges by.

    Raises:
        ParseError: The file is not there, cannot be read, or has no row; the path is relative to the entry.
    """
    code = code_digest(spec.type)
    if not isinstance(scorer, FileScorer):
        return code
    path = suite.parent / scorer.file
    if has_unfit_letter(scorer.file):
        what = f"{shown(scorer.file)} is no name of a file"
        raise ParseError([Problem(("file",), what, "write / in paths, and quote them with '")])
    try:
        is_empty = next(rows_of(path), None) is None
        content = file_digest(path)
    except (HarnessError, OSError) as error:
        why = error.problem if isinstance(error, HarnessError) else f"{scorer.file}: {error.strerror}"
        remedy = remedy_of_path(scorer.file, "give a path relative to the suite file")
        raise ParseError([Problem(("file",), why, remedy)]) from None
    if is_empty:
        raise ParseError([Problem(("file",), f"{scorer.file} has no row", "give a file of JSON lines")])
    return digest([code, content])


def rows_of(path: Path) -> Iterator[tuple[int, Json]]:
    """The rows of a file of JSON lines, each with its line; lines that are not JSON are left out.

    Raises:
        UsageError: The file is not there or cannot be read.
    """
    return ((line.number, line.row) for line in read_lines(path) if line.fault is None)
