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
