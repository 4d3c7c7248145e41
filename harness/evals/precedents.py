"""What did earlier runs take? The tokens of their answers and of their judges' replies, read to foretell the next run's."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from statistics import fmean

from harness.dataset import knows_encoding
from harness.errors import StorageError
from harness.evals.cells import Cell
from harness.evals.digests import case_digest
from harness.evals.lengths import Length, capped, expected_length, measured, unknown, unknown_reply
from harness.evals.store import list_runs, open_run
from harness.records import Completion, Result, Role, Run, Suite, record

MOST_RUNS = 20
"""Runs that are looked at, the newest first."""
MOST_ROWS = 20_000
"""Rows after which no further run is read: about a second."""

Samples = Mapping[Hashable, Sequence[float]]


@record
class PromptCount:
    """The prompt of an earlier answer as its endpoint counted it; `cached_tokens` came from the provider's own cache."""

    suite: str
    case: str
    digest: str
    role: Role
    prompt_tokens: int
    cached_tokens: int


@record
class Precedents:
    """What things took, in tokens, by what they were; without any, lengths rest on what is expected or on a limit.

    Attributes:
        answers: By suite or by the digest of a case, the role that was asked, and the model; "" is any.
        replies: Of judges, by suite and judge; "" is any.
        questions: To judges, by the suite or the digest of the case whose answer was judged, and the judge.
        trials: Whether later trials' answers were those of the first (1 or 0), by suite, role and temperature.
        prompts: By the role that was asked and the model; "" is any.
    """

    answers: Samples = field(default_factory=dict)
    replies: Samples = field(default_factory=dict)
    questions: Samples = field(default_factory=dict)
    trials: Samples = field(default_factory=dict)
    prompts: Mapping[tuple[str, str], Sequence[PromptCount]] = field(default_factory=dict)

    def answer(self, cell: Cell, model: str, *, count: Callable[[str], int]) -> Length:
        """How long the answer to a cell will be; `count` gives the tokens of a text."""
        limit = cell.suite.sampling.max_tokens
        role, digest = asked_as(cell.suite, cell.role), case_digest(cell.suite, cell.case)
        for same, who in ((True, model), (False, "")):
            if group := self.answers.get((cell.suite.name, role, who)):
                own = self.answers.get((digest, role, who))
                return capped(measured(group, own=fmean(own) if own else None, same=same), limit)
        return expected_length(cell, count=count) or unknown(cell.role, limit)

    def reply(self, suite: str, judge: str, *, max_tokens: int | None) -> Length:
        """How long a judge's reply about an answer of a suite will be."""
        for same, key in ((True, (suite, judge)), (False, ("", judge)), (False, (suite, ""))):
            if group := self.replies.get(key):
                return capped(measured(group, own=None, same=same), max_tokens)
        return unknown_reply(max_tokens)

    def question(self, cell: Cell, judge: str) -> float | None:
        """The prompt tokens of a question to the judge about a cell's answer; None where we count as well ourselves."""
        asked = self.questions.get((case_digest(cell.suite, cell.case), judge))
        if not asked and not knows_encoding(judge):
            asked = self.questions.get((cell.suite.name, judge))
        return fmean(asked) if asked else None

    def repeats(self, cell: Cell) -> float:
        """How likely a cell's answer is word for word that of the trial before it, which nobody judges twice.

        Where no earlier trials tell, at temperature 0 it is taken to be.
        """
        sampling = cell.suite.sampling
        if cell.trial == 0:
            return 0.0
        told = self.trials.get((cell.suite.name, asked_as(cell.suite, cell.role), sampling.temperature))
        return fmean(told) if told else float(sampling.temperature == 0)


def asked_as(suite: Suite, role: Role) -> Role:
    """The role whose prompt a model gets: the promoted one is asked as the candidate is, unless it has its own."""
    return "candidate" if role == "promoted" and role not in suite.prompts else role


def read_precedents(reports: Path, suites: Iterable[Suite]) -> Precedents:
    """What the stored runs tell of some suites; a run that cannot be read tells nothing."""
    wanted = {suite.name: suite for suite in suites}
    found = _Gathering(wanted)
    rows = 0
    for run in _runs(reports):
        judge = run.manifest.models.get("judge")
        answered = [row for row in run.results if row.suite in wanted]
        for row in answered:
            found.add(row)
            found.add_judging(row, judge.model if judge else "")
        found.add_trials(answered, {suite.name: suite.sampling.temperature for suite in run.manifest.suites})
        rows += len(run.results)
        if rows >= MOST_ROWS:
            break
    return Precedents(
        answers=found.answers,
        replies=found.replies,
        questions=found.questions,
        trials=found.trials,
        prompts=found.prompts,
    )


def _runs(reports: Path) -> Iterator[Run]:
    for folder in list_runs(reports)[:MOST_RUNS]:
        with contextlib.suppress(StorageError, OSError):
            yield open_run(folder)


class _Gathering:
    """Precedents while rows are added."""

    def __init__(self, suites: Mapping[str, Suite]) -> None:
        self._suites = suites
        self.answers: defaultdict[Hashable, list[float]] = defaultdict(list)
        self.replies: defaultdict[Hashable, list[float]] = defaultdict(list)
        self.questions: defaultdict[Hashable, list[float]] = defaultdict(list)
        self.trials: defaultdict[Hashable, list[float]] = defaultdict(list)
        self.prompts: defaultdict[tuple[str, str], list[PromptCount]] = defaultdict(list)

    def add(self, row: Result) -> None:
        """An answer's own tokens, and its prompt's."""
        if not isinstance(row.outcome, Completion):
            return
        role, usage = asked_as(self._suites[row.suite], row.role), row.outcome.usage
        if usage.completion_tokens is not None:
            for what in (row.suite, row.digest):
                for who in (row.model, ""):
                    self.answers[what, role, who].append(usage.completion_tokens)
        if usage.prompt_tokens is not None:
            counted = PromptCount(
                suite=row.suite,
                case=row.case,
                digest=row.digest,
                role=row.role,
                prompt_tokens=usage.prompt_tokens,
                cached_tokens=usage.cached_tokens or 0,
            )
            for who in (row.model, ""):
                self.prompts[role, who].append(counted)

    def add_judging(self, row: Result, judge: str) -> None:
        """What one reply about an answer took on average, and one question."""
        bill = row.bills.get("judge")
        if bill is None or not bill.answered or bill.is_partial:
            return
        if bill.usage.completion_tokens is not None:
            for key in ((row.suite, judge), ("", judge), (row.suite, "")):
                self.replies[key].append(bill.usage.completion_tokens / bill.answered)
        if bill.usage.prompt_tokens is not None:
            for what in (row.digest, row.suite):
                self.questions[what, judge].append(bill.usage.prompt_tokens / bill.answered)

    def add_trials(self, rows: Sequence[Result], temperatures: Mapping[str, float | None]) -> None:
        """Whether the trials of one run gave what its first ones gave."""
        texts = {
            (row.suite, row.case, row.role, row.trial): row.outcome.text
            for row in rows
            if isinstance(row.outcome, Completion)
        }
        for (suite, case, role, trial), text in texts.items():
            first = texts.get((suite, case, role, 0))
            if trial and first is not None:
                key = (suite, asked_as(self._suites[suite], role), temperatures.get(suite))
                self.trials[key].append(float(text == first))
