"""What earlier runs tell of the next one: lengths, an endpoint's way of counting, judges, repeated trials."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from eval_samples import suite

from harness.evals import (
    Cell,
    Precedents,
    RoleEstimate,
    case_digest,
    cells_of,
    estimate,
    estimate_judging,
    read_precedents,
)
from harness.evals.lengths import Length, expected_length, measured, unknown
from harness.evals.store import SCHEMA, RunWriter
from harness.records import (
    Bill,
    Completion,
    Json,
    Manifest,
    Message,
    ModelFacts,
    Result,
    Role,
    Sampling,
    ScorerSpec,
    Suite,
    Usage,
)

PRICE = {"input": 1.0, "cached": 0.5, "output": 10.0}


def row(
    of: Suite,
    case: int,
    tokens: int,
    *,
    role: Role = "candidate",
    model: str = "m1",
    trial: int = 0,
    text: str = "x",
    prompt: int = 20,
    cached: int = 0,
    bill: Bill | None = None,
) -> Result:
    usage = Usage(prompt_tokens=prompt, completion_tokens=tokens, cached_tokens=cached)
    return Result(
        suite=of.name,
        case=of.cases[case].id,
        role=role,
        model=model,
        trial=trial,
        digest=case_digest(of, of.cases[case]),
        outcome=Completion(text=text, usage=usage),
        bills={"judge": bill} if bill else {},
    )


def stored(reports: Path, of: Suite, rows: Sequence[Result], *, name: str = "r1") -> Precedents:
    models = {one.role: ModelFacts(model=one.model, endpoint="there") for one in rows}
    manifest = Manifest(
        schema=SCHEMA,
        id=name,
        status="running",
        created="2026-11-23T10:00:00Z",
        suites=(of,),
        models={**models, "judge": ModelFacts(model="wise", endpoint="there")},
        selected={of.name: tuple(case.id for case in of.cases)},
        plan=name,
    )
    writer = RunWriter(reports, manifest)
    for one in rows:
        writer.append(one)
    writer.finish("complete")
    return read_precedents(reports, [of])


def words(text: str) -> int:
    return len(text.split())


def one_each(messages: Sequence[Message], model: str) -> int:
    return 10 * len(messages)


def cell(of: Suite, case: int = 0, *, role: Role = "candidate", trial: int = 0) -> Cell:
    return Cell(suite=of, case=of.cases[case], role=role, trial=trial)


# --- lengths ------------------------------------------------------------------------------------------------------


def test_the_next_answers_of_a_model_are_as_long_as_its_earlier_ones_within_what_chance_moves_a_mean() -> (
    None
):
    found = measured([10, 20, 30, 40], own=None, same=True)
    assert (found.likely, found.ground) == (25, "the same model")
    assert 10 < found.low < 25 < found.high < 40
    many = measured([10, 20, 30, 40] * 100, own=None, same=True)
    assert many.high - many.low < (found.high - found.low) / 5


def test_another_model_may_be_as_short_or_as_long_as_single_answers_were() -> None:
    found = measured(range(1, 102), own=None, same=False)
    assert found == Length(low=11, likely=51, high=91, ground="earlier models")


def test_a_questions_own_earlier_answer_moves_its_length_and_range() -> None:
    group = measured([10, 20, 30], own=None, same=True)
    own = measured([10, 20, 30], own=40, same=True)
    assert own.likely == 40
    assert own.high / own.likely == pytest.approx(group.high / group.likely)


def test_samples_of_nothing_are_nothing() -> None:
    assert measured([0, 0], own=0, same=True) == Length(low=0, likely=0, high=0, ground="the same model")


@pytest.mark.parametrize(
    ("expected", "scorer", "tokens"),
    [
        ("two words", "exact_match", 2),
        (["first right one", "second"], "exact_match", 3),
        ({"city": "Rome"}, "json_fields", 1),
        ("Rome", "contains", None),
        ("comply", "refusal", None),
        (None, "exact_match", None),
        ("", "exact_match", None),
    ],
)
def test_an_expected_answer_tells_the_length_where_the_whole_answer_is_compared_with_it(
    expected: Json, scorer: str, tokens: int | None
) -> None:
    of = replace(suite(1), scorers=(ScorerSpec(type=scorer, name=scorer),))
    asked = Cell(suite=of, case=replace(of.cases[0], expected=expected), role="base")
    found = expected_length(asked, count=words)
    assert (found.likely if found else None) == tokens
    assert found is None or (found.low, found.high, found.ground) == (1, 256, "expected answers")


def test_of_an_answer_of_which_nothing_is_known_anything_up_to_its_limit_is_possible() -> None:
    found = unknown("base", 100)
    assert (found.low, found.high, found.ground) == (1, 100, "max_tokens")
    assert unknown("candidate", 100).likely < found.likely < 100
    assert unknown("base", None).high == 1024


# --- precedents ---------------------------------------------------------------------------------------------------


def test_the_same_model_tells_before_others_and_its_role_before_any_limit(tmp_path: Path) -> None:
    of = replace(suite(3), scorers=())
    told = stored(tmp_path, of, [row(of, 0, 30), row(of, 1, 50), row(of, 0, 90, role="base", model="b")])
    assert told.answer(cell(of, 0), "m1", count=words).likely == 30
    assert told.answer(cell(of, 2), "m1", count=words).likely == 40, "a new case is as long as the others"
    other = told.answer(cell(of, 1), "m2", count=words)
    assert (other.likely, other.ground) == (50, "earlier models")
    assert told.answer(cell(of, 0, role="promoted"), "m1", count=words).ground == "the same model"
    assert told.answer(cell(of, 0, role="base"), "b", count=words).likely == 90


def test_a_length_stays_within_its_limit(tmp_path: Path) -> None:
    of = suite(2)
    told = stored(tmp_path, of, [row(of, 0, 200), row(of, 1, 220)])
    short = replace(of, sampling=Sampling(max_tokens=50))
    assert told.answer(cell(short, 0), "m1", count=words) == Length(
        low=50, likely=50, high=50, ground="the same model"
    )


def test_a_run_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "20261123T100000Z-x-0000"
    folder.mkdir()
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    assert read_precedents(tmp_path, [suite(1)]) == Precedents()


def test_prompts_are_counted_as_the_endpoint_counted_them_and_its_cache_is_cheaper(tmp_path: Path) -> None:
    of = replace(suite(4), scorers=())
    told = stored(tmp_path, of, [row(of, number, 8, prompt=15, cached=6) for number in range(2)])
    (found,) = estimate(
        [cell(of, 2), cell(of, 3)],
        {"candidate": "m1"},
        {"candidate": PRICE},
        is_paid=lambda _: False,
        count=one_each,
        precedents=told,
    )
    assert (found.prompt_tokens, found.completion_tokens) == (30, 16)
    assert found.cost_usd == pytest.approx((18 * 1.0 + 12 * 0.5 + 16 * 10.0) / 1e6)
    assert found.grounds == {"the same model": 2}


def test_another_tokenizer_of_the_role_serves_where_ours_is_not_the_models(tmp_path: Path) -> None:
    of = replace(suite(2), scorers=())
    told = stored(tmp_path, of, [row(of, 0, 8, prompt=15)])
    prices = {"candidate": PRICE}
    for model, tokens in (("acme/new", 15), ("gpt-4.1-mini", 10)):
        (found,) = estimate(
            [cell(of, 1)],
            {"candidate": model},
            prices,
            is_paid=lambda _: False,
            count=one_each,
            precedents=told,
        )
        assert found.prompt_tokens == tokens, model


def test_an_estimate_has_a_range_around_what_it_foretells(tmp_path: Path) -> None:
    of = replace(suite(3), scorers=())
    told = stored(tmp_path, of, [row(of, number, 10 * (number + 1)) for number in range(3)])
    asked = cells_of(of, of.cases, ["candidate"])
    (found,) = estimate(
        asked,
        {"candidate": "m2"},
        {"candidate": PRICE},
        is_paid=lambda _: False,
        count=one_each,
        precedents=told,
    )
    assert found.range_usd is not None
    assert found.range_tokens is not None
    low, high = found.range_usd
    assert found.cost_usd is not None
    assert low < found.cost_usd < high
    assert found.range_tokens[0] < found.prompt_tokens + found.completion_tokens < found.range_tokens[1]


RUBRIC = ScorerSpec(
    type="rubric",
    name="rubric",
    settings={"criteria": [{"name": "humour", "levels": {"1": "flat", "5": "hilarious"}}]},
)


def judged_line(
    of: Suite, cells: Sequence[Cell], told: Precedents | None, *, judge: str = "wise"
) -> RoleEstimate:
    (line,) = estimate_judging(
        cells, {"candidate": "m1", "judge": judge}, {"judge": PRICE}, count=one_each, precedents=told
    )
    return line


def test_a_judges_questions_and_replies_are_as_long_as_before(tmp_path: Path) -> None:
    of = replace(suite(3), scorers=(RUBRIC,))
    bill = Bill(answered=2, usage=Usage(prompt_tokens=300, completion_tokens=80))
    told = stored(tmp_path, of, [row(of, 0, 10, bill=bill)])
    line = judged_line(of, [cell(of, 0), cell(of, 1)], told)
    assert (line.requests, line.prompt_tokens, line.completion_tokens) == (2, 300, 80)
    other = judged_line(of, [cell(of, 0)], told, judge="wiser")
    assert (other.completion_tokens, other.grounds) == (40, {"earlier models": 1})


def test_a_judge_of_whom_nothing_is_known_is_not_taken_to_fill_its_limit() -> None:
    of = replace(suite(1), scorers=(RUBRIC,))
    line = judged_line(of, [cell(of)], Precedents())
    assert line.completion_tokens < 1024 / 2
    assert line.range_tokens is not None
    assert line.range_tokens[1] >= 1024
    assert judged_line(of, [cell(of)], None).completion_tokens == 1024, "without precedents it is a bound"


@pytest.mark.parametrize(
    ("temperature", "texts", "requests"), [(0.0, None, 1), (0.7, None, 3), (0.0, "xy", 2), (0.7, "xx", 1)]
)
def test_trials_that_say_the_same_again_are_judged_once(
    tmp_path: Path, temperature: float, texts: str | None, requests: int
) -> None:
    """At temperature 0 a repeat is expected unless earlier trials told otherwise; half of them did where one of two did."""
    of = replace(suite(2), scorers=(RUBRIC,), sampling=Sampling(temperature=temperature), trials=3)
    rows = [row(of, 1, 10, trial=trial, text=text) for trial, text in enumerate(f"x{texts}" if texts else "")]
    told = stored(tmp_path, of, rows) if rows else Precedents()
    line = judged_line(of, [cell(of, trial=trial) for trial in range(3)], told)
    assert line.requests == requests
