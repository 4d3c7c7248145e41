from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from harness.records import Gate, Label, Role, Run, Score, ScorerSpec, Suite
from harness.verdict import PREFERENCE, PeopleScores, SuiteScores, calibrate, decide, t_interval, verdict_of
from harness.verdict.calibration import trust_by
from harness.verdict.labelled import values_of
from tests.verdict.samples import answer, run_of, suite_of

JUDGE = ScorerSpec(type="judge", name="judge")
EXACT = ScorerSpec(type="exact_match", name="exact")
BOTH: tuple[Role, Role] = ("candidate", "base")
Values = Sequence[float]


def label(
    case: int,
    role: Role,
    value: float | None,
    *,
    annotator: str = "ann",
    question: str = "",
    weight: float = 1.0,
) -> Label:
    return Label(
        suite="routing",
        case=f"case-{case}",
        role=role,
        trial=0,
        scorer="judge",
        annotator=annotator,
        label=str(value),
        value=value,
        question=question,
        weight=weight,
    )


def judged_run(
    judge: Mapping[Role, Values],
    people: Mapping[Role, Values],
    *,
    labelled: Sequence[int],
    suite: Suite | None = None,
    others: Mapping[str, Mapping[Role, Values]] | None = None,
) -> Run:
    """A run in which the judge said these values, and people theirs on the labelled cases."""
    cases = len(judge["base"])
    suite = suite or suite_of(cases, scorers=(JUDGE,))
    rows = []
    for role in BOTH:
        for case in range(cases):
            scores = {"judge": Score(value=judge[role][case], reason="as judged")}
            for name, values in (others or {}).items():
                scores[name] = Score(value=values[role][case], reason="as compared")
            rows.append(answer(suite, case, role=role, scores=scores))
    labels = [label(case, role, people[role][case]) for role in BOTH for case in labelled]
    return replace(run_of(suite, results=rows), labels=tuple(labels))


def flattered(cases: int = 200) -> tuple[dict[Role, Values], dict[Role, Values]]:
    """Both models are good at every second case; the judge also finds half of the candidate's bad answers good."""
    truth = [float(case % 2 == 0) for case in range(cases)]
    kind = [1.0 if case % 4 == 1 else value for case, value in enumerate(truth)]
    return {"candidate": kind, "base": truth}, {"candidate": truth, "base": truth}


def test_a_flattering_judge_promotes_and_labels_take_it_back() -> None:
    judge, people = flattered()
    run = judged_run(judge, people, labelled=range(80))
    alone = verdict_of(replace(run, labels=()))
    corrected = verdict_of(run)
    assert alone.outcome == "promote"
    assert alone.suites["routing"].difference == pytest.approx(0.25)
    suite = corrected.suites["routing"]
    assert corrected.outcome == "undecided"
    assert suite.difference == pytest.approx(0.0, abs=1e-9)
    assert suite.candidate == pytest.approx(0.5)
    assert suite.reference == pytest.approx(0.5)
    assert suite.rule == "paired t, corrected by labels"
    assert "corrected by labels on 80 cases; by the judge alone +25, agreement 0.7" in suite.reason


def test_figures_add_up() -> None:
    rng = np.random.default_rng(3)
    judge: dict[Role, Values] = {role: rng.integers(0, 2, 120).astype(float).tolist() for role in BOTH}
    people = {role: np.where(rng.random(120) < 0.9, judge[role], 0.0).tolist() for role in BOTH}
    suite = verdict_of(judged_run(judge, people, labelled=range(0, 120, 2))).suites["routing"]
    assert suite.candidate is not None
    assert suite.reference is not None
    assert suite.difference == pytest.approx(suite.candidate - suite.reference)


def test_labels_of_a_right_judge_leave_a_real_gain_standing() -> None:
    truth: dict[Role, Values] = {
        "candidate": [float(case % 10 != 0) for case in range(200)],
        "base": [float(case % 10 > 4) for case in range(200)],
    }
    verdict = verdict_of(judged_run(truth, truth, labelled=range(60)))
    assert verdict.outcome == "promote"
    assert verdict.suites["routing"].difference == pytest.approx(0.4)


def test_below_a_kappa_of_four_tenths_a_suite_proves_nothing() -> None:
    rng = np.random.default_rng(4)
    judge: dict[Role, Values] = {"candidate": [1.0] * 150 + [0.0] * 50, "base": [0.0] * 150 + [1.0] * 50}
    people = {role: rng.integers(0, 2, 200).astype(float).tolist() for role in BOTH}
    run = judged_run(judge, people, labelled=range(0, 200, 2))
    verdict = verdict_of(run)
    assert verdict_of(replace(run, labels=())).outcome == "promote"
    assert verdict.outcome == "undecided"
    suite = verdict.suites["routing"]
    assert (suite.decision, suite.rule, suite.interval) == ("undecided", "judge not trusted", None)
    assert "its judge and people agree too little (agreement" in suite.reason
    assert any("another judge" in step for step in verdict.next_steps)


