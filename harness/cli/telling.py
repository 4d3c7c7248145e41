"""What long work tells in a terminal: lines that stay, and one that is rewritten; in a log, a line now and then."""

import shutil
import sys
import time
from typing import TextIO

from harness.cli import printable

# Where the terminal cannot rewrite a line (a CI log), progress is told this often.
QUIET_S = 10.0


class TerminalTeller:
    """Tells on a stream: standard output, or standard error where the output is for a program."""

    def __init__(self, *, for_program: bool = False) -> None:
        self._stream: TextIO = sys.stderr if for_program else sys.stdout
        self._open = False
        self._told: float | None = None

    def say(self, text: str) -> None:
        """A line that stays."""
        self.done()
        print(printable(text), file=self._stream, flush=True)

    def progress(self, text: str) -> None:
        """The current state of something long."""
        if self._stream.isatty():
            shown = printable(text)[: max(1, shutil.get_terminal_size().columns - 1)]
            print(f"\r\033[K{shown}", end="", file=self._stream, flush=True)
            self._open = True
        elif self._told is None or time.monotonic() - self._told >= QUIET_S:
            print(printable(text), file=self._stream, flush=True)
            self._told = time.monotonic()

    def done(self) -> None:
        """End a rewritten line, which stays as it is."""
        if self._open:
            print(file=self._stream, flush=True)
            self._open = False
