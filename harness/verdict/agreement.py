"""How far do a judge and people agree on the same answers, and people among each other?"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean

import numpy as np

from harness.records import Label, Result, Run, record
from harness.reliability import kappa, reliability_of
from harness.verdict.calibration import case_weights
from harness.verdict.labelled import PREFERENCE, AnswerKey
from harness.verdict.pairedtests import Floats
from harness.verdict.scores import PairedScores

_RESAMPLES = 500
_CONFIDENCE = 0.90


@record
class Agreement:
    """One question of one scorer: what the judge says beside what people say.

    `question` is empty where a scorer has but one. `kappa` counts equal values (the judge's taken to the nearest that
    people gave), `weighted` squared differences, with its 90 % interval; both count each label as often as it stands for others. `alpha` is
    Krippendorff's, the judge one rater more. None where nothing could disagree. `people_kappa` is the mean over pairs of
    people, `shared` the answers that several labelled; `labelled` and `cannot_say` count labels.
    """

    scorer: str
    question: str
    answers: int
    kappa: float | None
    weighted: float | None
    interval: tuple[float, float] | None
    alpha: float | None
    labelled: int = 0
    cannot_say: int = 0
    people: int = 1
    shared: int = 0
    people_kappa: float | None = None
    people_alpha: float | None = None


@record
class _Answer:
    """One labelled answer: the judge's value, people's by name, and how many answers it stands for."""

    case: int
    judge: float
    people: Mapping[str, float]
    weight: float


def agreements(run: Run, suite: str, *, paired: PairedScores) -> tuple[Agreement, ...]:
    """The agreement on each question of a suite that people answered.

    Args:
        run: The run with its labels.
        suite: The suite's name.
        paired: The suite's scores, which say how the labelled cases were drawn.
    """
    asked: defaultdict[tuple[str, str], list[Label]] = defaultdict(list)
    for label in run.labels:
        if label.suite == suite and not (label.question == PREFERENCE and label.role != "candidate"):
            asked[label.scorer, label.question].append(label)
    rows: dict[AnswerKey, Result] = {
        (row.case, row.role, row.trial): row for row in run.results if row.suite == suite
    }
    weights = _weights(run, suite, paired)
    return tuple(
        _agreement(scorer, question, labels=labels, answers=list(_answers(labels, rows, weights)))
        for (scorer, question), labels in asked.items()
    )


def _weights(run: Run, suite: str, paired: PairedScores) -> dict[str, float]:
    counted = run.manifest.counted[suite]
    cases = [case for case, known in zip(counted, paired.known, strict=True) if known]
    return dict(zip(cases, case_weights(paired).tolist(), strict=True))


def _answers(
    labels: Sequence[Label], rows: Mapping[AnswerKey, Result], weights: Mapping[str, float]
) -> Iterator[_Answer]:
    """The answers that the judge gave a value and somebody a label; one that stands alone in its case counts once."""
    said: defaultdict[AnswerKey, dict[str, float]] = defaultdict(dict)
    for label in labels:
        if label.value is not None:
            said[label.case, label.role, label.trial][label.annotator] = label.value
    numbers = {case: number for number, case in enumerate(dict.fromkeys(case for case, *_ in said))}
    for key, people in said.items():
        row = rows.get(key)
        judge = _judged(row, labels[0]) if row is not None else None
        if judge is not None:
            weight = weights.get(key[0], 0.0) or 1.0
            yield _Answer(case=numbers[key[0]], judge=judge, people=people, weight=weight)


def _judged(row: Result, label: Label) -> float | None:
    """The judge's value on one question: the measure of its name, where the scorer reports one."""
    score = row.scores.get(label.scorer)
    if score is None or score.value is None:
        return None
    return score.measures.get(label.question, score.value)


def _agreement(
    scorer: str, question: str, *, labels: Sequence[Label], answers: Sequence[_Answer]
) -> Agreement:
    people = np.array([fmean(answer.people.values()) for answer in answers])
    judge = np.array([answer.judge for answer in answers])
    weights = np.array([answer.weight for answer in answers])
    levels = np.unique([0.0, 1.0, *(value for answer in answers for value in answer.people.values())])
    near_people, near_judge = _nearest(people, levels), _nearest(judge, levels)
    shared = [answer for answer in answers if len(answer.people) > 1]
    return Agreement(
        scorer=scorer,
        question=question,
        answers=len(answers),
        kappa=kappa(near_judge, near_people, weights=weights),
        weighted=kappa(judge, people, weights=weights, quadratic=True),
        interval=_interval(judge, people, weights=weights, cases=np.array([one.case for one in answers])),
        alpha=_alpha(
            [
                (*answer.people.values(), near)
                for answer, near in zip(answers, near_judge.tolist(), strict=True)
            ]
        ),
        labelled=sum(label.value is not None for label in labels),
        cannot_say=sum(label.value is None for label in labels),
        people=len({label.annotator for label in labels}),
        shared=len(shared),
        people_kappa=_among(shared),
        people_alpha=_alpha([tuple(answer.people.values()) for answer in shared]),
    )


def _nearest(values: Floats, levels: Floats) -> Floats:
    near: Floats = levels[np.abs(values[:, None] - levels[None, :]).argmin(axis=1)]
    return near


def _alpha(votes: Sequence[tuple[float, ...]]) -> float | None:
    found = reliability_of(Counter(tuple(sorted(vote)) for vote in votes)) if votes else None
    return found.alpha if found is not None else None


def _among(answers: Sequence[_Answer]) -> float | None:
    """The mean kappa over pairs of people who labelled the same answers."""
    people = sorted({name for answer in answers for name in answer.people})
    found = []
    for first, second in combinations(people, 2):
        both = [answer.people for answer in answers if first in answer.people and second in answer.people]
        one = kappa(np.array([said[first] for said in both]), np.array([said[second] for said in both]))
        if one is not None:
            found.append(one)
    return fmean(found) if found else None


def _interval(judge: Floats, people: Floats, *, weights: Floats, cases: Floats) -> tuple[float, float] | None:
    """The 90 % interval of the weighted kappa: a bootstrap over cases, because a case's answers belong together."""
    if len(judge) < 2:
        return None
    generator = np.random.default_rng(0)
    members = [np.flatnonzero(cases == case) for case in np.unique(cases)]
    found = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate(
            [members[index] for index in generator.integers(0, len(members), len(members))]
        )
        one = kappa(judge[drawn], people[drawn], weights=weights[drawn], quadratic=True)
        if one is not None:
            found.append(one)
    if not found:
        return None
    edge = (1 - _CONFIDENCE) / 2
    return float(np.quantile(found, edge)), float(np.quantile(found, 1 - edge))
