"""Suites written as Python tests: models that can be asked, and scores that land in the run's results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from harness.errors import UsageError
from harness.evals import Cell, Prefetcher, case_digest
from harness.evals.suites import scorer_spec
from harness.protocols import Scorer
from harness.records import (
    Case,
    Completion,
    Failure,
    Json,
    Manifest,
    Message,
    Result,
    Role,
    Sampling,
    Score,
    ScorerSpec,
    Suite,
    record,
)
from harness.scorers import build
from harness.serial import ParseError, digest, with_values


@record
class Answer:
    """What a model answered to a test, and what it was asked."""

    text: str
    role: Role
    model: str
    messages: tuple[Message, ...]
    completion: Completion


class Asker:
    """A model as a test function uses it; its answers are cached as those of suite files are."""

    def __init__(self, role: Role, model: str, prefetcher: Prefetcher) -> None:
        self.role = role
        self.model = model
        self._prefetcher = prefetcher

    def ask(
        self, prompt: str | Sequence[Message], *, system: str | None = None, trial: int = 0, **sampling: Json
    ) -> Answer:
        """Ask and wait; sampling settings are those of a suite's `sampling:`.

        Raises:
            pytest.fail.Exception: The endpoint gave no answer.
        """
        turns = ({"role": "user", "content": prompt},) if isinstance(prompt, str) else tuple(prompt)
        suite = Suite(
            name=f"asked-{digest([list(map(dict, turns)), system, sampling])[:16]}",
            cases=(),
            scorers=(),
            system=system,
            sampling=with_values(Sampling(), sampling),
        )
        case = Case(id="prompt", messages=turns)
        row = self._prefetcher.wait(Cell(suite=suite, case=case, role=self.role, trial=trial))
        if isinstance(row.outcome, Failure):
            pytest.fail(f"{self.role}: {row.outcome.message}", pytrace=False)
        return Answer(
            text=row.outcome.text, role=self.role, model=row.model, messages=turns, completion=row.outcome
        )


class ScoreKeeper:
    """Scores given by test functions, as rows of info suites named after their files."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[Case, Result]]] = {}
        self._suites: dict[str, list[Case]] = {}
        self._specs: dict[str, dict[str, ScorerSpec]] = {}

    def scorer_of(self, item: pytest.Item) -> Callable[..., Score]:
        """The `score` function of one test."""

        def score(answer: object, scorer: Mapping[str, Json], *, expected: Json = None) -> Score:
            if not isinstance(answer, Answer):  # an untyped test gives the text, often
                raise UsageError("score(...): not an answer", remedy="give what candidate.ask(...) returned")
            try:
                spec = scorer_spec(scorer)
                built = build(spec)
            except ParseError as error:
                raise UsageError(f"score(...): {error}") from None
            case = Case(id=item.name, messages=answer.messages, expected=expected)
            if not isinstance(built, Scorer):
                raise UsageError("score(...): judged scorers belong into suite files")
            given = built.score(case, answer.completion)
            self._keep(item, case, answer, {spec.name: given})
            self._specs.setdefault(item.path.stem, {}).setdefault(spec.name, spec)
            return given

        return score

    def _keep(self, item: pytest.Item, case: Case, answer: Answer, scores: Mapping[str, Score]) -> None:
        rows = self._rows.setdefault(item.nodeid, [])
        trial = sum(row.role == answer.role for _, row in rows)
        suite = item.path.stem
        row = Result(
            suite=suite,
            case=case.id,
            role=answer.role,
            model=answer.model,
            trial=trial,
            digest=case_digest(Suite(name=suite, cases=(), scorers=()), case),
            outcome=answer.completion,
            scores=scores,
        )
        rows.append((case, row))
        self._suites.setdefault(suite, []).append(case)

    def rows(self, item: pytest.Item) -> list[Result]:
        """What one test scored."""
        return [row for _, row in self._rows.get(item.nodeid, ())]

    def _rows_of(self, suite: str) -> Iterator[Result]:
        return (row for rows in self._rows.values() for _, row in rows if row.suite == suite)

    def complete(self, manifest: Manifest) -> Manifest:
        """The manifest with an info suite for each file that scored something."""
        extra = {
            name: Suite(
                name=name,
                cases=tuple({case.id: case for case in cases}.values()),
                scorers=tuple(self._specs[name].values()),
                trials=max(row.trial for row in self._rows_of(name)) + 1,
                role="info",
                description="written in Python",
            )
            for name, cases in self._suites.items()
        }
        chosen = {name: tuple(case.id for case in suite.cases) for name, suite in extra.items()}
        return replace(
            manifest,
            suites=(*manifest.suites, *extra.values()),
            selected={**manifest.selected, **chosen},
        )
