import pytest

from harness.records import Gate, GateFinding, Result, Role, Score, ScorerSpec, Suite, Usage
from harness.verdict import describe_gate, judge_gate
from tests.verdict.samples import answer, answers, failure, suite_of


def judge(gate: Gate, suite: Suite, *rows: Result) -> GateFinding:
    by_role: dict[Role, list[Result]] = {}
    for row in rows:
        by_role.setdefault(row.role, []).append(row)
    return judge_gate(suite, gate, results=by_role, reference="base")


def test_the_mean_of_a_scorer_is_compared_with_the_bound() -> None:
    suite = suite_of(10)
    rows = answers(suite, [1.0] * 8 + [0.0] * 2)
    assert judge(Gate(metric="label", at_least=0.8), suite, *rows).decision == "pass"
    failed = judge(Gate(metric="label", at_least=0.85), suite, *rows)
    assert failed.decision == "fail"
    assert failed.value == pytest.approx(0.8)
    assert failed.interval == pytest.approx((0.490162, 0.964464), abs=1e-6)  # mended Wilson, 8 of 10
    assert failed.reason == ("routing: label is 0.8 (likely 0.49 to 0.96); at least 0.85 is asked: not met")


def test_trials_are_averaged_before_cases() -> None:
    suite = suite_of(2, trials=3)
    rows = [answer(suite, 0, value=1.0, trial=trial) for trial in range(3)]
    rows += [answer(suite, 1, value=float(trial == 0), trial=trial) for trial in range(3)]
    finding = judge(Gate(metric="score", at_least=0.6), suite, *rows)
    assert finding.value == pytest.approx(2 / 3)
    assert finding.interval is None


def test_missing_cases_that_cannot_change_the_answer_do_not_hide_it() -> None:
    suite = suite_of(10)
    rows = answers(suite, [1.0] * 9)
    assert judge(Gate(metric="label", at_least=0.9), suite, *rows).decision == "pass"
    assert judge(Gate(metric="label", at_most=0.8), suite, *rows).decision == "fail"


def test_missing_cases_that_could_change_the_answer_leave_it_open() -> None:
    suite = suite_of(10)
    rows = [*answers(suite, [1.0] * 7 + [None]), failure(suite, 8)]
    finding = judge(Gate(metric="label", at_least=0.8), suite, *rows)
    assert finding.decision == "undecided"
    assert "1 case not answered, 1 case not asked, 1 case unscored, which leaves this open" in finding.reason


def test_a_failed_trial_is_missing_within_its_case() -> None:
    suite = suite_of(1, trials=2)
    rows = [answer(suite, 0, value=1.0), failure(suite, 0, trial=1)]
    assert judge(Gate(metric="label", at_least=0.5), suite, *rows).decision == "pass"
    assert judge(Gate(metric="label", at_least=0.6), suite, *rows).decision == "undecided"


@pytest.mark.parametrize("metric", ["tokens", "prompt_tokens", "completion_tokens", "latency_s"])
def test_a_quantity_without_limit_is_undecided_when_one_case_is_missing(metric: str) -> None:
    suite = suite_of(2)
    usage = Usage(prompt_tokens=20, completion_tokens=5)
    rows = [answer(suite, case, usage=usage) for case in range(2)]
    assert judge(Gate(metric=metric, at_most=100), suite, *rows).decision == "pass"
    assert judge(Gate(metric=metric, at_most=0.1), suite, *rows).decision == "fail"
    assert judge(Gate(metric=metric, at_most=100), suite, rows[0]).decision == "undecided"


def test_tokens_an_endpoint_does_not_count_are_missing() -> None:
    suite = suite_of(1)
    row = answer(suite, 0, usage=Usage(prompt_tokens=20))
    assert judge(Gate(metric="prompt_tokens", at_most=20), suite, row).decision == "pass"
    assert judge(Gate(metric="tokens", at_most=100), suite, row).decision == "undecided"


def test_a_ratio_refers_to_the_reference() -> None:
    suite = suite_of(2)
    rows = [answer(suite, case, usage=Usage(prompt_tokens=50, completion_tokens=10)) for case in range(2)]
    rows += [
        answer(suite, case, role="base", usage=Usage(prompt_tokens=140, completion_tokens=10))
        for case in range(2)
    ]
    finding = judge(Gate(metric="tokens", at_most_ratio=0.4), suite, *rows)
    assert (finding.decision, finding.value, finding.reference) == ("pass", 60, 150)
    assert judge(Gate(metric="tokens", at_most_ratio=0.39), suite, *rows).decision == "fail"
    assert judge(Gate(metric="tokens", at_least_ratio=0.41), suite, *rows).decision == "fail"


