"""A run as the arrays that statistics needs: per suite, case by trial, candidate and reference."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.records import Failure, Label, Manifest, Result, Role, Run, Suite, SuiteRole, record
from harness.verdict.boundaries import WHOLE, Look
from harness.verdict.comparison import case_score
from harness.verdict.labelled import PeopleScores, people_on, people_scores
from harness.verdict.pairedtests import TINY, Floats, Ints


@record
class SuiteScores:
    """What one suite measured, as numbers.

    `candidate` and `reference` have shape (cases, trials), values in 0..1, NaN where unscored; the
    two may differ in trials. `families` has shape (cases,): cases with the same number are not
    independent. `margin` is the largest acceptable loss of a guard or critical suite; None takes
    the default. `weight` is the suite's share among all guards. `people` is what people say about some
    of the answers that a judge scored. `look` says that this is a part of the suite's cases, or the last of several
    times they are judged.
    """

    name: str
    role: SuiteRole
    margin: float | None
    candidate: Floats
    reference: Floats
    families: Ints | None = None
    weight: float = 1.0
    people: PeopleScores | None = None
    look: Look = WHOLE


@record
class PairedScores:
    """A suite's cases that both models have a score for, trials averaged: one row per case.

    `binary` says that each case is one yes/no outcome per model, independent of the others.
    `families` is None when no two cases share one. `known` says which of all the suite's cases are here.
    `people` has the same rows. `partly` counts the cases of which some trials, not all, have no score.
    """

    candidate: Floats
    reference: Floats
    families: Ints | None
    binary: bool
    known: npt.NDArray[np.bool_]
    people: PeopleScores | None = None
    partly: int = 0

    @property
    def left_out(self) -> int:
        """Cases that a side has no score for."""
        return int(np.sum(~self.known))

    @property
    def differences(self) -> Floats:
        """Candidate minus reference, shape (cases,)."""
        return self.candidate - self.reference

    @property
    def better(self) -> int:
        """Cases on which the candidate's score is higher."""
        return int(np.sum(self.differences > TINY))

    @property
    def worse(self) -> int:
        """Cases on which the candidate's score is lower."""
        return int(np.sum(self.differences < -TINY))


def pair_scores(scores: SuiteScores) -> PairedScores:
    """Average the trials of each case and keep the cases both sides have a score for.

    Cases are the unit: counting trials as rows makes an unchanged model win two to three times too often.
    """
    candidate, reference = trial_means(scores.candidate), trial_means(scores.reference)
    gaps = np.isnan(scores.candidate).any(axis=1) | np.isnan(scores.reference).any(axis=1)
    known = ~(np.isnan(candidate) | np.isnan(reference))
    candidate, reference = candidate[known], reference[known]
    families = None if scores.families is None else scores.families[known]
    if families is not None and len(np.unique(families)) == len(families):
        families = None
    single = scores.candidate.shape[1] == 1 and scores.reference.shape[1] == 1
    yes_or_no = bool(np.isin(candidate, (0.0, 1.0)).all() and np.isin(reference, (0.0, 1.0)).all())
    return PairedScores(
        candidate=candidate,
        reference=reference,
        families=families,
        binary=single and yes_or_no and families is None,
        known=known,
        people=None if scores.people is None else people_on(scores.people, known),
        partly=int(np.sum(gaps & known)),
    )


def trial_means(values: Floats) -> Floats:
    """Each case's mean over its scored trials, shape (cases,); NaN without any."""
    scored = np.sum(~np.isnan(values), axis=1)
    totals = np.nansum(values, axis=1)
    means: Floats = np.where(scored > 0, totals / np.maximum(scored, 1), np.nan)
    return means


def check_scores(scores: Sequence[SuiteScores]) -> None:
    """Refuse arrays that no suite could have produced.

    Raises:
        UsageError: A name twice, a wrong shape, a value outside 0..1, a negative margin or weight.
    """
    names = [suite.name for suite in scores]
    if len(set(names)) < len(names):
        raise UsageError(f"suite names repeat: {', '.join(sorted(names))}", remedy="give each its own name")
    for suite in scores:
        _check_arrays(suite)
        if suite.margin is not None and not 0 <= suite.margin <= 1:
            raise UsageError(
                f"{suite.name}: margin {suite.margin} is outside 0..1", remedy="0.05 is 5 points"
            )
        if not 0 < suite.weight < float("inf"):
            raise UsageError(f"{suite.name}: weight {suite.weight} is not positive", remedy="1 is usual")


