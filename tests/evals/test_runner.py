import asyncio
from collections.abc import Mapping

from eval_samples import Echo, suite

from harness.evals import evaluate
from harness.protocols import Model
from harness.records import Completion, Failure, Result, Role


def run(
    models: Mapping[Role, Model], size: int = 3, *, trials: int = 1, concurrency: int = 32
) -> list[Result]:
    async def gather() -> list[Result]:
        cases = suite(size, trials=trials)
        return [row async for row in evaluate(cases, models, concurrency=concurrency)]

    return asyncio.run(gather())


def test_every_case_role_and_trial_is_one_row() -> None:
    rows = run({"candidate": Echo(), "base": Echo()}, trials=2)
    assert len({(row.case, row.role, row.trial) for row in rows}) == 3 * 2 * 2
    assert all(row.scores["exact_match"].value == 1.0 for row in rows)


def test_failure_has_no_scores() -> None:
    rows = run({"candidate": Echo(answer=lambda _: Failure(kind="server", message="down"))})
    assert all(row.scores == {} for row in rows)


def test_empty_answer_is_scored() -> None:
    rows = run({"candidate": Echo(answer=lambda _: Completion(text=""))})
    assert all(row.scores["exact_match"].value == 0.0 for row in rows)


def test_concurrency_is_bounded() -> None:
    model = Echo()
    run({"candidate": model}, size=20, concurrency=4)
    assert model.most_at_once == 4


def test_judge_is_not_asked_the_cases() -> None:
    judge = Echo("judge")
    run({"candidate": Echo(), "judge": judge})
    assert judge.asked == []
