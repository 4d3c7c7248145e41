"""From the arms' rows to an estimate: what doubling the data would bring, by suite and over the target suites."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.experiments.arms import Made
from harness.records import DoublingEstimate, Suite, record
from harness.verdict import estimate_doubling, families_of, mean_score

FEW_CASES = 2


@record
class Scores:
    """One suite at every size: cases' means over trials and seeds, shape (cases, sizes), and the covariance of their means."""

    values: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """The suite's score at each size."""
        means: NDArray[np.float64] = self.values.mean(axis=0)
        return means


def foretell(
    made: Iterable[Made], suites: Sequence[Suite]
) -> tuple[Mapping[str, DoublingEstimate], DoublingEstimate | None]:
    """The estimates of the target suites (of all, where none is one), and the pooled one, in which each of them counts alike.

    Guards have none: what the data does not teach need not grow with it, and learning curves say nothing of it.
    A suite has none where fewer than two sizes were asked, or fewer than two of its cases were scored at every size.
    Sizes with fewer seeds than others still count; the fewest seeds say how sure a score is.
    """
    by_share: defaultdict[float, list[Made]] = defaultdict(list)
    for one in made:
        if one.arm is not None:
            by_share[one.arm.share].append(one)
    if len(by_share) < 2:
        return {}, None
    columns = [by_share[share] for share in sorted(by_share)]
    # Seeds of one share may differ by a row or two: groups of rows stay together.
    sizes = [sum(one.order.share.rows for one in column) / len(column) for column in columns]
    seeds = min(map(len, columns))
    scored = {
        suite.name: scores for suite in targets_of(suites) if (scores := _scores(suite, columns)) is not None
    }
    estimates = {name: _estimated(sizes, [scores], seeds) for name, scores in scored.items()}
    pooled = _estimated(sizes, list(scored.values()), seeds) if scored else None
    return {name: found for name, found in estimates.items() if found is not None}, pooled


def targets_of(suites: Sequence[Suite]) -> list[Suite]:
    """The suites the training is for; all where none is a target."""
    return [suite for suite in suites if suite.role == "target"] or list(suites)


def _scores(suite: Suite, made: Sequence[Sequence[Made]]) -> Scores | None:
    columns = [_case_means(suite, column) for column in made]
    cases = [case.id for case in suite.cases if all(case.id in column for column in columns)]
    if len(cases) < FEW_CASES:
        return None
    values = np.array([[column[case] for column in columns] for case in cases])
    return Scores(values=values, covariance=_covariance(values, families_of(suite, cases)))


def _case_means(suite: Suite, made: Sequence[Made]) -> dict[str, float]:
    """Each case's mean over trials, then over seeds; only cases that every seed has a score of."""
    by_seed = []
    for one in made:
        rows = defaultdict(list)
        for row in one.rows:
            if row.suite == suite.name:
                rows[row.case].append(row)
        by_seed.append({case: mean_score(suite, found) for case, found in rows.items()})
    means = {}
    for case in suite.cases:
        scores = [seed.get(case.id) for seed in by_seed]
        known = [score for score in scores if score is not None]
        if len(known) == len(scores):
            means[case.id] = sum(known) / len(known)
    return means


def _covariance(values: NDArray[np.float64], families: NDArray[np.intp] | None) -> NDArray[np.float64]:
    """Of the sizes' means; cases of one family count together, as in the verdict's standard errors."""
    rest = values - values.mean(axis=0)
    groups = np.arange(len(rest)) if families is None else np.unique(families, return_inverse=True)[1]
    sums = np.zeros((int(groups.max()) + 1, rest.shape[1]))
    np.add.at(sums, groups, rest)
    count = len(sums)
    scale = count / max(count - 1, 1) / len(rest) ** 2
    covariance: NDArray[np.float64] = scale * sums.T @ sums
    return covariance


def _estimated(sizes: Sequence[float], scores: Sequence[Scores], seeds: int) -> DoublingEstimate | None:
    means = np.mean([one.means for one in scores], axis=0)
    covariance = np.sum([one.covariance for one in scores], axis=0) / len(scores) ** 2
    cases = sum(len(one.values) for one in scores)
    try:
        return estimate_doubling(sizes, means.tolist(), cases=cases, seeds=seeds, covariance=covariance)
    except UsageError:
        return None  # all sizes so near to each other that they tell nothing of a doubling