def _check_arrays(suite: SuiteScores) -> None:
    cases = len(suite.candidate)
    for side, values in (("candidate", suite.candidate), ("reference", suite.reference)):
        if values.ndim != 2 or len(values) != cases:
            raise UsageError(
                f"{suite.name}: {side} has shape {values.shape}",
                remedy=f"one row for each of the {cases} cases, one column per trial",
            )
        if np.any((values < 0) | (values > 1)):
            raise UsageError(f"{suite.name}: {side} has a score outside 0..1", remedy="scale the scores")
    if suite.families is not None and suite.families.shape != (cases,):
        raise UsageError(
            f"{suite.name}: families has shape {suite.families.shape}",
            remedy=f"one number per case: ({cases},)",
        )


# --- from a run ----------------------------------------------------------------------------------


def scores_of(run: Run, *, candidate: Role = "candidate", reference: Role) -> list[SuiteScores]:
    """The asked suites of a run as arrays, one row per case that counts.

    An answer that failed after its retries counts as 0 for the side that failed; where both failed, and
    where nobody was asked, it is NaN.
    """
    rows = rows_by_suite(run.results)
    return [
        suite_scores(
            suite,
            rows.get(suite.name, {}),
            roles=(candidate, reference),
            cases=cases,
            labels=run.labels,
            look=look_of(run.manifest, suite.name),
        )
        for suite in run.manifest.suites
        if (cases := run.manifest.counted.get(suite.name, ()))
    ]


def look_of(manifest: Manifest, suite: str) -> Look:
    """At which look of a suite a run ended; `WHOLE` where it is judged once."""
    looks = manifest.looks
    if looks is None or looks.taken is None or suite not in looks.cases:
        return WHOLE
    cases = len(manifest.selected[suite])
    return Look(shares=tuple(size / cases for size in looks.cases[suite][: looks.taken]))


def rows_by_suite(results: Sequence[Result]) -> dict[str, dict[Role, list[Result]]]:
    """Results sorted into suite and role."""
    rows: defaultdict[str, defaultdict[Role, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        rows[result.suite][result.role].append(result)
    return {suite: dict(roles) for suite, roles in rows.items()}


def suite_scores(
    suite: Suite,
    results: Mapping[Role, Sequence[Result]],
    *,
    roles: tuple[Role, Role],
    cases: Sequence[str],
    labels: Sequence[Label] = (),
    look: Look = WHOLE,
) -> SuiteScores:
    """One suite's results as arrays with a row for each id in `cases`, candidate and reference; see `scores_of`."""
    shape = (len(cases), suite.trials)
    new, new_lost = _fill(suite, results.get(roles[0], ()), cases=cases, shape=shape)
    old, old_lost = _fill(suite, results.get(roles[1], ()), cases=cases, shape=shape)
    # Two dead endpoints agree on everything: counted as 0 and 0 they would prove that nothing changed.
    on_both = new_lost & old_lost
    for values, lost in ((new, new_lost), (old, old_lost)):
        values[lost] = np.where(on_both[lost], np.nan, 0.0)
    return SuiteScores(
        name=suite.name,
        role=suite.role,
        margin=suite.margin,
        candidate=new,
        reference=old,
        families=families_of(suite, cases),
        weight=suite.weight,
        people=people_scores(suite, results, labels, roles=roles, cases=cases),
        look=look,
    )


def _fill(
    suite: Suite, results: Sequence[Result], *, cases: Sequence[str], shape: tuple[int, int]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    row_of = {case: row for row, case in enumerate(cases)}
    values, lost = np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_)
    for result in results:
        row = row_of.get(result.case)
        if row is None or not 0 <= result.trial < shape[1]:
            continue
        score = case_score(suite, result)
        values[row, result.trial] = np.nan if score is None else score
        lost[row, result.trial] = isinstance(result.outcome, Failure) and result.outcome.kind != "not_asked"
    return values, lost


def families_of(suite: Suite, cases: Sequence[str]) -> Ints | None:
    """The number of each case's family, shape (cases,); None when the suite has none."""
    if suite.family is None:
        return None
    metadata = {case.id: case.metadata for case in suite.cases}
    # A case that names no family is a family of its own; values of any JSON type compare by repr.
    names = [repr(metadata.get(case, {}).get(suite.family, ("alone", case))) for case in cases]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64)
