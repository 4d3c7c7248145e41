"""What pytest collects from a suite file: one item for each case, then one for each gate."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest._code.code import ExceptionInfo, TerminalRepr, Traceback, TracebackStyle

from harness.errors import SuiteError
from harness.evals import load_suite, role_needed, runner
from harness.pytest_plugin import harness_session
from harness.records import Case, Change, Decision, Failure, Gate, Result, Role, Suite
from harness.report.lines import printable
from harness.scorers import build
from harness.serial import from_json, to_json
from harness.verdict import change_of, is_good, mean_score

MISCONFIGURED: pytest.StashKey[bool] = pytest.StashKey()


class CaseNotGoodError(Exception):
    """A required case is not good."""


class GateNotPassedError(Exception):
    """A gate is not passed, or cannot be decided on a whole suite."""


class SuiteFile(pytest.File):
    """A `*.suite.yaml` file; its mistakes fail collection, all of them, with line numbers."""

    def collect(self) -> Iterable[pytest.Item]:
        """Case items in the file's order, the suite's own gate, then the declared gates."""
        if self.config.stash.get(MISCONFIGURED, False):
            return  # told once already, with the first file
        try:
            questions = harness_session(self.config).questions
        except pytest.UsageError:
            self.config.stash[MISCONFIGURED] = True
            raise
        suite = questions.add(replace(load_suite(self.path), path=self.nodeid))
        for case in suite.cases:
            yield CaseItem.of(self, suite, case)
        if suite.role != "info":
            yield GateItem.of(self, suite, None)
        for gate in suite.gates:
            yield GateItem.of(self, suite, gate)

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        """Mistakes as `file:line: what, remedy`, paths as the user typed them."""
        if isinstance(excinfo.value, (SuiteError, pytest.UsageError)):
            here = f"{self.config.invocation_params.dir}{os.sep}"
            return str(excinfo.value).replace(here, "")
        return super().repr_failure(excinfo)


class SuiteItem(pytest.Item):
    """What cases and gates share: the suite, and skipping what the models are too small for."""

    suite: Suite

    def skip_if_needed(self) -> None:
        """Skip with the need's name when the models of this run cannot give it."""
        lacking = harness_session(self.config).questions.lacking(self.suite)
        if lacking:
            pytest.skip(f"needs: {', '.join(lacking)} (the embedded model is too small for this suite)")

    def repr_failure(
        self,
        excinfo: ExceptionInfo[BaseException],
        style: TracebackStyle | None = None,
    ) -> str | TerminalRepr:
        """Our own failures read as sentences, not as tracebacks."""
        if isinstance(excinfo.value, (CaseNotGoodError, GateNotPassedError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def _traceback_filter(self, excinfo: ExceptionInfo[BaseException]) -> Traceback:
        """A model's own bug is shown from where it was asked: pytest's frames say nothing."""
        return excinfo.traceback.cut(path=Path(runner.__file__))


class CaseItem(SuiteItem):
    """One case, asked of every role. Set-up waits for the answers, the call judges them."""

    case: Case
    results: tuple[Result, ...] = ()
    change: Change | None = None

    @classmethod
    def of(cls, parent: SuiteFile, suite: Suite, case: Case) -> "CaseItem":
        """The item of a case; its tags can be selected with -k."""
        item: CaseItem = cls.from_parent(parent, name=case.id)
        item.suite, item.case = suite, case
        item.extra_keyword_matches.update(case.tags)
        return item

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The line of the case in its file."""
        return self.path, max(0, self.case.line - 1), f"{self.suite.name}: {self.case.id}"

    def setup(self) -> None:
        """Wait for this case's own answers; the endpoint's trouble and a scorer's are errors of the set-up."""
        self.skip_if_needed()
        asking = harness_session(self.config).asking
        if why := asking.why_unasked(self.suite, self.case):
            pytest.skip(why)
        self.results = asking.results(self.suite, self.case)
        if failures := [*self._unanswered(), *self._unjudged()]:
            # What was not asked, because of another role's trouble, is no trouble of its own.
            own = [(role, why) for role, why in failures if why.kind != "not_asked"] or failures
            lines = dict.fromkeys(f"{role}: {why.message}" for role, why in own)
            pytest.fail("\n".join(lines), pytrace=False)
        if faults := self._faults():
            pytest.fail("\n".join(faults), pytrace=False)

    def _unanswered(self) -> list[tuple[Role, Failure]]:
        """The roles that gave no answer, and why."""
        return [(row.role, row.outcome) for row in self.results if isinstance(row.outcome, Failure)]

    def _unjudged(self) -> list[tuple[Role, Failure]]:
        """Why answers have no value although there is a judge, or an embedding model."""
        failures = [
            (name, score.failure)
            for row in self.results
            for name, score in row.scores.items()
            if score.failure is not None
        ]
        if not failures:
            return []
        asked = {spec.name: role_needed(build(spec)) or "judge" for spec in self.suite.scorers}
        return [(asked[name], failure) for name, failure in failures]

    def _faults(self) -> list[str]:
        """How scorers of this case broke, each with the roles whose answers it broke on."""
        roles: dict[str, dict[str, None]] = {}
        for row in self.results:
            for score in row.scores.values():
                if score.broken:
                    roles.setdefault(score.reason, {})[row.role] = None
        return [f"{what}\n(judging {', '.join(found)})" for what, found in roles.items()]

    def runtest(self) -> None:
        """Classify the case; only a required one can fail.

        Raises:
            CaseNotGoodError: The case is required and the candidate is not good at it.
        """
        reference = harness_session(self.config).questions.reference
        by_role = {
            role: mean_score(self.suite, [row for row in self.results if row.role == role])
            for role in ("candidate", reference)
        }
        self.change = change_of(self.suite, candidate=by_role["candidate"], reference=by_role[reference])
        if self.case.required and not is_good(self.suite, by_role["candidate"]):
            raise CaseNotGoodError(self._explanation())

    def _explanation(self) -> str:
        lines = [f"{self.suite.name}: the required case {self.case.id!r} is not good"]
        for row in self.results:
            if not isinstance(row.outcome, Failure):
                lines.append(f"  {row.role} answered {row.outcome.text!r}"[:400])
                lines += [
                    f"    {name}: {printable(score.reason)}"[:400] for name, score in row.scores.items()
                ]
        return "\n".join(lines)


class GateItem(SuiteItem):
    """A gate: the suite's own (its role against the reference), or a declared one."""

    gate: Gate | None = None
    decision: Decision | None = None
    reason: str = ""

    @classmethod
    def of(cls, parent: SuiteFile, suite: Suite, gate: Gate | None) -> "GateItem":
        """The item of a gate, named by what it demands."""
        name = f"gate[{suite.role}]" if gate is None else f"gate[{_demand(gate)}]"
        # Spelled out, the id reads back as the one a report of it has: --lf compares the two.
        item: GateItem = cls.from_parent(parent, name=name, nodeid=f"{parent.nodeid}::{name}")
        item.suite, item.gate = suite, gate
        return item

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The suite's file."""
        return self.path, 0, f"{self.suite.name}: {self.name}"

    def runtest(self) -> None:
        """Decide from the results of the selected cases.

        Raises:
            GateNotPassedError: The condition is not met, or cannot be decided although the whole suite was asked.
        """
        self.skip_if_needed()
        self.decision, self.reason, partial = harness_session(self.config).judge(self.suite, self.gate)
        if self.decision == "undecided" and partial:
            pytest.skip(f"not enough evidence: {self.reason}")
        if not _passed(self.decision, self.suite, self.gate):
            raise GateNotPassedError(self.reason)


def selected_cases(items: Iterable[pytest.Item]) -> dict[str, tuple[Case, ...]]:
    """The cases among the items that will run, by suite."""
    chosen: dict[str, list[Case]] = {}
    for item in items:
        if isinstance(item, CaseItem):
            chosen.setdefault(item.suite.name, []).append(item.case)
    return {name: tuple(cases) for name, cases in chosen.items()}


def attach(item: pytest.Item, report: pytest.TestReport) -> None:
    """An item's results and change on its report, once: as plain text where the report has a way to go, from an xdist worker."""
    ended = report.when == "call" or (report.when == "setup" and not report.passed)
    if not ended:
        return
    if isinstance(item, CaseItem):
        travels = hasattr(item.config, "workerinput")
        rows = [to_json(row) for row in item.results] if travels else list(item.results)
        report.harness_rows = rows  # type: ignore[attr-defined]
        report.harness_change = item.change  # type: ignore[attr-defined]
    elif scored := harness_session(item.config).scored_by(item):
        report.harness_scored = [to_json(one) for one in scored]  # type: ignore[attr-defined]


def as_row(attached: Result | str) -> Result:
    """A row that `attach` put on a report."""
    return from_json(Result, attached) if isinstance(attached, str) else attached


def _demand(gate: Gate) -> str:
    """`label>=0.85`, `tokens<=0.6x`: what a gate demands, short and without spaces, for its node's name."""
    bounds = (
        (gate.at_least, ">={:g}"),
        (gate.at_most, "<={:g}"),
        (gate.at_least_ratio, ">={:g}x"),
        (gate.at_most_ratio, "<={:g}x"),
    )
    return gate.metric + ",".join(form.format(bound) for bound, form in bounds if bound is not None)


def _passed(decision: Decision, suite: Suite, gate: Gate | None) -> bool:
    """A single guard need not be proved: the pooled guards are (statistics, section 1.7)."""
    return decision == "pass" or (decision == "undecided" and gate is None and suite.role == "guard")