def test_a_guard_whose_judge_is_not_trusted_stands_in_the_way() -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 2, 100).astype(float).tolist()
    people = {role: rng.integers(0, 2, 100).astype(float).tolist() for role in BOTH}
    guard = suite_of(100, role="guard", scorers=(JUDGE,))
    run = judged_run({"candidate": values, "base": values}, people, labelled=range(80), suite=guard)
    target = suite_of(60, name="target")
    good = [answer(target, case, role="candidate", value=1.0) for case in range(60)]
    bad = [answer(target, case, role="base", value=0.0) for case in range(60)]
    manifest = replace(
        run.manifest,
        suites=(guard, target),
        selected={**run.manifest.selected, "target": tuple(case.id for case in target.cases)},
    )
    verdict = verdict_of(replace(run, manifest=manifest, results=(*run.results, *good, *bad)))
    assert verdict.suites["target"].decision == "pass"
    assert verdict.suites["routing"].rule == "judge not trusted"
    assert verdict.outcome == "undecided"


@pytest.mark.parametrize("metric", ["judge", "score"])
def test_a_gate_on_a_judged_metric_uses_the_corrected_figure_and_says_so(metric: str) -> None:
    judge, people = flattered()
    suite = suite_of(200, scorers=(JUDGE,), gates=(Gate(metric=metric, at_least=0.7),))
    run = judged_run(judge, people, labelled=range(80), suite=suite)
    (alone,), (corrected,) = verdict_of(replace(run, labels=())).gates, verdict_of(run).gates
    assert (alone.decision, alone.value) == ("pass", 0.75)
    assert corrected.decision == "fail"
    assert corrected.value == pytest.approx(0.5)
    assert corrected.interval is not None
    assert corrected.interval[0] < 0.5 < corrected.interval[1]
    assert "corrected by labels on 80 cases" in corrected.reason


def test_a_gate_on_a_metric_without_a_judge_stays_as_it_is() -> None:
    judge, people = flattered()
    exact: dict[Role, Values] = {"candidate": [1.0] * 200, "base": [1.0] * 200}
    suite = suite_of(200, scorers=(JUDGE, EXACT), gates=(Gate(metric="exact", at_least=1.0),))
    run = judged_run(judge, people, labelled=range(80), suite=suite, others={"exact": exact})
    (gate,) = verdict_of(run).gates
    assert (gate.decision, gate.value) == ("pass", 1.0)
    assert "corrected" not in gate.reason


def test_a_gate_is_undecided_when_judge_and_people_do_not_agree() -> None:
    rng = np.random.default_rng(6)
    judge: dict[Role, Values] = {role: rng.integers(0, 2, 100).astype(float).tolist() for role in BOTH}
    people = {role: rng.integers(0, 2, 100).astype(float).tolist() for role in BOTH}
    suite = suite_of(100, scorers=(JUDGE,), gates=(Gate(metric="judge", at_least=0.0),))
    (gate,) = verdict_of(judged_run(judge, people, labelled=range(90), suite=suite)).gates
    assert gate.decision == "undecided"
    assert "agree too little" in gate.reason


def test_only_the_judges_part_of_a_score_is_corrected() -> None:
    """Half of the score is exact: the candidate's judged half loses a quarter, its score an eighth."""
    judge, people = flattered()
    exact: dict[Role, Values] = {"candidate": [1.0] * 200, "base": [1.0] * 200}
    suite = suite_of(200, scorers=(JUDGE, EXACT))
    run = judged_run(judge, people, labelled=range(80), suite=suite, others={"exact": exact})
    found = verdict_of(run).suites["routing"]
    assert found.candidate == pytest.approx(0.75)
    assert found.difference == pytest.approx(0.0, abs=1e-9)
    whole = verdict_of(judged_run(judge, people, labelled=range(80))).suites["routing"]
    assert found.interval is not None
    assert whole.interval is not None
    assert np.ptp(found.interval) == pytest.approx(np.ptp(whole.interval) / 2, rel=0.01)


def test_one_label_changes_nothing() -> None:
    judge, people = flattered()
    run = judged_run(judge, people, labelled=[0])
    assert verdict_of(run) == verdict_of(replace(run, labels=()))


def test_labels_for_answers_the_run_does_not_have_are_left_out() -> None:
    judge, people = flattered()
    run = judged_run(judge, people, labelled=range(80))
    stray = label(7, "candidate", 1.0)
    more = (
        *run.labels,
        replace(stray, case="case-999"),
        replace(stray, trial=5),
        replace(stray, suite="gone"),
    )
    assert verdict_of(replace(run, labels=more)) == verdict_of(run)


