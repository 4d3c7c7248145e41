"""How many requests are under way: as many as bring more answers, never more than was said."""

import asyncio
from collections.abc import Callable

from harness.evals.breadth import Breadth


def settled(breadth: Breadth, rate: Callable[[int], float], *, answers: int = 5_000) -> int:
    """The limit after so many answers of an endpoint that gives `rate(limit)` of them a second."""
    now = 0.0
    for _ in range(answers):
        now += 1 / rate(breadth.limit)
        breadth.answered(now=now)
    return breadth.limit


def test_an_endpoint_that_takes_all_is_asked_as_much_as_is_tried() -> None:
    assert settled(Breadth(32, most=128), lambda limit: limit / 0.05) == 128


def test_an_endpoint_that_is_no_faster_for_it_is_asked_as_before() -> None:
    assert settled(Breadth(32, most=128), lambda _: 100.0) == 32


def test_an_endpoint_that_is_slower_for_it_is_asked_as_before() -> None:
    assert settled(Breadth(32, most=128), lambda limit: 3_200 / limit) == 32


def test_the_limit_is_where_more_stops_to_pay() -> None:
    assert settled(Breadth(16, most=256), lambda limit: min(limit, 64) / 0.05) == 64


def test_a_number_that_somebody_gave_is_kept() -> None:
    assert settled(Breadth(8), lambda limit: limit / 0.05) == 8


def test_few_answers_decide_nothing() -> None:
    assert settled(Breadth(32, most=128), lambda limit: limit / 0.05, answers=95) == 32


def test_answers_that_were_under_way_before_a_change_say_nothing_of_it() -> None:
    breadth = Breadth(2, most=4)
    for second in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        breadth.answered(now=second)
    assert breadth.limit == 4
    # Four that began before, one by one, and then eight that come four times as fast.
    for second in (7.0, 8.0, 9.0, 10.0, *(10.0 + number / 4 for number in range(1, 9))):
        breadth.answered(now=second)
    assert breadth.limit == 4


async def most_under_way(breadth: Breadth, *, tasks: int, cancelled: int = 0) -> int:
    """The most requests of so many that were under way together, the first waiting ones cancelled."""
    seen, under_way = 0, 0

    async def ask() -> None:
        nonlocal seen, under_way
        async with breadth:
            under_way += 1
            seen = max(seen, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    made = [asyncio.create_task(ask()) for _ in range(tasks)]
    await asyncio.sleep(0)
    for task in made[breadth.limit :][:cancelled]:
        task.cancel()
    done = await asyncio.gather(*made, return_exceptions=True)
    assert sum(isinstance(one, asyncio.CancelledError) for one in done) == cancelled
    return seen


def test_no_more_are_under_way_than_the_limit() -> None:
    assert asyncio.run(most_under_way(Breadth(3), tasks=20)) == 3


def test_who_stops_waiting_takes_nobody_s_place() -> None:
    assert asyncio.run(most_under_way(Breadth(3), tasks=20, cancelled=5)) == 3
