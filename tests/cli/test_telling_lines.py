import io
import sys

import pytest

from harness.cli import telling
from harness.cli.telling import TerminalTeller


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Standard output becomes a terminal of 20 columns, until the test ends."""
    made = Screen()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setenv("COLUMNS", "20")
    return made


def test_progress_is_rewritten_on_a_terminal_and_kept_when_something_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = watched(monkeypatch)
    teller = TerminalTeller()
    teller.progress("step 1")
    teller.progress("step 2")
    teller.say("done")
    teller.done()
    assert screen.getvalue() == "\r\033[Kstep 1\r\033[Kstep 2\ndone\n"


def test_line_that_is_too_long_for_the_terminal_is_cut_so_that_it_can_be_rewritten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = watched(monkeypatch)
    TerminalTeller().progress("x" * 50)
    assert screen.getvalue() == "\r\033[K" + "x" * 19


def test_providers_words_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(monkeypatch)
    teller = TerminalTeller()
    teller.say("a\x1b]0;owned\x07b")
    teller.progress("c\x1b[2Jd")
    assert screen.getvalue() == "a ]0;owned b\n\r\033[Kc [2Jd"


def test_log_gets_progress_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    teller = TerminalTeller()
    teller.progress("step 1")
    teller.progress("step 2")
    monkeypatch.setattr(telling, "QUIET_S", 0.0)
    teller.progress("step 3")
    assert capsys.readouterr().out == "step 1\nstep 3\n"


def test_everything_is_told_on_standard_error_where_the_output_is_for_a_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    teller = TerminalTeller(for_program=True)
    teller.say("one")
    teller.progress("two")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "one\ntwo\n")
