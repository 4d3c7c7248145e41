"""People's labels as arrays beside a suite's scores: what each labelled answer would score with people in the judge's place."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
import numpy.typing as npt

from harness.records import Completion, Failure, Label, Result, Role, Suite, record
from harness.verdict.comparison import case_score
from harness.verdict.pairedtests import Floats, Ints

PREFERENCE = "which answer is better"
"""The question of labels that compare two answers; of two that are the same there is nothing to ask."""

AnswerKey = tuple[str, Role, int]
"""A case's id, a role, a trial: one answer of a suite."""


@record
class PeopleScores:
    """What people make of some cases of a suite, one row per case, NaN where nobody labelled both sides.

    `candidate` and `reference` have shape (cases,): the score of the labelled answer with people's values in the judge's place.
    `candidate_seen` and `reference_seen` are the scores of the same answers as the judge has them. `judged` says
    which cases the judge has scored on both sides at all. `pairs` holds what the judge and people gave, shape (labels, 2), and
    `pair_cases` the row of each. `reach` is the judge's share of a score.
    """

    candidate: Floats
    reference: Floats
    candidate_seen: Floats
    reference_seen: Floats
    judged: npt.NDArray[np.bool_]
    pairs: Floats
    pair_cases: Ints
    reach: float = 1.0


def people_on(people: PeopleScores, kept: npt.NDArray[np.bool_]) -> PeopleScores:
    """The same for some of the cases, `kept` of shape (cases,)."""
    rows = np.cumsum(kept) - 1
    inside = kept[people.pair_cases]
    return replace(
        people,
        candidate=people.candidate[kept],
        reference=people.reference[kept],
        candidate_seen=people.candidate_seen[kept],
        reference_seen=people.reference_seen[kept],
        judged=people.judged[kept],
        pairs=people.pairs[inside],
        pair_cases=rows[people.pair_cases[inside]],
    )


@record
class Side:
    """One labelled answer: its score as the judge has it and as people do, and both values of each judged scorer."""

    seen: float
    people: float
    pairs: tuple[tuple[float, float], ...]


def people_scores(
    suite: Suite,
    results: Mapping[Role, Sequence[Result]],
    labels: Sequence[Label],
    *,
    roles: tuple[Role, Role],
    cases: Sequence[str],
) -> PeopleScores | None:
    """What people say about a suite's cases, candidate and reference; None where nobody labelled any.

    A case counts as labelled when every judged scorer of an answer of each side has a value by people: the mean of all
    who could say.
    """
    values = values_of(label for label in labels if label.suite == suite.name)
    scorers = {spec.name: spec.weight for spec in suite.scorers if spec.name in {name for _, name in values}}
    if not scorers:
        return None
    sides = [_sides(suite, results.get(role, ()), scorers=tuple(scorers), values=values) for role in roles]
    scored = frozenset.intersection(*(_scored(results.get(role, ()), tuple(scorers)) for role in roles))
    asked = {label.question for label in labels if label.suite == suite.name and label.scorer in scorers}
    if asked == {PREFERENCE}:
        scored -= _same_answers(results, roles)
    table = np.full((len(cases), 4), np.nan)
    pairs: list[tuple[float, float]] = []
    pair_cases: list[int] = []
    for row, case in enumerate(cases):
        new, old = (side.get(case) for side in sides)
        if new is not None and old is not None:
            table[row] = new.people, old.people, new.seen, old.seen
            found = (*new.pairs, *old.pairs)
            pairs += found
            pair_cases += [row] * len(found)
    return PeopleScores(
        candidate=table[:, 0],
        reference=table[:, 1],
        candidate_seen=table[:, 2],
        reference_seen=table[:, 3],
        judged=np.array([case in scored for case in cases], dtype=np.bool_),
        pairs=np.array(pairs, dtype=np.float64).reshape(-1, 2),
        pair_cases=np.array(pair_cases, dtype=np.int64),
        reach=math.fsum(scorers.values()) / math.fsum(spec.weight for spec in suite.scorers),
    )


