"""A run's cases as rows of a list: what became of each, by what it can be found, narrowed and sorted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

from harness.records import Case, Completion, Failure, Json, Result, Role, Suite, record
from harness.report.case_texts import excerpt, finite
from harness.report.history import CaseKey
from harness.report.material import Material
from harness.verdict import is_good


@record
class Row:
    """One case in the list. `marks` are words it is found by besides its change; scores are means over trials."""

    key: CaseKey
    case: Case
    suite: int
    change: str
    marks: tuple[str, ...]
    scores: Mapping[Role, float | None]
    by_scorer: tuple[Mapping[Role, float | None], ...]
    tokens: float | None

    def is_shown(self, show: str) -> bool:
        """Whether a way to narrow the list leaves this case."""
        return show in {"all", self.change} or show in self.marks


def rows_of(material: Material) -> Iterator[Row]:
    """The cases that were selected or answered, in the order of their suites."""
    changes = material.changes()
    for number, suite in enumerate(material.run.manifest.suites):
        selected = set(material.run.manifest.selected.get(suite.name, ()))
        for case in suite.cases:
            key = (suite.name, case.id)
            answers = material.answers.get(key, {})
            if case.id not in selected and not answers:
                continue
            scores = {role: material.scores.get(key, {}).get(role) for role in material.roles}
            compared = changes.get(key)
            yield Row(
                key=key,
                case=case,
                suite=number,
                change=(compared and compared.change) or "uncompared",
                marks=tuple(_marks(suite, case, answers, scores)),
                scores=scores,
                by_scorer=tuple(_by_scorer(suite, answers, material.roles)),
                tokens=_mean_tokens(answers.get("candidate", ())),
            )


def as_data(row: Row, *, roles: Sequence[Role], tags: Mapping[str, int]) -> dict[str, Json]:
    """A row as plain data; tags as their numbers, scores in the order of the roles."""
    return {
        "suite": row.suite,
        "id": row.case.id,
        "required": row.case.required,
        "start": excerpt(row.case),
        "tags": [tags[tag] for tag in row.case.tags],
        "change": row.change,
        "marks": list(row.marks),
        "scores": [finite(row.scores[role]) for role in roles],
        "by": [[finite(scores[role]) for role in roles] for scores in row.by_scorer],
        "tokens": finite(row.tokens),
    }


def _marks(
    suite: Suite,
    case: Case,
    answers: Mapping[Role, Sequence[Result]],
    scores: Mapping[Role, float | None],
) -> Iterator[str]:
    if case.required and answers.get("candidate") and not is_good(suite, scores.get("candidate")):
        yield "required"
    results = [row for rows in answers.values() for row in rows]
    for mark, is_so in _CROSSING.items():
        if any(is_so(row) for row in results):
            yield mark


def _is_refusal(row: Result) -> bool:
    if isinstance(row.outcome, Failure):
        return False
    told = (score.measures.get("refusal_rate", 0.0) for score in row.scores.values())
    return row.outcome.refusal is not None or any(rate > 0 for rate in told)


def _is_error(row: Result) -> bool:
    return isinstance(row.outcome, Failure)


def _is_unscored(row: Result) -> bool:
    return any(score.value is None for score in row.scores.values())


_CROSSING: Mapping[str, Callable[[Result], bool]] = {
    "refusals": _is_refusal,
    "errors": _is_error,
    "unscored": _is_unscored,
}


def _by_scorer(
    suite: Suite, answers: Mapping[Role, Sequence[Result]], roles: Sequence[Role]
) -> Iterator[dict[Role, float | None]]:
    """What each scorer of the suite gave; nothing where there is but one, whose scores are the case's."""
    for spec in suite.scorers if len(suite.scorers) > 1 else ():
        yield {role: _mean_of(spec.name, answers.get(role, ())) for role in roles}


def _mean_of(scorer: str, results: Sequence[Result]) -> float | None:
    known = [
        score.value
        for row in results
        if (score := row.scores.get(scorer)) is not None and score.value is not None
    ]
    return fmean(known) if known else None


def _mean_tokens(results: Sequence[Result]) -> float | None:
    known = [
        row.outcome.usage.completion_tokens
        for row in results
        if isinstance(row.outcome, Completion) and row.outcome.usage.completion_tokens is not None
    ]
    return fmean(known) if known else None
