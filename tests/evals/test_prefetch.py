import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

import pytest
from eval_samples import Echo, suite

from harness.errors import StorageError
from harness.evals import Cell, Prefetcher, cells_of, opened
from harness.protocols import Model
from harness.records import Completion, Failure, Message, Role, Sampling, Suite

Start = Callable[..., Prefetcher]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Prefetcher] = []

    def begin(models: Mapping[Role, Model], *, concurrency: int = 8) -> Prefetcher:
        running.append(Prefetcher(lambda: opened(models), concurrency=concurrency))
        return running[-1]

    yield begin
    for prefetcher in running:
        prefetcher.close()


def cells(of: Suite) -> list[Cell]:
    return cells_of(of, of.cases, ["candidate"])


def test_every_cell_is_asked_once_however_often_it_is_requested(start: Start) -> None:
    model = Echo()
    wanted = cells(suite(10))
    prefetcher = start({"candidate": model})
    prefetcher.request(wanted)
    prefetcher.request(wanted)
    rows = [prefetcher.wait(cell) for cell in wanted]
    assert [row.case for row in rows] == [cell.case.id for cell in wanted]
    assert sorted(model.asked) == sorted(str(number) for number in range(10))


def test_waiting_for_a_cell_nobody_requested_asks_it(start: Start) -> None:
    cell = cells(suite(1))[0]
    row = start({"candidate": Echo()}).wait(cell)
    assert isinstance(row.outcome, Completion)


def test_wrong_key_halts_everything_that_was_not_asked(start: Start) -> None:
    model = Echo(answer=lambda _: Failure(kind="auth", message="wrong key", fatal=True))
    wanted = cells(suite(100))
    prefetcher = start({"candidate": model}, concurrency=4)
    prefetcher.request(wanted)
    rows = [prefetcher.wait(cell) for cell in wanted]
    assert len(model.asked) <= 4
    assert prefetcher.halted is not None
    kinds = [row.outcome.kind for row in rows if isinstance(row.outcome, Failure)]
    assert kinds.count("not_asked") >= 96
    assert all("wrong key" in row.outcome.message for row in rows if isinstance(row.outcome, Failure))


def test_what_was_under_way_when_the_run_was_halted_is_waited_for(start: Start) -> None:
    """Eight are asked at once: the first is refused before the other seven are answered."""

    class Slow(Echo):
        async def complete(
            self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
        ) -> Completion | Failure:
            if messages[-1]["content"] == "0":
                await asyncio.sleep(0)  # the others are on their way
                return Failure(kind="auth", message="no key", fatal=True)
            await asyncio.sleep(0.1)
            return Completion(text="late")

    of = suite(30)
    prefetcher = start({"candidate": Slow()}, concurrency=8)
    prefetcher.request(cells(of))
    prefetcher.wait(cells(of)[0])
    prefetcher.close()
    assert len(prefetcher.answered()) == 7
    assert prefetcher.halted is not None


def test_endpoint_that_stopped_answering_halts_the_run(start: Start) -> None:
    model = Echo(answer=lambda _: Failure(kind="rate_limit", message="429 for ever"))
    wanted = cells(suite(100))
    prefetcher = start({"candidate": model}, concurrency=4)
    prefetcher.request(wanted)
    for cell in wanted:
        prefetcher.wait(cell)
    assert len(model.asked) < 20


def test_single_failures_do_not_halt_the_run(start: Start) -> None:
    def answer(prompt: str) -> Completion | Failure:
        return Failure(kind="server", message="500") if int(prompt) % 2 else Completion(text=prompt)

    model = Echo(answer=answer)
    wanted = cells(suite(60))
    prefetcher = start({"candidate": model})
    prefetcher.request(wanted)
    rows = [prefetcher.wait(cell) for cell in wanted]
    assert sum(isinstance(row.outcome, Completion) for row in rows) == 30
    assert prefetcher.halted is None


def test_bug_of_a_model_reaches_its_own_item(start: Start) -> None:
    def answer(prompt: str) -> Completion | Failure:
        if prompt == "1":
            raise ZeroDivisionError("a bug")
        return Completion(text=prompt)

    wanted = cells(suite(3))
    prefetcher = start({"candidate": Echo(answer=answer)})
    prefetcher.request(wanted)
    assert isinstance(prefetcher.wait(wanted[0]).outcome, Completion)
    with pytest.raises(ZeroDivisionError):
        prefetcher.wait(wanted[1])
    assert isinstance(prefetcher.wait(wanted[2]).outcome, Completion)


def test_a_full_disk_halts_the_run(start: Start) -> None:
    def answer(prompt: str) -> Completion:
        raise StorageError("the answer cache cannot be used", remedy="free space")

    model = Echo(answer=answer)
    wanted = cells(suite(100))
    prefetcher = start({"candidate": model}, concurrency=4)
    prefetcher.request(wanted)
    rows = [prefetcher.wait(cell) for cell in wanted]
    assert len(model.asked) <= 4
    assert {row.outcome.message for row in rows if isinstance(row.outcome, Failure)} == {
        "the answer cache cannot be used (free space)"
    }
    assert prefetcher.halted is not None


def test_models_that_cannot_be_opened_halt_the_run_with_the_reason() -> None:
    @contextlib.asynccontextmanager
    async def broken() -> AsyncIterator[Mapping[Role, Model]]:
        raise FileNotFoundError("no certificates")
        yield {}

    prefetcher = Prefetcher(broken, concurrency=2)
    row = prefetcher.wait(cells(suite(1))[0])
    assert isinstance(row.outcome, Failure)
    assert row.outcome.message == "FileNotFoundError: no certificates"
    prefetcher._thread.join(timeout=30)
    wanted = cells(suite(3))
    prefetcher.request(wanted)
    later = prefetcher.wait(wanted[2]).outcome
    assert isinstance(later, Failure)
    assert later.kind == "not_asked"
    prefetcher.close()


def test_closing_answers_whoever_waits(start: Start) -> None:
    prefetcher = start({"candidate": Echo()})
    prefetcher.close()
    prefetcher.request(cells(suite(2)))
    row = prefetcher.wait(cells(suite(1))[0])
    assert isinstance(row.outcome, Failure)
    assert row.outcome.kind == "not_asked"
