import asyncio

from harness.models.pace import Pace


def crowd(pace: Pace, *, requests: int, allowed: int) -> tuple[int, int]:
    """Ask a server that refuses whoever comes while `allowed` others are there: (refusals, most under way at the end)."""
    there, refusals, peak = 0, 0, [0]

    async def one() -> None:
        nonlocal there, refusals
        while True:
            await pace.enter()
            there += 1
            peak.append(there)
            is_refused = there > allowed
            await asyncio.sleep(0)
            there -= 1
            if is_refused:
                refusals += 1
                pace.refused()
            else:
                pace.answered()
            pace.leave()
            if not is_refused:
                return

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(requests)))

    asyncio.run(all_of_them())
    return refusals, max(peak[len(peak) // 2 :])


def test_nothing_is_held_back_while_nothing_is_refused() -> None:
    assert crowd(Pace(), requests=50, allowed=50) == (0, 50)


def test_a_server_that_allows_eight_is_soon_asked_about_eight() -> None:
    refusals, later_peak = crowd(Pace(), requests=600, allowed=8)
    assert later_peak <= 16
    # The crowd's first rush is refused, and one in three after it at the most.
    assert refusals < 600 + 600 / 2


def test_limit_rises_again_when_the_server_answers() -> None:
    pace = Pace()

    async def play() -> None:
        for _ in range(10):
            await pace.enter()
        for _ in range(10):
            pace.refused()
        assert pace.limit == 1
        for _ in range(30):
            pace.answered()
        assert pace.limit == 10

    asyncio.run(play())


async def wait_after(refusals: int, *, answers: int = 0) -> float:
    """Seconds that the next request waits after so many refusals that name 50 ms, with answers between them."""
    pace = Pace()
    for _ in range(refusals):
        await pace.enter()
        pace.refused(rest_s=0.05)
        for _ in range(answers):
            pace.answered()
        pace.leave()
    started = asyncio.get_running_loop().time()
    await pace.enter()
    return asyncio.get_running_loop().time() - started


def test_nothing_is_sent_before_the_time_that_a_server_names_which_refuses_everybody() -> None:
    assert asyncio.run(wait_after(10)) >= 0.04


def test_one_refusal_among_answers_stops_nobody_else() -> None:
    assert asyncio.run(wait_after(10, answers=3)) < 0.04


def test_a_cancelled_request_does_not_take_its_wake_with_it() -> None:
    async def play() -> None:
        pace = Pace()
        for _ in range(2):
            await pace.enter()
        pace.refused()
        waiting = [asyncio.create_task(pace.enter()) for _ in range(2)]
        await asyncio.sleep(0)
        pace.leave()
        pace.leave()
        waiting[0].cancel()
        await asyncio.wait(waiting, timeout=1)
        assert [request.done() for request in waiting] == [True, True]
        assert [request.cancelled() for request in waiting] == [True, False]

    asyncio.run(play())
