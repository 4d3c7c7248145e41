import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from harness.errors import EndpointError
from harness.localserver.generation import waiting as module
from harness.localserver.generation.batch import Prompt
from harness.localserver.generation.sampling import Manner
from harness.localserver.generation.waiting import Line, Waiting

TUNED = Path("tuned")


def waiting(adapter: Path | None = None, *, since: float = 1e12) -> Waiting:
    prompt = Prompt(ids=(1,), max_tokens=1, manner=Manner(temperature=0.0, top_p=1.0, seed=0))
    return Waiting(adapter=adapter, prompt=prompt, future=Future(), since=since)


def line_of(*requests: Waiting, workers: int = 2) -> Line:
    line = Line(workers=workers)
    for request in requests:
        line.join(request)
    return line


def restless() -> None:
    raise AssertionError("there is work")


def fits_all(_prompts: Sequence[Prompt]) -> bool:
    return True


def test_who_came_first_is_first() -> None:
    requests = [waiting(TUNED), waiting(), waiting(TUNED)]
    assert line_of(*requests).first(0, rest=restless) is requests[0]


def test_two_free_workers_share() -> None:
    line = line_of(*[waiting() for _ in range(7)])
    assert len(line.take(0, None, at_work=False, fits=fits_all)) == 4
    assert len(line.take(1, None, at_work=False, fits=fits_all)) == 3


def test_worker_leaves_a_share_to_one_that_is_free() -> None:
    line = line_of(*[waiting() for _ in range(2)])
    line.take(0, None, at_work=False, fits=fits_all)
    for _ in range(6):
        line.join(waiting())
    assert len(line.take(0, None, at_work=True, fits=fits_all)) == 4


def test_single_worker_takes_all() -> None:
    assert (
        len(line_of(*[waiting() for _ in range(7)], workers=1).take(0, None, at_work=False, fits=fits_all))
        == 7
    )


def test_only_requests_for_the_same_model_are_taken() -> None:
    line = line_of(waiting(), waiting(TUNED), waiting(), workers=1)
    taken = line.take(0, None, at_work=False, fits=fits_all)
    assert [request.adapter for request in taken] == [None, None]
    assert [request.adapter for request in line.close()] == [TUNED]


def test_no_more_is_taken_than_fits() -> None:
    line = line_of(*[waiting() for _ in range(7)], workers=1)
    assert len(line.take(0, None, at_work=False, fits=lambda prompts: len(prompts) <= 3)) == 3
    assert len(line.close()) == 4


def test_batch_takes_nothing_while_another_model_has_waited_long() -> None:
    line = line_of(waiting(TUNED, since=0.0), waiting(), workers=1)
    assert line.take(0, None, at_work=True, fits=fits_all) == []
    assert len(line.take(0, None, at_work=False, fits=fits_all)) == 1


def test_cancelled_request_is_not_answered() -> None:
    request = waiting()
    line = line_of(request, waiting(), workers=1)
    request.future.cancel()
    assert len(line.take(0, None, at_work=False, fits=fits_all)) == 1


def test_withdrawn_requests_are_gone() -> None:
    line = line_of(waiting(TUNED), waiting(), waiting(TUNED))
    assert len(line.withdraw(TUNED)) == 2
    assert [request.adapter for request in line.close()] == [None]


def test_closed_line_takes_nobody_in() -> None:
    line = line_of(waiting())
    assert len(line.close()) == 1
    assert line.first(0, rest=restless) is None
    with pytest.raises(EndpointError, match="shutting down"):
        line.join(waiting())


def test_a_worker_nobody_asks_rests_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST_AFTER_S", 0.001)
    line = Line(workers=1)
    rests: list[bool] = []

    def rest() -> None:
        rests.append(True)
        threading.Timer(0.05, line.close).start()

    assert line.first(0, rest=rest) is None
    assert rests == [True]
