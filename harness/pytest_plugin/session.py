"""The one state of a pytest session with suites: what is asked, the lineup, the run, the verdict."""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from harness import training
from harness.config import process_environment, project_root, read_settings, with_flags
from harness.errors import HarnessError, StorageError, UsageError
from harness.evals import CURVE, Prefetcher, RunWriter, load_suite, restore_answers, with_fingerprints
from harness.lineup import (
    STATE,
    Lineup,
    handover,
    open_embedder,
    open_models,
    prepared,
    taken_over,
)
from harness.models import AnswerCache
from harness.pytest_plugin import suite_files
from harness.pytest_plugin.asking import Asking
from harness.pytest_plugin.batches import send_in_batches
from harness.pytest_plugin.checkpoints import found_checkpoints, study_run
from harness.pytest_plugin.conclusion import conclude
from harness.pytest_plugin.items import SuiteItem, as_row, selected_cases
from harness.pytest_plugin.money import opened_purse, tell_estimate
from harness.pytest_plugin.python_suites import Asker, Scored, ScoreKeeper
from harness.pytest_plugin.questions import Questions
from harness.pytest_plugin.terminal import TerminalTeller, summary
from harness.pytest_plugin.trouble import as_collection_errors, as_pytest_errors, exit_status, told
from harness.records import (
    Decision,
    Failure,
    Gate,
    Json,
    Result,
    Role,
    Run,
    RunStatus,
    Score,
    Suite,
    Verdict,
)
from harness.serial import from_json, to_json

ANSWERS = "answers.sqlite"
NOT_DEALT_OUT = "--early-stop and --batch look at all suites together, and -n deals them out to processes: drop one of the two"


