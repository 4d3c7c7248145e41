"""Histograms of answer lengths: every answer in one bar, limits where the scorer set them, nothing of too little."""

import pytest

from harness.records import Completion, Failure, Result, Score, ScorerSpec, Suite
from harness.report.sections.lengths import LANE, LEFT, RIGHT, WIDTH, LengthsView, lengths_of


def suite_of(**settings: object) -> Suite:
    spec = ScorerSpec(type="length", name="words", settings={"unit": "words", **settings})
    return Suite(name="s", cases=(), scorers=(spec,))


def rows_of(*lengths: float) -> list[Result]:
    return [
        Result(
            suite="s",
            case=str(number),
            role="candidate",
            model="m",
            trial=0,
            digest="",
            outcome=Completion(text="x" * int(length)),
            scores={"words": Score(value=1.0, reason="", measures={"length": length})},
        )
        for number, length in enumerate(lengths)
    ]


def view_of(suite: Suite, **rows: list[Result]) -> LengthsView:
    (view,) = lengths_of(suite, rows)  # type: ignore[arg-type]
    return view


def counted(view: LengthsView, lane: int = 0) -> int:
    return sum(bar.answers for bar in view.lanes[lane].bars)


@pytest.mark.parametrize(
    "lengths",
    [
        [5, 5, 5],
        [0, 0, 1],
        list(range(200)),
        [1, 2, 3] * 40 + [100_000],
        [10**9, 10**9 + 1, 10**9 + 2],
        [0.5, 1.5, 7.25],
    ],
)
def test_every_answer_is_in_one_bar_inside_the_drawing(lengths: list[float]) -> None:
    view = view_of(suite_of(at_most=50), candidate=rows_of(*lengths))
    assert counted(view) == len(lengths)
    for bar in view.lanes[0].bars:
        assert bar.x >= LEFT
        assert bar.x + bar.width <= WIDTH - RIGHT + 1
        assert 0 < bar.height <= LANE
    assert view.lanes[0].outline.count("M") == len(view.lanes[0].bars)
    assert LEFT <= view.lanes[0].middle <= WIDTH - RIGHT


def test_a_few_endless_answers_do_not_squeeze_the_others() -> None:
    view = view_of(suite_of(at_most=50), candidate=rows_of(*list(range(20, 60)) * 5, 9000))
    assert len(view.lanes[0].bars) > 10
    assert view.lanes[0].bars[-1].answers == 1
    assert view.ticks[-1].label.endswith(" +")


def test_models_share_one_scale() -> None:
    view = view_of(suite_of(at_most=50), base=rows_of(30, 30, 30), candidate=rows_of(10, 10, 10))
    (base,), (candidate,) = (lane.bars for lane in view.lanes)
    assert candidate.x < base.x
    assert [lane.word for lane in view.lanes] == ["Base", "Candidate"]
    assert view.lanes[1].base == 2 * LANE


def test_the_limits_are_drawn_and_the_answers_within_them_counted() -> None:
    view = view_of(suite_of(at_least=5, at_most=10), candidate=rows_of(4, 5, 10, 11, 11))
    assert [limit.label for limit in view.limits] == ["from 5", "to 10"]
    assert view.allowed is not None
    start, width = view.allowed
    inside = [bar for bar in view.lanes[0].bars if start <= bar.x + bar.width / 2 <= start + width]
    assert len(inside) == 2
    assert view.lanes[0].says == "median 10; 2 of 5 within the limits"


def test_a_limit_on_one_side_leaves_the_other_open() -> None:
    view = view_of(suite_of(at_least=5), candidate=rows_of(4, 5, 10))
    assert view.allowed is not None
    assert sum(view.allowed) == WIDTH - RIGHT


def test_without_a_length_scorer_characters_are_counted_and_no_limit_is_drawn() -> None:
    suite = Suite(name="s", cases=(), scorers=(ScorerSpec(type="label", name="label"),))
    lost = [*rows_of(3, 4, 8)]
    lost[0:0] = [
        Result(
            suite="s",
            case="lost",
            role="candidate",
            model="m",
            trial=0,
            digest="",
            outcome=Failure(kind="timeout", message=""),
        )
    ]
    view = view_of(suite, candidate=lost)
    assert (view.unit, view.limits, view.allowed) == ("characters", (), None)
    assert counted(view) == 3
    assert view.brief == "candidate 4"


def test_each_length_scorer_has_a_drawing_of_its_own() -> None:
    words = suite_of(at_most=5).scorers[0]
    other = ScorerSpec(type="length", name="signs", settings={"unit": "characters", "at_most": 9})
    rows = rows_of(1, 2, 3)
    rows = [
        Result(
            suite="s",
            case=row.case,
            role=row.role,
            model="m",
            trial=0,
            digest="",
            outcome=row.outcome,
            scores={**row.scores, "signs": row.scores["words"]},
        )
        for row in rows
    ]
    views = lengths_of(Suite(name="s", cases=(), scorers=(words, other)), {"candidate": rows})
    assert [view.unit for view in views] == ["words", "characters"]


def test_of_two_answers_nothing_is_drawn() -> None:
    assert lengths_of(suite_of(at_most=5), {"candidate": rows_of(1, 2)}) == ()


def test_what_is_no_number_is_in_no_bar() -> None:
    view = view_of(suite_of(at_most=5), candidate=rows_of(1, 2, 3)[:3])
    broken = rows_of(1, 2, 3)
    broken.append(
        Result(
            suite="s",
            case="nan",
            role="candidate",
            model="m",
            trial=0,
            digest="",
            outcome=Completion(text=""),
            scores={"words": Score(value=None, reason="", measures={"length": float("nan")})},
        )
    )
    assert view_of(suite_of(at_most=5), candidate=broken) == view
