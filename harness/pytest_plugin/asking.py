"""The way from items to the answers of their cases, whether all are asked or the run may stop early."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.evals import Cell, Prefetcher, cells_of
from harness.pytest_plugin.questions import Questions
from harness.records import Case, Decision, Failure, Gate, Looks, Manifest, Result, Role, Suite, Verdict

if TYPE_CHECKING:
    from harness.evals import LookByLook


class Asking:
    """What waits for answers, and judges gates by them.

    Args:
        questions: What is asked of whom.
        prefetcher: What asks.
        manifest: Of the run; None in an xdist worker, which asks for whole suites.
    """

    def __init__(self, questions: Questions, prefetcher: Prefetcher, *, manifest: Manifest | None) -> None:
        self.prefetcher = prefetcher
        self._questions = questions
        self._by_looks: LookByLook | None = None
        self._prefetched: set[str] = set()
        if manifest is not None and manifest.looks is not None:
            from harness import evals

            self._by_looks = evals.LookByLook(manifest, prefetcher, cells_of=self._cells)

    def _cells(self, suite: Suite, cases: Sequence[Case]) -> list[Cell]:
        return self._questions.cells(suite, cases)

    @property
    def halted(self) -> Failure | None:
        """Why nothing more is asked, if the endpoint is to blame."""
        return self.prefetcher.halted

    @property
    def looks(self) -> Looks | None:
        """Where the run's looks are and at which one it ended; None where it has none."""
        return self._by_looks.looks if self._by_looks is not None else None

    def answered(self) -> list[Result]:
        """What the cases of suite files were answered so far, those too whose items never ran."""
        return [row for row in self.prefetcher.answered() if row.suite in self._questions.suites]

    def close(self) -> None:
        """Let nothing new start."""
        self.prefetcher.close()

    def prefetch(self, suite: Suite) -> None:
        """Ask without waiting: all selected cases of a suite, or what comes before the first look."""
        if self._by_looks is not None:
            self._by_looks.begin()
        elif suite.name not in self._prefetched:
            self._prefetched.add(suite.name)
            self.prefetcher.request(self._questions.cells(suite))

    def why_unasked(self, suite: Suite, case: Case) -> str | None:
        """Why a case is not asked, although it was selected; None where it is."""
        if self._by_looks is None or self._by_looks.reach(suite, case):
            return None
        return f"not asked, as the run stopped early: {self._by_looks.looks.why}"

    def results(self, suite: Suite, case: Case) -> tuple[Result, ...]:
        """The results of one case, waited for; none where it is not asked."""
        if self.why_unasked(suite, case):
            return ()
        roles = self._questions.roles
        return tuple(self.prefetcher.wait(cell) for cell in cells_of(suite, [case], roles))

    def judge(self, suite: Suite, gate: Gate | None) -> tuple[Decision, str, bool]:
        """A gate's decision, its sentence, and whether too few cases were asked to hold that against the candidate."""
        cases = self._questions.cases(suite)
        partial = len(cases) < len(suite.cases)
        decision, reason = self._judged(suite, gate, cases=cases)
        if gate is None:
            return "undecided" if partial and decision == "pass" else decision, reason, partial
        return decision, reason, partial or bool(self.looks and self.looks.why)

    def _judged(self, suite: Suite, gate: Gate | None, *, cases: Sequence[Case]) -> tuple[Decision, str]:
        # Not needed before the first answer is there.
        from harness.verdict import judge_gate, judge_suite

        verdict = self._by_looks.end() if self._by_looks is not None else None
        if verdict is not None and suite.name in verdict.suites:
            return _found(verdict, suite, gate)
        reference = self._questions.reference
        by_role: dict[Role, list[Result]] = {role: [] for role in self._questions.roles}
        for case in cases:
            for row in self.results(suite, case):
                by_role[row.role].append(row)
        if gate is None:
            alone = judge_suite(suite, by_role, reference=reference)
            return alone.decision, alone.reason
        finding = judge_gate(suite, gate, results=by_role, reference=reference)
        return finding.decision, finding.reason


def _found(verdict: Verdict, suite: Suite, gate: Gate | None) -> tuple[Decision, str]:
    """What the run's verdict says of one gate: a single suite's own would know of no other, and of no look."""
    if gate is None:
        own = verdict.suites[suite.name]
        return own.decision, own.reason
    declared = next(one for one in verdict.gates if one.suite == suite.name and one.gate == gate)
    return declared.decision, declared.reason