class HarnessSession:
    """Made once for a pytest session, in the controller and in every xdist worker.

    The controller prepares the lineup, writes the rows and decides; whoever runs items asks.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.environment = process_environment()
        self.teller = TerminalTeller(config)
        with as_pytest_errors():
            self.settings = with_flags(read_settings(project_root(config.rootpath)), _flags(config))
        self.questions = Questions(self.settings, root=config.rootpath)
        self._lineup: Lineup | None = None
        self._asking: Asking | None = None
        self._writer: RunWriter | None = None
        self._run: Run | None = None
        self._verdict: Verdict | None = None
        self._page: Path | None = None
        self._trouble: str | None = None
        self._interruption: str | None = None
        self._worker_failure: str | None = None
        self._lacks_cases = False
        self._keeper = ScoreKeeper()
        self._stack = contextlib.ExitStack()

    # --- facts ------------------------------------------------------------------------------------

    @property
    def _worker_input(self) -> Mapping[str, Json] | None:
        """What an xdist controller handed to this process; None in the controller and without xdist."""
        return getattr(self.config, "workerinput", None)

    @property
    def _dealt_out(self) -> bool:
        """Whether this process is an xdist controller: it runs no item, so it cannot stop after one."""
        return self._worker_input is None and getattr(self.config.option, "dist", "no") != "no"

    # --- beginning --------------------------------------------------------------------------------

    def begin(self, items: Sequence[pytest.Item]) -> bool | None:
        """Prepare everything before the first item; True ends the session there (`--estimate`)."""
        self.questions.selected = selected_cases(items)
        self._note_code(item.nodeid for item in items)
        judged = [item for item in items if isinstance(item, SuiteItem)]
        with as_pytest_errors():
            if self.config.option.harness_estimate:
                self._print_estimate(others=len(items) - len(judged))
                return True
            if not self.questions.selected:
                self._lacks_cases = bool(judged)
                return None
            if self._worker_input is None:
                self._prepare()
                self._open_run()
                return None
        try:
            self._take_over(self._worker_input)
        except HarnessError as error:
            # A worker that raises breaks the controller; one that fails is told of by its reason.
            items[0].session.shouldfail = str(error)
            return True
        return None

    def cautions(self, items: Iterable[pytest.Item]) -> list[str]:
        """Margins that the suites of some items cannot show, as lines to print."""
        return self.teller.cautions(self.questions.margin_warnings(selected_cases(items)))

    def handed_over(self) -> str:
        """What an xdist worker needs, as text without secrets; prepares on the first call."""
        if self._lineup is None:
            if self.settings.early_stop or self.settings.batch:
                raise pytest.UsageError(NOT_DEALT_OUT)
            with as_collection_errors():
                for path in suite_files(self.config):
                    self.questions.add(replace(load_suite(path), path=_node_path(self.config, path)))
            with as_pytest_errors():
                self._prepare()
        assert self._lineup is not None
        return to_json(handover(self._lineup))

    def open_collected(self, ids: list[str]) -> None:
        """Open the run of an xdist session from the node ids its first worker collected."""
        if self._writer is not None or self._lineup is None:
            return
        self.questions.select_ids(set(ids))
        self._note_code(ids)
        with as_pytest_errors():
            self._open_run(asks=False)

    def _note_code(self, node_ids: Iterable[str]) -> None:
        self.questions.note_code(node_ids, root=self.config.rootpath)

    def _prepare(self) -> None:
        self.questions.check_roles(self.environment)
        context = prepared(self.settings, self.environment, teller=self.teller)
        self._lineup = self._stack.enter_context(context)
        self.questions.seats = self._lineup.seats
        self.teller.done()

    def _take_over(self, given: Mapping[str, Json]) -> None:
        handed = from_json(dict, str(given["harness"]))
        self.questions.seats = taken_over(self.settings, self.environment, handed)
        workers = int(str(given["workercount"]))
        cache = self._open_cache()
        self.questions.purse = opened_purse(self.questions, cache, teller=self.teller, workers=workers)
        self._start_asking(cache, share=workers)

    def _open_run(self, *, asks: bool = True) -> None:
        assert self._lineup is not None, "not prepared"
        cache = self._open_cache()
        self.questions.trained = found_checkpoints(self.settings, self._lineup, self.teller)
        reports = self.settings.path(self.settings.reports)
        manifest, earlier = self.questions.manifest(self._lineup, reports=reports)
        if earlier is not None:
            self.teller.say(f"resuming {earlier.id} ({earlier.reason or 'it was killed'})")
            restore_answers(cache, reports / earlier.id)
        self.questions.purse = opened_purse(self.questions, cache, teller=self.teller)
        self.questions.tell_reuse(self.teller)
        self._writer = RunWriter(reports, manifest, tell=self.teller.say)
        self._stack.callback(self._writer.close)
        self.config.pluginmanager.register(Recorder(self), "harness-recorder")
        if self._lineup.curve is not None:
            training.write_curve(self._lineup.curve, self._writer.path / CURVE)
        if asks:
            send_in_batches(self.questions, cache, run=manifest.id, teller=self.teller)
            self._start_asking(cache)

    def _open_cache(self) -> AnswerCache:
        cache = AnswerCache(self.settings.path(Path(STATE)) / ANSWERS, tell=self.teller.say)
        self._stack.callback(cache.close)
        return cache

    def _start_asking(self, cache: AnswerCache, *, share: int = 1) -> None:
        seats, read, purse = self.questions.seats, self.settings.cache, self.questions.purse
        known, batches = self.questions.known, self.questions.batches
        models = open_models(seats, cache, read=read, known=known, purse=purse, batches=batches)
        embedder = open_embedder(seats, cache, read=read, purse=purse)
        limits = (self.settings.at_once, self.settings.most_at_once)
        at_once, most = (max(1, limit // share) for limit in limits)
        prefetcher = Prefetcher(models, concurrency=at_once, most=most, open_embedder=embedder)
        manifest = self._writer.manifest if self._writer is not None else None
        self._asking = Asking(self.questions, prefetcher, manifest=manifest)

    def _print_estimate(self, *, others: int) -> None:
        self.questions.check_roles(self.environment)
        answers = self.settings.path(Path(STATE)) / ANSWERS
        tell_estimate(self.questions, self.environment, answers=answers, teller=self.teller)
        if others:
            self.teller.say(f"what {others} tests written in Python may ask is not counted")

    # --- asking -----------------------------------------------------------------------------------

    @property
    def asking(self) -> Asking:
        """The way to answers."""
        assert self._asking is not None, "asked before the run began"
        return self._asking

    def prefetch(self, suite: Suite) -> None:
        """Ask for a suite without waiting."""
        if self._asking is not None:
            self._asking.prefetch(suite)

    def judge(self, suite: Suite, gate: Gate | None) -> tuple[Decision, str, bool]:
        """As `Asking.judge`; undecided where no case was selected, so that nothing was asked."""
        if self._asking is None:
            return "undecided", f"no case of {suite.name} was selected", True
        return self._asking.judge(suite, gate)

    def record(self, rows: Sequence[Result]) -> None:
        """Write rows as they arrive; a disk that is full stops the run, keeping what is there."""
        if self._writer is None or self._trouble is not None:
            return
        try:
            for row in rows:
                if not (isinstance(row.outcome, Failure) and row.outcome.kind == "not_asked"):
                    self._writer.append(row)
        except StorageError as error:
            self._trouble = str(error)
            if self._dealt_out:
                self.stop(self._trouble)

    def stop(self, trouble: str) -> NoReturn:
        """End an xdist controller's session, which waits for its workers otherwise.

        Raises:
            pytest.Session.Failed: Always; pytest ends with exit status 1 and closes the run.
        """
        self._trouble = self._trouble or trouble
        raise pytest.Session.Failed(self._trouble)

    def take(self, scored: Sequence[Scored]) -> None:
        """Write what a test of a suite in Python scored, and note its suite for the manifest."""
        for one in scored:
            self._keeper.take(one)
        self.record([one.row for one in scored])

    @property
    def stop_reason(self) -> str | None:
        """Why no further item should run, if so."""
        halted = self._asking.halted if self._asking else None
        return self._trouble or (halted.message if halted else None)

    # --- suites in Python -----------------------------------------------------------------------------

    def asker(self, role: Role, *, items: Sequence[pytest.Item]) -> Asker:
        """The model of a role for the tests among a session's items; skips when the run has none."""
        if not self.questions.seats:
            with as_pytest_errors():
                if self._worker_input is None:
                    self._note_code(item.nodeid for item in items)
                    self._prepare()
                    self._open_run()
                elif "harness" in self._worker_input:
                    self._take_over(self._worker_input)
                else:
                    raise UsageError(
                        "under xdist, suites in Python need a suite file among the arguments",
                        remedy="drop -n",
                    )
        if role not in self.questions.seats:
            pytest.skip(f"this run has no {role} model")
        return Asker(role, self.questions.seats[role].model, self.asking.prefetcher)

    def scorer_of(self, item: pytest.Item) -> Callable[..., Score]:
        """The `score` function of one test."""
        return self._keeper.scorer_of(item)

    def scored_by(self, item: pytest.Item) -> list[Scored]:
        """What a test of a suite in Python scored."""
        return self._keeper.given(item)

    def interrupted(self, reason: str) -> None:
        """Remember why pytest broke off; no reason is given when somebody pressed Ctrl-C."""
        self._interruption = reason

    def worker_failed(self, reason: str) -> None:
        """Remember why a worker ran no further item."""
        self._worker_failure = self._worker_failure or reason

    # --- ending -------------------------------------------------------------------------------------

    def finish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close the run whatever happened; the verdict decides the exit status of a good session."""
        if self._asking is not None:
            self._asking.close()
        is_failure = self._interruption and (self._worker_failure or session.shouldfail)
        if self._dealt_out and is_failure and exitstatus == pytest.ExitCode.INTERRUPTED:
            # xdist ends as interrupted where pytest by itself ends as failed.
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        try:
            if self._writer is not None:
                self._close_run(self._writer, session, exitstatus)
            elif self._lacks_cases and exitstatus == pytest.ExitCode.OK:
                raise UsageError(
                    "only gates were selected, and no case of their suites: nothing was asked or decided",
                    remedy="select the cases too",
                )
        except (HarnessError, OSError) as error:
            self._trouble = told(error, at=self.settings.path(self.settings.reports))
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        finally:
            self._stack.close()

    def _close_run(self, writer: RunWriter, session: pytest.Session, exitstatus: int) -> None:
        status, reason = self._status(session, exitstatus)
        if status == "interrupted" and self._asking is not None:
            self.record(self._asking.answered())
        looks = self._asking.looks if self._asking is not None else None
        manifest = self._keeper.complete(replace(writer.manifest, looks=looks))
        self._run = with_fingerprints(writer.finish(status, reason=reason, manifest=manifest, seal=False))
        curve = self._lineup.curve if self._lineup else None
        answers = self.settings.path(Path(STATE)) / ANSWERS
        study_run(self._run, self.questions, curve=curve, answers=answers, teller=self.teller)
        self._verdict, self._page = conclude(self._run, self.settings, curve=curve, teller=self.teller)
        writer.seal()
        if exitstatus == pytest.ExitCode.OK and self._verdict.outcome != "promote":
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.exitstatus = exit_status(session.exitstatus, reasons=(reason, self._worker_failure))

    def _status(self, session: pytest.Session, exitstatus: int) -> tuple[RunStatus, str | None]:
        if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
            return "interrupted", "pytest met an internal error"
        if exitstatus == pytest.ExitCode.INTERRUPTED or self._interruption is not None:
            return "interrupted", self._interruption or "stopped by hand"
        if self.stop_reason is not None:
            return "interrupted", self.stop_reason
        if session.shouldfail:
            return "interrupted", str(session.shouldfail)
        return "complete", None

    def summarise(self, terminal: pytest.TerminalReporter) -> None:
        """The run in a table, the verdict, and where the page is."""
        if self._run is not None and self._verdict is not None:
            summary(terminal, self.teller.untold(self._run), self._verdict, page=self._page)
        if self._trouble is not None:
            terminal.write_line(f"harness: {self._trouble}", red=True)


class Recorder:
    """Writes rows as reports arrive; registered in the process that writes the run."""

    def __init__(self, state: HarnessSession) -> None:
        self._state = state

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One report: its rows to disk."""
        self._state.record([as_row(row) for row in getattr(report, "harness_rows", ())])
        self._state.take([from_json(Scored, text) for text in getattr(report, "harness_scored", ())])

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, report: pytest.TestReport) -> None:
        """A crashed worker: xdist would wait for ever for the rest of the suite that only that worker had."""
        self._state.stop(f"{report.longrepr}; the same command goes on with what is missing")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C, or a stop of pytest's own, such as a worker's that was told to stop at a failure."""
        self._state.interrupted(str(excinfo.value))


def _flags(config: pytest.Config) -> dict[str, Json]:
    """The harness's flags that were given, by setting."""
    given = {
        name.removeprefix("harness_"): value
        for name, value in vars(config.option).items()
        if name.startswith("harness_") and value is not None
    }
    given.pop("estimate", None)
    if given.pop("no_cache", None):
        given["cache"] = False
    if "reports" in given:
        given["reports"] = config.invocation_params.dir / str(given["reports"])
    return given


def _node_path(config: pytest.Config, path: Path) -> str:
    """A file's path as pytest spells it in node ids."""
    try:
        # Not resolved: pytest too spells a linked folder as it was given.
        return Path(os.path.abspath(path)).relative_to(config.rootpath).as_posix()  # noqa: PTH100
    except ValueError:
        return path.as_posix()
