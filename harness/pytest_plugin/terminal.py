"""What a person sees: preparation as it goes, then the table, the verdict and the page's path."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.evals import totals
from harness.records import Decision, Run, Suite, SuiteVerdict, Verdict

# Where the terminal cannot rewrite a line (a CI log), progress is told this often.
QUIET_SECONDS = 10.0
MARK: dict[Decision, str] = {"pass": "ok", "fail": "FAIL", "undecided": "?"}
COLOUR = {"pass": "green", "fail": "red", "undecided": "yellow"}
OUTCOME_COLOUR = {"promote": "green", "hold": "red", "undecided": "yellow"}


class TerminalTeller:
    """Tells preparation on pytest's terminal: one line rewritten on a terminal, a line now and then in a log."""

    def __init__(self, config: pytest.Config) -> None:
        self._terminal: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
        self._open = False
        self._told = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._terminal is None:
            return
        self.done()
        self._terminal.write_line(text)

    def progress(self, text: str) -> None:
        """The current state of something long."""
        if self._terminal is None:
            return
        if self._terminal.isatty:
            self._terminal.rewrite(text, erase=True)
            self._open = True
        elif time.monotonic() - self._told >= QUIET_SECONDS:
            self._terminal.write_line(text)
            self._told = time.monotonic()

    def done(self) -> None:
        """End a rewritten line."""
        if self._open and self._terminal is not None:
            self._terminal.ensure_newline()
            self._open = False


def summary(terminal: pytest.TerminalReporter, run: Run, verdict: Verdict, *, page: Path | None) -> None:
    """Models, a line a suite, the verdict with its reasons, what would settle it, what it cost."""
    terminal.write_sep("=", "harness")
    for role, facts in run.manifest.models.items():
        terminal.write_line(f"{role:<10} {facts.model}  ({facts.endpoint})")
    if run.manifest.status != "complete":
        why = f": {run.manifest.reason}" if run.manifest.reason else ""
        terminal.write_line(
            f"this run was interrupted{why}. What was answered is kept; the same command resumes it.",
            yellow=True,
        )
    _table(terminal, run, verdict)
    _verdict(terminal, verdict)
    _spending(terminal, run)
    if page is not None:
        terminal.write_line(f"page: {page}")


def _table(terminal: pytest.TerminalReporter, run: Run, verdict: Verdict) -> None:
    head = (
        "suite",
        "role",
        "cases",
        verdict.reference,
        "candidate",
        "difference",
        "90 % interval",
        "",
        "decided by",
    )
    rows = [
        _row(suite, verdict.suites[suite.name])
        for suite in run.manifest.suites
        if suite.name in verdict.suites
    ]
    if verdict.pooled is not None:
        rows.append(_cells(verdict.pooled))
    if not rows:
        return
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    terminal.write_line("")
    terminal.write_line(_line(head, widths), bold=True)
    decisions = [
        verdict.suites[suite.name].decision for suite in run.manifest.suites if suite.name in verdict.suites
    ]
    if verdict.pooled is not None:
        decisions.append(verdict.pooled.decision)
    for row, decision in zip(rows, decisions, strict=True):
        terminal.write_line(_line(row, widths), **{COLOUR[decision]: True})
    for finding in verdict.gates:
        terminal.write_line(
            f"  gate {MARK[finding.decision]:<4} {finding.suite}: {finding.reason}",
            **{COLOUR[finding.decision]: True},
        )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = {0, 1, 7, 8}
    padded = [
        cell.ljust(width) if column in left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _row(suite: Suite, verdict: SuiteVerdict) -> tuple[str, ...]:
    return (suite.name, *_cells(verdict)[1:])


def _cells(verdict: SuiteVerdict) -> tuple[str, ...]:
    low, high = verdict.interval or (None, None)
    interval = "" if low is None or high is None else f"{low * 100:+.1f} .. {high * 100:+.1f}"
    return (
        verdict.name,
        verdict.role,
        str(verdict.cases),
        _share(verdict.reference),
        _share(verdict.candidate),
        "–" if verdict.difference is None else f"{verdict.difference * 100:+.1f}",
        interval,
        MARK[verdict.decision],
        verdict.rule,
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f}"


def _verdict(terminal: pytest.TerminalReporter, verdict: Verdict) -> None:
    terminal.write_line("")
    terminal.write_line(
        f"verdict: {verdict.outcome.upper()}", bold=True, **{OUTCOME_COLOUR[verdict.outcome]: True}
    )
    for reason in verdict.reasons:
        terminal.write_line(f"  - {reason}")
    for step in verdict.next_steps:
        terminal.write_line(f"  next: {step}")
    terminal.write_line("")


def _spending(terminal: pytest.TerminalReporter, run: Run) -> None:
    for role, line in totals(run.results).items():
        failures = f", {line['failures']:.0f} failures" if line["failures"] else ""
        terminal.write_line(
            f"{role}: {line['answers']:.0f} answers ({line['cached']:.0f} from the cache){failures}, "
            f"{line['prompt_tokens']:,.0f} + {line['completion_tokens']:,.0f} tokens"
        )
