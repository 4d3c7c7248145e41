"""Suites written as Python tests: models that can be asked, and scores that land in the run's results."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from harness.evals import Cell, Prefetcher, case_digest, code_digest, guarded
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
            pytest.fail.Exception: A setting there is not, or the endpoint gave no answer.
        """
        try:
            drawn = with_values(Sampling(), sampling)
        except ParseError as error:
            _fail(f"ask(...): {error}")
        turns = ({"role": "user", "content": prompt},) if isinstance(prompt, str) else tuple(prompt)
        suite = Suite(
            name=f"asked-{digest([list(map(dict, turns)), system, sampling])[:16]}",
            cases=(),
            scorers=(),
            system=system,
            sampling=drawn,
        )
        case = Case(id="prompt", messages=turns)
        row = self._prefetcher.wait(Cell(suite=suite, case=case, role=self.role, trial=trial))
        if isinstance(row.outcome, Failure):
            pytest.fail(f"{self.role}: {row.outcome.message}", pytrace=False)
        return Answer(
            text=row.outcome.text, role=self.role, model=row.model, messages=turns, completion=row.outcome
        )


@record
class Scored:
    """What one call of `score` gave: the row, the case it is of, the scorer."""

    case: Case
    spec: ScorerSpec
    row: Result


class ScoreKeeper:
    """Scores given by test functions, as rows of info suites named after their files.

    `scorer_of` and `given` serve the process that runs the test, `take` and `complete` the one that writes the run.
    """

    def __init__(self) -> None:
        self._given: dict[str, list[Scored]] = {}
        self._taken: dict[str, list[Scored]] = {}

    def scorer_of(self, item: pytest.Item) -> Callable[..., Score]:
        """The `score` function of one test."""

        def score(answer: object, scorer: Mapping[str, Json], *, expected: Json = None) -> Score:
            if not isinstance(answer, Answer):  # an untyped test gives the text, often
                _fail("score(...): not an answer (give what candidate.ask(...) returned)")
            spec, built = _scorer(scorer)
            case = Case(id=item.name, messages=answer.messages, expected=expected)
            score = guarded(spec, lambda: built.score(case, answer.completion))
            self._keep(item, case, answer, spec=spec, score=score)
            if score.broken:
                pytest.fail(score.reason, pytrace=False)
            return score

        return score

    def _keep(self, item: pytest.Item, case: Case, answer: Answer, *, spec: ScorerSpec, score: Score) -> None:
        given = self._given.setdefault(item.nodeid, [])
        suite = item.path.stem
        row = Result(
            suite=suite,
            case=case.id,
            role=answer.role,
            model=answer.model,
            trial=sum(earlier.row.role == answer.role for earlier in given),
            digest=case_digest(Suite(name=suite, cases=(), scorers=(spec,)), case),
            outcome=answer.completion,
            scores={spec.name: score},
        )
        given.append(Scored(case=case, spec=spec, row=row))

    def given(self, item: pytest.Item) -> list[Scored]:
        """What one test scored."""
        return self._given.get(item.nodeid, [])

    def take(self, scored: Scored) -> None:
        """Note what a test scored, here or in another process."""
        self._taken.setdefault(scored.row.suite, []).append(scored)

    def complete(self, manifest: Manifest) -> Manifest:
        """The manifest with an info suite for each file that scored something."""
        extra = {name: _info_suite(name, taken) for name, taken in self._taken.items()}
        chosen = {name: tuple(case.id for case in suite.cases) for name, suite in extra.items()}
        return replace(
            manifest,
            suites=(*manifest.suites, *extra.values()),
            selected={**manifest.selected, **chosen},
        )


def _info_suite(name: str, taken: Sequence[Scored]) -> Suite:
    specs: dict[str, ScorerSpec] = {}
    for scored in taken:
        specs.setdefault(scored.spec.name, scored.spec)
    return Suite(
        name=name,
        cases=tuple({scored.case.id: scored.case for scored in taken}.values()),
        scorers=tuple(specs.values()),
        trials=max(scored.row.trial for scored in taken) + 1,
        role="info",
        description="written in Python",
    )


def _scorer(entry: Mapping[str, Json]) -> tuple[ScorerSpec, Scorer]:
    try:
        spec = scorer_spec(entry)
        built = build(spec)
    except ParseError as error:
        _fail(f"score(...): {error}")
    if not isinstance(built, Scorer):
        _fail("score(...): judged scorers belong into suite files")
    return replace(spec, code=code_digest(spec.type)), built


def _fail(what: str) -> NoReturn:
    """Fail the test with a sentence at the line of the test that made the mistake."""
    calls = [frame for frame in traceback.extract_stack() if frame.filename != __file__]
    pytest.fail(f"{Path(calls[-1].filename).name}:{calls[-1].lineno}: {what}", pytrace=False)
