import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.models.answer_files import SCHEMA
from harness.models.cached import AnswerCache, CachedModel, answer_key
from harness.records import Completion, Failure, Message, Sampling, Usage
from harness.testing.endpoints import FaultyEndpoint

HELLO = [{"role": "user", "content": "hello"}]


class CountingModel:
    """Answers with what it was asked and counts; fails as often as told."""

    name = "m"

    def __init__(self, *, failures: int = 0, answer: str = "hi") -> None:
        self.asked = 0
        self._failures = failures
        self._answer = answer

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked <= self._failures:
            return Failure(kind="server", message="down")
        return Completion(text=self._answer, usage=Usage(prompt_tokens=5), latency_s=1.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.sqlite"


def ask(model: CachedModel, *, trial: int = 0, sampling: Sampling | None = None) -> Completion | Failure:
    return asyncio.run(model.complete(HELLO, sampling or Sampling(), trial=trial))


def test_second_run_pays_nothing_and_says_so(path: Path) -> None:
    model = CountingModel()
    for expected_cached in (False, True):
        with AnswerCache(path) as cache:
            answer = ask(CachedModel(model, cache, endpoint="e"))
        assert isinstance(answer, Completion)
        assert (answer.cached, answer.usage.prompt_tokens, answer.latency_s) == (expected_cached, 5, 1.5)
    assert model.asked == 1


def test_the_first_who_takes_an_answer_of_the_runs_own_batches_has_paid_for_it(path: Path) -> None:
    model = CountingModel()
    with AnswerCache(path) as cache:
        for trial, batch in enumerate(("mine", "another run's")):
            key = answer_key(HELLO, Sampling(), endpoint="e", model="m", trial=trial)
            cache.store(key, Completion(text="hi", batch=batch, latency_s=None), endpoint="e", model="m")
        for read in (True, False):
            run = CachedModel(model, cache, endpoint="e", read=read, batches={"mine"})
            told = [ask(run, trial=trial) for trial in (0, 0, 1)]
            assert [isinstance(one, Completion) and one.cached for one in told] == [False, True, read]
    assert model.asked == 1


def test_answers_known_from_elsewhere_come_first_and_do_not_enter_the_cache(path: Path) -> None:
    model = CountingModel()
    key = answer_key(HELLO, Sampling(), endpoint="e", model="m")
    with AnswerCache(path) as cache:
        known = CachedModel(model, cache, endpoint="e", known={key: Completion(text="then", latency_s=2.0)})
        answer = ask(known)
        assert isinstance(answer, Completion)
        assert (answer.text, answer.cached, answer.latency_s) == ("then", True, 2.0)
        assert not cache.holds(key)
        assert model.asked == 0
        for other in (ask(known, trial=1), ask(known, sampling=Sampling(temperature=1.0))):
            assert isinstance(other, Completion)
            assert (other.text, other.cached) == ("hi", False)
    assert model.asked == 2


def test_failures_are_asked_again(path: Path) -> None:
    model = CountingModel(failures=1)
    with AnswerCache(path) as cache:
        cached = CachedModel(model, cache, endpoint="e")
        assert isinstance(ask(cached), Failure)
        assert isinstance(ask(cached), Completion)
    assert model.asked == 2


def test_endpoint_sampling_and_trial_are_part_of_the_question(path: Path) -> None:
    model = CountingModel()
    with AnswerCache(path) as cache:
        ask(CachedModel(model, cache, endpoint="e"))
        ask(CachedModel(model, cache, endpoint="other"))
        ask(CachedModel(model, cache, endpoint="e"), trial=1)
        ask(CachedModel(model, cache, endpoint="e"), sampling=Sampling(temperature=1.0))
    assert model.asked == 4


def test_without_reading_answers_are_still_written(path: Path) -> None:
    with AnswerCache(path) as cache:
        ask(CachedModel(CountingModel(answer="old"), cache, endpoint="e"))
        ask(CachedModel(CountingModel(answer="new"), cache, endpoint="e", read=False))
        answer = ask(CachedModel(CountingModel(), cache, endpoint="e"))
    assert isinstance(answer, Completion)
    assert answer.text == "new"


def test_same_question_at_the_same_time_is_asked_once(path: Path) -> None:
    model = CountingModel()

    async def run(cached: CachedModel) -> list[Completion | Failure]:
        return await asyncio.gather(*(cached.complete(HELLO, Sampling()) for _ in range(5)))

    with AnswerCache(path) as cache:
        answers = asyncio.run(run(CachedModel(model, cache, endpoint="e")))
    assert model.asked == 1
    assert [answer.cached for answer in answers if isinstance(answer, Completion)] == [
        False,
        True,
        True,
        True,
        True,
    ]


def test_who_waits_for_a_cancelled_asker_asks_himself(path: Path) -> None:
    model = CountingModel()

    async def run(cached: CachedModel) -> Completion | Failure:
        first = asyncio.ensure_future(cached.complete(HELLO, Sampling()))
        second = asyncio.ensure_future(cached.complete(HELLO, Sampling()))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    with AnswerCache(path) as cache:
        assert isinstance(asyncio.run(run(CachedModel(model, cache, endpoint="e"))), Completion)
    assert model.asked == 2


def test_row_that_is_no_answer_is_asked_anew(path: Path) -> None:
    model = CountingModel()
    with AnswerCache(path) as cache:
        ask(CachedModel(model, cache, endpoint="e"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE answers SET answer = '{\"txt\": 1}', checksum = NULL")
    connection.close()
    with AnswerCache(path) as cache:
        assert isinstance(ask(CachedModel(model, cache, endpoint="e")), Completion)
    assert model.asked == 2


def test_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    AnswerCache(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()
    with pytest.raises(StorageError, match="upgrade the harness"):
        AnswerCache(path)


def test_database_of_another_program_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StorageError, match="another program"):
        AnswerCache(path)


def test_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        AnswerCache(tmp_path / "file" / "answers.sqlite")


def test_full_disk_is_a_storage_error_and_keeps_what_was_stored(path: Path) -> None:
    with AnswerCache(path) as cache:
        cache.store("first", Completion(text="kept"), endpoint="e", model="m")
        cache._connection.execute("PRAGMA max_page_count = 5")  # SQLite's own way to be full
        with pytest.raises(StorageError, match="full"):
            cache.store("second", Completion(text="x" * 100_000), endpoint="e", model="m")
        kept = cache.find("first", Completion)
    assert kept is not None
    assert kept.text == "kept"


def test_closed_cache_does_not_open_again(path: Path) -> None:
    cache = AnswerCache(path)
    cache.close()
    with pytest.raises(StorageError):
        cache.find("x", Completion)


def test_two_caches_on_one_file_see_each_other(path: Path) -> None:
    with AnswerCache(path) as one, AnswerCache(path) as two:

        def write(cache: AnswerCache, name: str) -> None:
            for number in range(50):
                cache.store(f"{name}{number}", Completion(text=name), endpoint="e", model="m")

        threads = [threading.Thread(target=write, args=pair) for pair in ((one, "a"), (two, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(two.find(f"a{n}", Completion) and one.find(f"b{n}", Completion) for n in range(50))


ASKER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from harness.models import AnswerCache, CachedModel, ChatClient, OpenAIChat
    from harness.records import Endpoint, Sampling

    async def main(base_url, path):
        client = ChatClient(Endpoint(label="test", base_url=base_url, api_key="none", max_retries=0))
        with AnswerCache(Path(path)) as cache:
            model = CachedModel(OpenAIChat("m", client), cache, endpoint="test")
            for number in range(12):
                await model.complete([{"role": "user", "content": f"question {number}"}], Sampling())
                print(number, flush=True)
        await client.close()

    asyncio.run(main(*sys.argv[1:]))
    """
)


def test_killed_run_pays_nothing_twice(path: Path) -> None:
    """SIGKILL after the seventh answer; the second run asks only for what the first did not receive."""
    with FaultyEndpoint() as server:
        command = [sys.executable, "-c", ASKER, server.base_url, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            received = {int(child.stdout.readline()) for _ in range(7)}
            child.kill()
            received |= {int(line) for line in child.stdout}
        assert child.returncode == -9
        before = server.requests
        assert before < 12
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == [str(number) for number in range(12)]
        asked = [str(body["messages"]) for body in server.bodies]
    for number in received:
        assert sum(f"question {number}'" in text for text in asked) == 1
    # What was on its way when the process died may be asked again: one request at most here.
    assert len(asked) <= 13
