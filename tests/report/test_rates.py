"""How often models refuse, keep a format, are cut off: counted over the answers that say so."""

from collections.abc import Mapping

from harness.records import Completion, Failure, Result, Role, Score, ScorerSpec, Suite
from harness.report.sections.rates import MOST_ROWS, Rate, rates_of


def suite_of(*scorers: ScorerSpec) -> Suite:
    return Suite(name="s", cases=(), scorers=scorers)


def row(
    score: Score | None = None, *, scorer: str = "refusal", role: Role = "candidate", outcome: object = None
) -> Result:
    return Result(
        suite="s",
        case="c",
        role=role,
        model="m",
        trial=0,
        digest="",
        outcome=outcome or Completion(text="an answer", finish_reason="stop"),
        scores={scorer: score} if score else {},
    )


def refusals(*flags: float) -> list[Result]:
    return [
        row(Score(value=1 - flag, reason="", measures={"refusal_rate": flag, "cannot_rate": 0.0}))
        for flag in flags
    ]


def named(rates: tuple[Rate, ...]) -> Mapping[str, Rate]:
    return {rate.name: rate for rate in rates}


REFUSAL = suite_of(ScorerSpec(type="refusal", name="refusal"))


def test_a_share_is_a_percentage_of_the_answers_with_the_counts_behind_it() -> None:
    rates = rates_of(REFUSAL, {"base": refusals(0, 0, 0), "candidate": refusals(1, 0, 0)})
    assert [rate.name for rate in rates] == ["Refused"]
    assert rates[0].values == {"base": "0 %", "candidate": "33 %"}
    assert rates[0].counts == {"base": "0 of 3", "candidate": "1 of 3"}


def test_one_answer_of_many_is_seen_in_a_decimal() -> None:
    (rate,) = rates_of(REFUSAL, {"candidate": refusals(1, *[0.0] * 999)})
    assert rate.values["candidate"] == "0.1 %"


def test_a_rate_that_is_always_zero_has_no_row_unless_it_is_what_the_suite_is_about() -> None:
    assert "Said that it cannot" not in named(rates_of(REFUSAL, {"candidate": refusals(0, 1)}))


def test_an_unscored_answer_is_in_no_share() -> None:
    rows = [*refusals(1), row(Score(value=None, reason="garbled")), row()]
    assert rates_of(REFUSAL, {"candidate": rows})[0].counts["candidate"] == "1 of 1"


def test_a_model_without_any_answer_has_a_dash() -> None:
    (rate,) = rates_of(REFUSAL, {"base": [], "candidate": refusals(1)})
    assert rate.values["base"] == "–"
    assert rate.counts["base"] == ""


def test_lengths_kept_are_the_share_of_a_length_scorers_own_value_and_its_counts_stand_elsewhere() -> None:
    scores = [
        Score(value=value, reason="", measures={"length": 30.0, "length_distance": 0.0}) for value in (1, 0)
    ]
    rates = rates_of(
        suite_of(ScorerSpec(type="length", name="words")),
        {"candidate": [row(score, scorer="words") for score in scores]},
    )
    assert [(rate.name, rate.values["candidate"]) for rate in rates] == [("Length as wanted", "50 %")]


def test_a_measure_of_somebodys_own_scorer_is_a_mean_under_its_own_name() -> None:
    scores = [Score(value=1.0, reason="", measures={"<b>rhymes": value}) for value in (2.0, 3.0)]
    rates = rates_of(
        suite_of(ScorerSpec(type="mine:Rhymes", name="rhymes")),
        {"candidate": [row(score, scorer="rhymes") for score in scores]},
    )
    assert [(rate.name, rate.values["candidate"], rate.is_share) for rate in rates] == [
        ("<b>rhymes", "2.50", False)
    ]


def test_answers_cut_off_empty_or_lost_are_counted_whatever_the_scorer() -> None:
    rows = [
        row(outcome=Completion(text="and so", finish_reason="length")),
        row(outcome=Completion(text="  ", finish_reason="stop")),
        row(outcome=Failure(kind="timeout", message="")),
        row(outcome=Failure(kind="not_asked", message="")),
    ]
    counts = {
        name: rate.counts["candidate"]
        for name, rate in named(rates_of(suite_of(), {"candidate": rows})).items()
    }
    assert counts == {
        "Cut off at the most tokens": "1 of 2",
        "Empty answers": "1 of 2",
        "No answer": "1 of 3",
    }


def test_infinite_and_missing_measures_are_not_averaged() -> None:
    scores = [
        Score(value=1.0, reason="", measures={"x": value}) for value in (float("inf"), float("nan"), 4.0)
    ]
    (rate,) = rates_of(
        suite_of(ScorerSpec(type="m:X", name="x")), {"candidate": [row(s, scorer="x") for s in scores]}
    )
    assert rate.values["candidate"] == "4"


def test_of_dozens_of_criteria_the_first_are_shown() -> None:
    score = Score(value=1.0, reason="", measures={f"criterion-{number}": 0.5 for number in range(60)})
    rates = rates_of(suite_of(ScorerSpec(type="rubric", name="r")), {"candidate": [row(score, scorer="r")]})
    assert len(rates) == MOST_ROWS
