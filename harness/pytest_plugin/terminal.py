"""What a person sees while a run is prepared, and the run's summary at the end."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.records import Run, Verdict
from harness.report.lines import printable

# Where the terminal cannot rewrite a line (a CI log), progress is told this often.
QUIET_SECONDS = 10.0


class TerminalTeller:
    """Tells preparation on pytest's terminal: one line rewritten on a terminal, one now and then in a log."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._open = False
        self._told = 0.0
        self._warnings: frozenset[str] = frozenset()

    @property
    def _terminal(self) -> pytest.TerminalReporter | None:
        found: pytest.TerminalReporter | None = self._config.pluginmanager.get_plugin("terminalreporter")
        return found

    def say(self, text: str) -> None:
        """A line that stays."""
        terminal = self._terminal
        if terminal is not None:
            self.done()
            terminal.ensure_newline()
            terminal.write_line(printable(text))

    def cautions(self, warnings: Sequence[str]) -> list[str]:
        """Warnings as lines that somebody is about to print; the summary does not repeat them."""
        self._warnings |= frozenset(warnings)
        return [f"warning: {printable(warning)}" for warning in warnings]

    def untold(self, run: Run) -> Run:
        """The run with those of its warnings that nobody has read yet."""
        left = tuple(warning for warning in run.manifest.warnings if warning not in self._warnings)
        return replace(run, manifest=replace(run.manifest, warnings=left))

    def progress(self, text: str) -> None:
        """The current state of something long."""
        terminal = self._terminal
        if terminal is None:
            return
        if terminal.isatty:
            terminal.rewrite(text, erase=True)
            self._open = True
        elif time.monotonic() - self._told >= QUIET_SECONDS:
            terminal.ensure_newline()
            terminal.write_line(text)
            self._told = time.monotonic()

    def done(self) -> None:
        """End a rewritten line."""
        if self._open and self._terminal is not None:
            self._terminal.write("\n")
            self._open = False


def summary(terminal: pytest.TerminalReporter, run: Run, verdict: Verdict, *, page: Path | None) -> None:
    """The run's summary, what to do next, and the path of its page."""
    from harness.advice import advise, sightings_of
    from harness.report import text_summary
    from harness.report.next_steps import advice_lines

    terminal.write_sep("=", "harness")
    given = advise(sightings_of(run, verdict))
    for line in (*text_summary(run, verdict), *advice_lines(given, run=run.manifest.id)):
        markup = {"bold": line.bold}
        if line.colour is not None:
            markup[line.colour] = True
        terminal.write_line(line.text, **markup)
    if page is not None:
        terminal.write_line(f"page: {page}")