def values_of(labels: Iterable[Label]) -> dict[tuple[AnswerKey, str], float]:
    """What people say each scorer should have given to an answer of one suite: the mean over those who answered all its questions."""
    said: defaultdict[tuple[AnswerKey, str], defaultdict[str, list[Label]]] = defaultdict(
        lambda: defaultdict(list)
    )
    questions: defaultdict[str, set[str]] = defaultdict(set)
    for label in labels:
        said[(label.case, label.role, label.trial), label.scorer][label.annotator].append(label)
        questions[label.scorer].add(label.question)
    found = {
        key: [
            value
            for theirs in people.values()
            if (value := _one_value(theirs, questions=len(questions[key[1]]))) is not None
        ]
        for key, people in said.items()
    }
    return {key: fmean(values) for key, values in found.items() if values}


def _one_value(labels: Sequence[Label], *, questions: int) -> float | None:
    """One person's value: the mean over the scorer's questions by their weights; None when one was left open."""
    known = [(label.weight, label.value) for label in labels if label.value is not None]
    if len(known) < questions:
        return None
    total = math.fsum(weight for weight, _ in known)
    return math.fsum(weight * value for weight, value in known) / total


def _sides(
    suite: Suite,
    results: Sequence[Result],
    *,
    scorers: Sequence[str],
    values: Mapping[tuple[AnswerKey, str], float],
) -> dict[str, Side]:
    """The labelled answer of each case of one role: the first trial on which people answered everything."""
    found: dict[str, Side] = {}
    for result in sorted(results, key=lambda row: row.trial):
        key: AnswerKey = (result.case, result.role, result.trial)
        if result.case in found or any((key, scorer) not in values for scorer in scorers):
            continue
        people = {scorer: values[key, scorer] for scorer in scorers}
        side = _side(suite, result, people)
        if side is not None:
            found[result.case] = side
    return found


def _side(suite: Suite, result: Result, people: Mapping[str, float]) -> Side | None:
    """None where the judge gave no value: there is nothing to compare with."""
    pairs = [
        (score.value, value)
        for scorer, value in people.items()
        if (score := result.scores.get(scorer)) is not None and score.value is not None
    ]
    if len(pairs) < len(people):
        return None
    replaced = {
        name: replace(score, value=people[name]) if name in people else score
        for name, score in result.scores.items()
    }
    seen, theirs = case_score(suite, result), case_score(suite, replace(result, scores=replaced))
    return None if seen is None or theirs is None else Side(seen=seen, people=theirs, pairs=tuple(pairs))


def _scored(results: Sequence[Result], scorers: Sequence[str]) -> frozenset[str]:
    """The cases of which the judge scored some answer."""
    return frozenset(result.case for result in results if all(_has_value(result, scorers)))


def _same_answers(results: Mapping[Role, Sequence[Result]], roles: tuple[Role, Role]) -> frozenset[str]:
    """The cases that both roles answered alike, in all trials: a tie whoever looks."""
    said: list[dict[str, list[Completion | Failure]]] = [{}, {}]
    for by_case, role in zip(said, roles, strict=True):
        for row in sorted(results.get(role, ()), key=lambda row: row.trial):
            by_case.setdefault(row.case, []).append(row.outcome)
    return frozenset(
        case for case, outcomes in said[0].items() if _texts(outcomes) == _texts(said[1].get(case, []))
    )


def _texts(outcomes: Sequence[Completion | Failure]) -> list[tuple[object, ...]]:
    return [
        (outcome.text.strip(), outcome.refusal, outcome.tool_calls)
        for outcome in outcomes
        if isinstance(outcome, Completion)
    ]


def _has_value(result: Result, scorers: Sequence[str]) -> Iterator[bool]:
    for scorer in scorers:
        score = result.scores.get(scorer)
        yield score is not None and score.value is not None
