"""What can go wrong, and what to do about it: every error carries a remedy.

HarnessError
├── UsageError        the call, a flag or the configuration is wrong
├── FileError         a file a person wrote has mistakes; all of them are listed
│   ├── SuiteError    ... in a suite
│   └── DatasetError  ... in training data
├── EndpointError     the provider or the local server did not do what was asked
├── BudgetError       the run would cost more than it may
└── StorageError      a run or the cache could not be read or written
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# What steers a terminal, turns text around, or cannot be written to a file: names in files may hold all of it.
UNREADABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class HarnessError(Exception):
    """A problem a person can act on: what happened, and the remedy.

    Args:
        problem: One sentence, place included.
        remedy: What to do about it; empty when the problem already says so.
    """

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        self.problem = _readable(problem)
        self.remedy = _readable(remedy)
        super().__init__(self.problem)

    def __str__(self) -> str:
        """The problem, with the remedy after it."""
        return f"{self.problem} ({self.remedy})" if self.remedy else self.problem


def _readable(text: str) -> str:
    """The text with an escape for every character that no message may hold; its line ends stay."""
    return UNREADABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


class UsageError(HarnessError):
    """The call, a flag or the configuration is wrong: the caller's to mend."""


@dataclass(frozen=True)
class Mistake:
    """One mistake at one line of a file."""

    line: int
    what: str
    remedy: str = ""
    file: str = ""

    def sentence(self, file: str) -> str:
        """`file:line: what, remedy`, the form editors and terminals turn into links.

        A mistake in a file that `file` refers to (a suite's cases) names its own.
        """
        return f"{self.file or file}:{self.line}: {self.what}" + (f", {self.remedy}" if self.remedy else "")


class FileError(HarnessError):
    """A file has mistakes. All of them are in `mistakes`, in the order of their lines."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line)))
        super().__init__("\n".join(mistake.sentence(file) for mistake in self.mistakes))


class SuiteError(FileError):
    """A suite file has mistakes."""


class DatasetError(FileError):
    """A training or validation file has mistakes."""


class EndpointError(HarnessError):
    """The provider (or the local server) did not do what was asked: not the model's fault, not the caller's."""


class BudgetError(HarnessError):
    """The run would cost more than the budget allows; nothing was asked."""


class StorageError(HarnessError):
    """A run folder or the answer cache could not be read or written."""
