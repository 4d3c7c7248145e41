"""Batches without HTTP: how many requests are asked at a time, and how a batch ends that cannot be finished."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.localserver.jobs.batch_runner import FEWEST_AT_ONCE, MOST_AT_ONCE, BatchRunner, Reply
from harness.localserver.state.batches import ENDED, BatchStore, StoredBatch
from harness.localserver.state.identifiers import new_id, now
from harness.localserver.state.store import Store, open_store, upload_path

CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}


class FakeAsker:
    """Answers the first `quick` requests at once and the others when it is told to.

    `interactive` requests are in flight beside the batch's.
    """

    def __init__(self, *, interactive: int = 0, quick: int = 0) -> None:
        self.interactive = interactive
        self._quick = quick
        self.asked: list[str] = []
        self._open = 0
        self._go_on = asyncio.Event()

    @property
    def in_flight(self) -> int:
        return self._open + self.interactive

    @property
    def held(self) -> int:
        """Requests that wait for an answer."""
        return len(self.asked) - self._quick

    def model_of(self, name: str) -> str | None:
        return name

    def answer_all(self) -> None:
        self._go_on.set()

    async def ask(self, endpoint: str, body: Mapping[str, object]) -> Reply:
        self.asked.append(str(body["messages"]))
        self._open += 1
        try:
            if len(self.asked) > self._quick:
                await self._go_on.wait()
        finally:
            self._open -= 1
        return Reply(status=200, body={"usage": USAGE})


def created(store: Store, *, requests: int, life_s: int = 1000, **body: object) -> StoredBatch:
    """A new batch of requests `0`, `1`, ..."""
    part = upload_path(store)
    rows = [
        {
            "custom_id": str(n),
            "method": "POST",
            "url": CHAT,
            "body": {"model": "m", "messages": str(n)} | body,
        }
        for n in range(requests)
    ]
    part.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = store.keep_upload(part, filename="a.jsonl", purpose="batch")
    return StoredBatch(
        id=new_id("batch_", 32),
        number=1,
        created_at=now(),
        endpoint=CHAT,
        input_file_id=file.id,
        expires_at=now() + life_s,
    )


@asynccontextmanager
async def running(store: Store, asker: FakeAsker, **more: Callable[[], int]) -> AsyncIterator[BatchRunner]:
    runner = BatchRunner(store, asker, batches=BatchStore(store.batches), **more)
    runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def ended(runner: BatchRunner, batch: StoredBatch) -> StoredBatch:
    await until(lambda: now_of(runner, batch).status in ENDED)
    return now_of(runner, batch)


def now_of(runner: BatchRunner, batch: StoredBatch) -> StoredBatch:
    found = runner.batches.find(batch.id)
    assert found is not None
    return found


async def until(true: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not true():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(poll(), timeout=20)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


@pytest.mark.parametrize(
    ("interactive", "expected"),
    [(0, MOST_AT_ONCE), (MOST_AT_ONCE // 2, MOST_AT_ONCE // 2), (1000, FEWEST_AT_ONCE)],
)
def test_the_more_interactive_requests_the_fewer_of_a_batch(
    store: Store, interactive: int, expected: int
) -> None:
    async def scenario() -> None:
        asker = FakeAsker(interactive=interactive, quick=50)
        async with running(store, asker) as runner:
            batch = runner.submit(created(store, requests=150))
            await until(lambda: asker.held == expected)
            await asyncio.sleep(0.01)
            assert asker.held == expected
            asker.answer_all()
            done = await ended(runner, batch)
        assert (done.status, done.completed, done.tokens.prompt) == ("completed", 150, 300)
        assert len(asker.asked) == len(set(asker.asked)) == 150

    asyncio.run(scenario())


@pytest.mark.parametrize("answered", [0, 1, 6])
def test_a_batch_begins_with_few_requests_and_asks_for_more_with_every_answer(
    store: Store, answered: int
) -> None:
    async def scenario() -> None:
        asker = FakeAsker(quick=answered)
        async with running(store, asker) as runner:
            runner.submit(created(store, requests=50))
            await until(lambda: asker.held == FEWEST_AT_ONCE + answered)
            await asyncio.sleep(0.01)
            assert asker.held == FEWEST_AT_ONCE + answered

    asyncio.run(scenario())


@pytest.mark.parametrize(("n", "expected"), [(1, MOST_AT_ONCE), (5, MOST_AT_ONCE // 5), (128, 1)])
def test_a_request_for_several_answers_takes_as_many_places(store: Store, n: int, expected: int) -> None:
    async def scenario() -> None:
        asker = FakeAsker(quick=50)
        async with running(store, asker) as runner:
            batch = runner.submit(created(store, requests=100, n=n))
            await until(lambda: asker.held == expected)
            await asyncio.sleep(0.01)
            assert asker.held == expected
            asker.answer_all()
            assert (await ended(runner, batch)).completed == 100

    asyncio.run(scenario())


def test_batches_share_the_places(store: Store) -> None:
    async def scenario() -> None:
        asker = FakeAsker(quick=80)
        async with running(store, asker) as runner:
            batches = [runner.submit(created(store, requests=80)) for _ in range(2)]
            await until(lambda: asker.held == MOST_AT_ONCE)
            asker.answer_all()
            assert [(await ended(runner, batch)).completed for batch in batches] == [80, 80]

    asyncio.run(scenario())


def test_a_batch_out_of_time_keeps_what_is_done(store: Store) -> None:
    async def scenario() -> None:
        asker = FakeAsker(interactive=1000)
        late = 0
        async with running(store, asker, clock=lambda: now() + late) as runner:
            batch = runner.submit(created(store, requests=5, life_s=60))
            await until(lambda: len(asker.asked) == FEWEST_AT_ONCE)
            late = 60  # looked at again once the two have their answers
            asker.answer_all()
            done = await ended(runner, batch)
        assert (done.status, done.completed, done.failed) == ("expired", FEWEST_AT_ONCE, 0)
        assert done.reached["expired"] >= done.reached["finalizing"]
        assert done.output_file_id is not None
        errors = content(store, done.error_file_id)
        assert [error["custom_id"] for error in errors] == ["2", "3", "4"]
        assert {error["error"]["code"] for error in errors} == {"batch_expired"}
        assert {error["response"] for error in errors} == {None}

    asyncio.run(scenario())


def test_a_batch_whose_time_was_over_when_its_server_came_back_expires(store: Store) -> None:
    async def scenario() -> None:
        asker = FakeAsker()
        async with running(store, asker) as runner:
            batch = runner.submit(created(store, requests=3, life_s=60))
            await until(lambda: len(asker.asked) == FEWEST_AT_ONCE)
        async with running(store, FakeAsker(), clock=lambda: now() + 61) as runner:
            done = await ended(runner, batch)
        assert (done.status, done.output_file_id) == ("expired", None)

    asyncio.run(scenario())


def test_a_disk_that_fails_ends_the_batch_and_keeps_its_answers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        asker = FakeAsker()
        async with running(store, asker) as runner:
            batch = runner.submit(created(store, requests=3))
            await until(lambda: len(asker.asked) == FEWEST_AT_ONCE)
            add_line = runner.batches.add_line

            def until_full(batch: StoredBatch, line: Mapping[str, object], *, failed: bool) -> None:
                if line["custom_id"] == "1":
                    raise OSError(28, "No space left on device")
                add_line(batch, line, failed=failed)

            monkeypatch.setattr(runner.batches, "add_line", until_full)
            asker.answer_all()
            done = await ended(runner, batch)
        assert done.status == "failed"
        assert done.faults[0].code == "server_error"
        assert "0" in {answer["custom_id"] for answer in content(store, done.output_file_id)}

    asyncio.run(scenario())


def test_a_cancelled_batch_that_was_never_checked_has_no_files(store: Store) -> None:
    async def scenario() -> None:
        async with running(store, FakeAsker()) as runner:
            batch = runner.submit(created(store, requests=3))
            assert runner.cancel(batch).status == "cancelling"
            done = await ended(runner, batch)
        assert (done.status, done.total) == ("cancelled", 0)
        assert (done.output_file_id, done.error_file_id) == (None, None)

    asyncio.run(scenario())


def content(store: Store, file_id: str | None) -> list[dict[str, object]]:
    file = store.find_file(file_id or "")
    assert file is not None
    return [json.loads(line) for line in store.content_of(file).read_bytes().splitlines()]
