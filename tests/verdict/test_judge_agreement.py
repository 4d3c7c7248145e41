from dataclasses import replace

import pytest

from harness.records import Label, Role, Run, Score, ScorerSpec
from harness.verdict import Agreement, agreements, pair_scores, scores_of
from tests.verdict.samples import answer, run_of, suite_of

RUBRIC = ScorerSpec(type="rubric", name="manners")
BOTH: tuple[Role, Role] = ("candidate", "base")


def said(case: int, role: Role, value: float | None, *, by: str, question: str = "kind") -> Label:
    return Label(
        suite="routing",
        case=f"case-{case}",
        role=role,
        trial=0,
        scorer="manners",
        annotator=by,
        label=str(value),
        value=value,
        question=question,
    )


def judged(labels: list[Label], *, cases: int = 4) -> Run:
    """The judge finds even cases kind and all of them brief; as a whole each answer is halfway good."""
    suite = suite_of(cases, scorers=(RUBRIC,))
    rows = [
        answer(
            suite,
            case,
            role=role,
            scores={
                "manners": Score(value=0.5, reason="", measures={"kind": float(case % 2 == 0), "brief": 1.0})
            },
        )
        for role in BOTH
        for case in range(cases)
    ]
    return replace(run_of(suite, results=rows), labels=tuple(labels))


def agreed(run: Run) -> tuple[Agreement, ...]:
    (scores,) = scores_of(run, reference="base")
    return agreements(run, "routing", paired=pair_scores(scores))


def test_each_criterion_is_compared_with_the_judges_value_on_it() -> None:
    labels = [said(case, role, float(case % 2 == 0), by="ann") for case in range(4) for role in BOTH]
    labels += [said(case, role, 0.0, by="ann", question="brief") for case in range(4) for role in BOTH]
    kind, brief = agreed(judged(labels))
    assert (kind.question, kind.answers, kind.kappa, kind.weighted, kind.alpha) == ("kind", 8, 1.0, 1.0, 1.0)
    assert kind.interval == (1.0, 1.0)
    assert (brief.question, brief.kappa) == ("brief", 0.0)


def test_people_are_compared_where_several_labelled_the_same() -> None:
    labels = [said(case, "base", float(case < 2), by="ann") for case in range(4)]
    labels += [said(case, "base", float(case < 1), by="bo") for case in range(4)]
    labels += [said(3, "candidate", None, by="cy")]
    (found,) = agreed(judged(labels))
    assert (found.people, found.shared, found.cannot_say) == (3, 4, 1)
    assert found.people_kappa == pytest.approx(0.5)
    assert found.people_alpha == pytest.approx(0.533, abs=1e-3)


def test_one_person_agrees_with_nobody_else() -> None:
    (found,) = agreed(judged([said(0, "base", 1.0, by="ann"), said(1, "base", 0.0, by="ann")]))
    assert (found.people, found.shared, found.people_kappa, found.people_alpha) == (1, 0, None, None)


def one_question(values: list[float], labels: list[Label]) -> Run:
    """The base's answers with the judge's `values`, the candidate's all good; nothing is asked of single criteria."""
    run = judged(labels, cases=len(values))
    (suite,) = run.manifest.suites
    rows = [
        answer(suite, case, role="base", scores={"manners": Score(value=value, reason="")})
        for case, value in enumerate(values)
    ]
    rows += [
        answer(suite, case, scores={"manners": Score(value=1.0, reason="")}) for case in range(len(values))
    ]
    return replace(run, results=tuple(rows))


def on_base(*values: float | None, by: str = "ann") -> list[Label]:
    return [said(case, "base", value, by=by, question="") for case, value in enumerate(values)]


def test_kappa_is_cohens() -> None:
    # Of eight answers six alike; by chance (4 x 4 + 4 x 4) / 64 = 1/2 would be.
    run = one_question([1, 1, 1, 0, 1, 0, 0, 0], on_base(1, 1, 1, 1, 0, 0, 0, 0))
    (found,) = agreed(run)
    assert (found.answers, found.labelled, found.people, found.cannot_say) == (8, 8, 1, 0)
    assert found.kappa == pytest.approx((6 / 8 - 1 / 2) / (1 - 1 / 2))
    # Of yes and no every square is 0 or 1, so that the weighted one is the same.
    assert found.weighted == pytest.approx(found.kappa)
    # Krippendorff's: 1 - (n - 1) Do / De over the sixteen values, 8 of each; four of them stand in the two that differ.
    assert found.alpha == pytest.approx(1 - 15 * 4 / (2 * 8 * 8))


def test_the_interval_is_that_of_cases_drawn_anew() -> None:
    run = one_question([1, 1, 1, 0, 1, 0, 0, 0] * 5, on_base(*[1, 1, 1, 1, 0, 0, 0, 0] * 5))
    (found,) = agreed(run)
    assert found.weighted is not None
    assert found.interval is not None
    low, high = found.interval
    # The error of kappa is near sqrt(p (1 - p) / n) / (1 - chance); 1.645 of it lie on each side in nine of ten draws.
    half = 1.645 * (0.75 * 0.25 / 40) ** 0.5 / 0.5
    assert (found.weighted - low, high - found.weighted) == pytest.approx((half, half), abs=0.06)


def test_values_between_levels_are_taken_to_the_nearest_that_people_gave() -> None:
    run = one_question([0.1, 0.9, 0.4, 0.6], on_base(0.0, 1.0, 0.5, 0.5))
    (found,) = agreed(run)
    assert found.kappa == 1.0
    assert found.weighted is not None
    assert 0.9 < found.weighted < 1.0


def test_answers_the_judge_left_open_or_never_saw_are_not_compared() -> None:
    run = one_question([1, 0, 1, 0], [*on_base(1, 0, 1, 0), said(9, "base", 1.0, by="ann", question="")])
    suite = run.manifest.suites[0]
    unscored = answer(suite, 3, role="base", scores={"manners": Score(value=None, reason="garbled")})
    missing = answer(suite, 2, role="base", scores={})
    run = replace(run, results=(*run.results[:2], missing, unscored, *run.results[4:]))
    (found,) = agreed(run)
    assert (found.answers, found.labelled, found.kappa) == (2, 5, 1.0)


def test_one_answer_has_no_interval() -> None:
    (found,) = agreed(one_question([1.0, 0.0], on_base(1.0)))
    assert (found.answers, found.interval) == (1, None)


def test_where_nothing_could_disagree_there_is_no_agreement() -> None:
    (found,) = agreed(one_question([1.0] * 4, on_base(1.0, 1.0, 1.0, 1.0)))
    assert (found.kappa, found.weighted, found.interval, found.alpha) == (None, None, None, None)


def test_people_who_share_no_answers_do_not_change_the_mean_over_pairs() -> None:
    labels = [*on_base(1, 1, 0, 0), *on_base(1, 0, 0, 0, by="bo")]
    labels += [said(case, "candidate", 1.0, by="cy", question="") for case in range(4)]
    (found,) = agreed(one_question([1, 1, 0, 0], labels))
    assert (found.people, found.shared) == (3, 4)
    assert found.people_kappa == pytest.approx(0.5)


def test_of_a_comparison_each_pair_counts_once_and_other_suites_do_not_count() -> None:
    labels = [
        said(case, role, float(case % 2), by="ann", question="which answer is better")
        for case in range(4)
        for role in BOTH
    ]
    other = replace(labels[0], suite="elsewhere")
    (found,) = agreed(one_question([1, 0, 1, 0], [*labels, other]))
    assert (found.answers, found.labelled) == (4, 4)