def test_a_ratio_without_a_reference_is_undecided() -> None:
    suite = suite_of(1)
    finding = judge(Gate(metric="label", at_least_ratio=0.5), suite, *answers(suite, [1.0]))
    assert finding.decision == "undecided"
    assert "that of base is unknown" in finding.reason


def test_an_absolute_gate_does_not_care_about_the_reference() -> None:
    suite = suite_of(1)
    row = failure(suite, 0, role="base")
    finding = judge(Gate(metric="label", at_least=0.5), suite, *answers(suite, [1.0]), row)
    assert finding.decision == "pass"
    assert "base" not in finding.reason


def test_a_measure_is_a_metric_of_its_own() -> None:
    suite = suite_of(4)
    rows = [
        answer(
            suite,
            case,
            scores={"label": Score(value=None, reason="unsure", measures={"refusal_rate": float(case == 0)})},
        )
        for case in range(4)
    ]
    finding = judge(Gate(metric="refusal_rate", at_most=0.3), suite, *rows)
    assert (finding.decision, finding.value) == ("pass", 0.25)
    assert judge(Gate(metric="refusal_rate", at_most=0.4), suite, *rows[:3]).decision == "undecided"
    assert judge(Gate(metric="refusal_rate", at_most=0.5), suite, *rows[:3]).decision == "pass"


def test_an_unknown_metric_is_undecided_and_names_the_nearest() -> None:
    suite = suite_of(1)
    finding = judge(Gate(metric="lable", at_least=0.5), suite, *answers(suite, [1.0]))
    assert finding.decision == "undecided"
    assert finding.reason == "routing: lable is reported by nothing; did you mean 'label'?"
    far = judge(Gate(metric="zzz", at_least=0.5), suite, *answers(suite, [1.0]))
    assert far.reason.endswith(
        "known here: completion_tokens, label, latency_s, macro_f1, prompt_tokens, score, tokens"
    )


def test_all_bounds_of_a_gate_must_hold() -> None:
    suite = suite_of(2)
    rows = answers(suite, [1.0, 0.0])
    assert judge(Gate(metric="label", at_least=0.4, at_most=0.6), suite, *rows).decision == "pass"
    broken = judge(Gate(metric="label", at_least=0.4, at_most=0.45), suite, *rows)
    assert broken.decision == "fail"
    assert "at most 0.45 is asked: not met" in broken.reason
    assert "at least" not in broken.reason


def test_a_gate_without_a_bound_is_undecided() -> None:
    suite = suite_of(1)
    finding = judge(Gate(metric="label"), suite, *answers(suite, [1.0]))
    assert (finding.decision, finding.reason) == ("undecided", "routing: label names no bound")


def test_no_results_at_all_are_undecided() -> None:
    finding = judge(Gate(metric="label", at_least=0.5), suite_of(3))
    assert (finding.decision, finding.value) == ("undecided", None)
    assert judge(Gate(metric="label", at_least=0.0), suite_of(0)).decision == "undecided"


def test_results_of_cases_that_left_the_suite_do_not_count() -> None:
    suite = suite_of(2)
    rows = [*answers(suite, [1.0, 1.0]), answer(suite, 7, value=0.0)]
    assert judge(Gate(metric="label", at_least=1.0), suite, *rows).value == 1.0


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (Gate(metric="label", at_least=0.85), "label at least 0.85"),
        (Gate(metric="tokens", at_most_ratio=0.6), "tokens at most 0.6 times the reference's"),
    ],
)
def test_a_gate_is_described_in_words(gate: Gate, words: str) -> None:
    assert describe_gate(gate) == words


def test_a_measure_two_scorers_report_is_told_apart_by_the_scorers_name() -> None:
    specs = [ScorerSpec(type="length", name=name) for name in ("chars", "words")]
    suite = suite_of(1, scorers=specs)
    scores = {
        "chars": Score(value=1.0, reason="", measures={"length": 30.0}),
        "words": Score(value=1.0, reason="", measures={"length": 5.0}),
    }
    rows: dict[Role, list[Result]] = {"candidate": [answer(suite, 0, scores=scores)]}
    found = {
        metric: judge_gate(suite, Gate(metric=metric, at_most=10), results=rows, reference="base").value
        for metric in ("words.length", "chars.length", "chars.lenght")
    }
    assert found == {"words.length": 5.0, "chars.length": 30.0, "chars.lenght": None}