def test_pairs_with_the_same_answers_are_not_corrected() -> None:
    """Everybody wrote the same: the labelled answers are those that differ, and say nothing about the others."""
    suite = suite_of(40, scorers=(JUDGE,))
    rows = []
    for case in range(40):
        value = 0.5 if case < 20 else 1.0
        for role, one in (("candidate", value), ("base", 1 - value)):
            row = answer(suite, case, role=role, scores={"judge": Score(value=one, reason="compared")})  # type: ignore[arg-type]
            text = "same" if case < 20 else f"{role}'s words"
            rows.append(replace(row, outcome=replace(row.outcome, text=text)))  # type: ignore[arg-type]
    labels = [
        label(case, role, value if role == "candidate" else 1 - value, question=PREFERENCE)
        for case in range(20, 40)
        for role in BOTH
        for value in [1.0 if case % 2 else 0.0]
    ]
    found = verdict_of(replace(run_of(suite, results=rows), labels=tuple(labels))).suites["routing"]
    # Of the 20 that differ the candidate wins half in people's eyes: no difference over all 40.
    assert found.difference == pytest.approx(0.0, abs=0.02)


# --- what people say -------------------------------------------------------------------------------


def test_several_people_count_as_their_mean_and_cannot_say_counts_for_nobody() -> None:
    labels = [
        label(0, "base", 1.0, annotator="ann"),
        label(0, "base", 0.0, annotator="bo"),
        label(1, "base", 1.0, annotator="ann"),
        label(1, "base", None, annotator="bo"),
        label(2, "base", None, annotator="bo"),
    ]
    assert values_of(labels) == {
        (("case-0", "base", 0), "judge"): 0.5,
        (("case-1", "base", 0), "judge"): 1.0,
    }


def test_criteria_count_by_their_weights_and_one_left_open_leaves_the_answer_open() -> None:
    labels = [
        label(0, "base", 1.0, question="humour", weight=3.0),
        label(0, "base", 0.0, question="tact"),
        label(1, "base", 1.0, question="humour", weight=3.0),
    ]
    assert values_of(labels) == {(("case-0", "base", 0), "judge"): 0.75}


@pytest.mark.parametrize(
    ("kappa", "word"),
    [
        (0.39, "none"),
        (0.4, "corrected"),
        (0.59, "corrected"),
        (0.6, "good"),
        (0.8, "good"),
        (0.81, "human"),
        (None, "human"),
    ],
)
def test_what_a_kappa_allows(kappa: float | None, word: str) -> None:
    assert trust_by(kappa) == word


# --- how often it is wrong -------------------------------------------------------------------------


def test_an_unchanged_model_with_a_flattering_judge_is_rarely_promoted_once_50_cases_are_labelled() -> None:
    """The judge finds a quarter of the candidate's bad answers good, of the reference's none: alone it promotes mostly."""
    rng = np.random.default_rng(8)
    promoted = {"alone": 0, "labelled": 0}
    for _ in range(60):
        people: dict[Role, Values] = {role: (rng.random(150) < 0.5).astype(float).tolist() for role in BOTH}
        kind = [1.0 if rng.random() < 0.25 else value for value in people["candidate"]]
        judge: dict[Role, Values] = {"candidate": kind, "base": people["base"]}
        run = judged_run(judge, people, labelled=sorted(rng.permutation(150)[:50]))
        promoted["labelled"] += verdict_of(run).outcome == "promote"
        promoted["alone"] += verdict_of(replace(run, labels=())).outcome == "promote"
    assert promoted["alone"] >= 30
    assert promoted["labelled"] <= 6


def test_a_corrected_difference_covers_the_true_one_however_cases_were_drawn() -> None:
    """One stratum is labelled four times as densely as the others; 300 runs with a judge that is off by nine points."""
    rng = np.random.default_rng(9)
    covered, errors = [], []
    for _ in range(300):
        people = (rng.random((200, 2)) < 0.7).astype(float)
        judge = np.where((people == 0) & (rng.random((200, 2)) < (0.3, 0.0)), 1.0, people)
        dense = judge[:, 0] != judge[:, 1]
        said = rng.random(200) < np.where(dense, 0.6, 0.15)
        found = calibrate(judge[:, 0], judge[:, 1], people=people_of(people, judge, said))
        assert found is not None
        low, high = t_interval(found.difference.mean)
        covered.append(low <= 0.0 <= high)
        errors.append(found.difference.mean.mean)
    assert np.mean(covered) >= 0.88
    assert abs(np.mean(errors)) < 0.01


def people_of(people: np.ndarray, judge: np.ndarray, said: np.ndarray) -> PeopleScores:
    rows = np.flatnonzero(said)
    columns = [np.where(said, values, np.nan) for values in (*people.T, *judge.T)]
    return PeopleScores(
        candidate=columns[0],
        reference=columns[1],
        candidate_seen=columns[2],
        reference_seen=columns[3],
        judged=np.ones(len(said), dtype=bool),
        pairs=np.stack([judge[rows].ravel(), people[rows].ravel()], axis=1),
        pair_cases=np.repeat(rows, 2),
    )


def test_decide_takes_scores_without_labels_as_before() -> None:
    scores = SuiteScores(
        name="s", role="target", margin=None, candidate=np.ones((30, 1)), reference=np.zeros((30, 1))
    )
    assert decide([scores]).outcome == "promote"
