"""Requests sent as batches to an endpoint that does to them what batches meet."""

import asyncio
import contextlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import harness.evals.batching
from harness.errors import BudgetError, EndpointError, StorageError
from harness.evals.batch_ledger import BatchLedger, BatchRecord
from harness.evals.batching import BatchTerms, Sent, send_batches
from harness.models import AnswerCache
from harness.models.batch_client import BatchClient
from harness.models.batch_lines import Unasked, unasked
from harness.records import Completion, Endpoint, Json, Sampling, Usage
from harness.testing.batch_endpoint import BatchEndpoint, BatchTrouble
from harness.testing.endpoints import Fault

PROMPTS = [f"question {number}" for number in range(6)]


class Sending:
    """A project's folder and what it asks; each `run` is a session of its own."""

    def __init__(self, folder: Path, endpoint: BatchEndpoint) -> None:
        self.folder = folder
        self.endpoint = Endpoint(label="test", base_url=endpoint.base_url, api_key="none", max_retries=0)
        self.said: list[str] = []
        self.slept: list[float] = []
        self.spent: dict[str, Usage] = {}
        self.allowed: list[int] = []
        self.most_lines = 50_000
        self.sampling = Sampling()
        self.anew = False
        self.left: Mapping[str, int] = {}

    def run(
        self, prompts: Iterable[str] = PROMPTS, *, models: Sequence[str] = ("m",), name: str = "run-1"
    ) -> dict[str, Completion]:
        """What is answered afterwards, by prompt."""
        return self.send([self.request(prompt, model) for model in models for prompt in prompts], name=name)

    def send(self, wanted: Sequence[Unasked], *, name: str = "run-1") -> dict[str, Completion]:
        ledger = BatchLedger(self.folder / "batches")
        with AnswerCache(self.folder / "answers.sqlite") as cache:
            sent = Sent(batches=ledger.batches_of(name))

            def is_there(one: Unasked) -> bool:
                answer = cache.find(one.key, Completion)
                return answer is not None and (not self.anew or answer.batch in sent.batches)

            async def find() -> dict[str, Unasked]:
                return {one.key: one for one in wanted if not is_there(one)}

            terms = BatchTerms(
                ledger=ledger,
                cache=cache,
                run=name,
                say=self.said.append,
                progress=self.said.append,
                allow=self._allow,
                paid=lambda _, usages: self.spent.update(usages),
                sleep=self._sleep,
                most_lines=self.most_lines,
            )
            try:
                asyncio.run(send_batches(find, terms, sent=sent))
            finally:
                self.left = dict(sent.left)
            found = ((str(one.messages[-1]["content"]), cache.find(one.key, Completion)) for one in wanted)
            return {prompt: answer for prompt, answer in found if answer is not None}

    def request(self, prompt: str, model: str) -> Unasked:
        messages = ({"role": "user", "content": prompt},)
        return unasked(self.endpoint, model, messages, self.sampling, trial=0)

    def steps(self) -> list[str]:
        """How far the batches of the ledger got."""
        return [entry.step for entry in BatchLedger(self.folder / "batches").records()]

    def _allow(self, requests: Sequence[Unasked]) -> None:
        self.allowed.append(len(requests))

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def echo(prompt: str) -> str:
    return f"answer to {prompt}"


def sending(tmp_path: Path, *troubles: BatchTrouble, **settings: object) -> tuple[BatchEndpoint, Sending]:
    endpoint = BatchEndpoint(echo, troubles=troubles, **settings)  # type: ignore[arg-type]
    return endpoint, Sending(tmp_path, endpoint)


def texts(answers: Mapping[str, Completion]) -> dict[str, str]:
    return {prompt: answer.text for prompt, answer in answers.items()}


WHOLE = {prompt: echo(prompt) for prompt in PROMPTS}


def test_answers_say_which_batch_they_came_with_and_no_time(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path)
    with endpoint:
        answers = project.run()
    assert texts(answers) == WHOLE
    assert {(answer.batch, answer.latency_s) for answer in answers.values()} == {("batch_1", None)}
    assert len(project.spent) == len(PROMPTS)
    assert project.steps() == ["collected"]
    assert sorted(path.suffix for path in (tmp_path / "batches").iterdir()) == ["", ".json"]


def test_a_batch_asks_one_model_in_files_of_the_allowed_length(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path)
    project.most_lines = 4
    with endpoint:
        project.run(models=("m", "n"))
    asked = [[line["body"]["model"] for line in lines] for lines in endpoint.inputs]  # type: ignore[index]
    assert asked == [["m"] * 4, ["m"] * 2, ["n"] * 4, ["n"] * 2]
    assert {line["url"] for lines in endpoint.inputs for line in lines} == {"/v1/chat/completions"}


def test_models_of_one_address_are_asked_with_their_own_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[str | None, int]] = []

    class Watched(BatchClient):
        async def upload(self, path: Path) -> str:
            used.append((self.endpoint.api_key, len(path.read_bytes().splitlines())))
            return await super().upload(path)

    monkeypatch.setattr(harness.evals.batching, "BatchClient", Watched)
    endpoint, project = sending(tmp_path)
    wanted = [project.request(prompt, "m") for prompt in PROMPTS]
    other = replace(project.endpoint, api_key="another key")
    wanted += [replace(one, model="n", key=f"n{one.key}", endpoint=other) for one in wanted[:2]]
    with endpoint:
        project.send(wanted)
    assert used == [("none", 6), ("another key", 2)]


def shuffled(lines: list[dict[str, Json]]) -> list[dict[str, Json]]:
    random.Random(3).shuffle(lines)
    return lines


def test_lines_out_of_order_find_their_requests(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(lines=shuffled))
    with endpoint:
        assert texts(project.run()) == WHOLE


def damaged(lines: list[dict[str, Json]]) -> Iterable[Mapping[str, Json] | str]:
    foreign = {**lines[0], "custom_id": "somebody else's"}
    other = json.loads(json.dumps(lines[0]).replace("answer to", "another answer to"))
    return [lines[0], other, foreign, '{"custom_id": "', "[]", "", {"custom_id": 3}, *lines[2:]]


def test_lines_that_are_missing_twice_there_foreign_or_broken_harm_no_others(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(lines=damaged))
    with endpoint:
        answers = project.run()
    assert texts(answers) == {prompt: text for prompt, text in WHOLE.items() if prompt != PROMPTS[1]}
    assert project.left == {"missing": 1}
    assert len(endpoint.inputs) == 1


def test_failed_lines_are_left_with_their_reasons(tmp_path: Path) -> None:
    def script(body: Mapping[str, Json]) -> Fault | None:
        faults = {"question 1": Fault(status=429), "question 4": Fault(status=200, body="[]")}
        return faults.get(body["messages"][-1]["content"])  # type: ignore[index]

    endpoint, project = sending(tmp_path, faults=script)
    with endpoint:
        assert len(project.run()) == 4
    assert project.left == {"rate_limit": 1, "malformed": 1}


def test_what_an_expired_batch_left_out_is_sent_again(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(status="expired", answered=4))
    with endpoint:
        assert texts(project.run()) == WHOLE
    assert [len(lines) for lines in endpoint.inputs] == [6, 2]
    assert "batch_1 ended with 2 of 6 requests not asked" in project.said


def test_what_is_never_asked_is_sent_three_times_at_most(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, *[BatchTrouble(status="expired", answered=0)] * 9)
    with endpoint:
        assert project.run() == {}
    assert len(endpoint.inputs) == 3
    assert project.left == {"never answered": 6}


def test_a_cancelled_batch_keeps_its_answers_and_ends_the_session(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(status="cancelled", answered=2))
    with endpoint:
        with pytest.raises(EndpointError, match="was cancelled; the 2 answers it had are kept"):
            project.run()
        assert texts(project.run()) == WHOLE
    assert [len(lines) for lines in endpoint.inputs] == [6, 4]


def test_a_batch_that_fails_validation_says_why(tmp_path: Path) -> None:
    fault = {"code": "invalid_request", "message": "no such model: sk-12345678", "line": 3}
    endpoint, project = sending(tmp_path, BatchTrouble(status="failed", faults=(fault,)))
    with (
        endpoint,
        pytest.raises(EndpointError, match="batch_1 at test was refused: line 3: no such model: ") as caught,
    ):
        project.run()
    assert "sk-12345678" not in str(caught.value)
    assert project.steps() == ["failed"]


def test_a_full_queue_is_fed_with_smaller_batches_one_after_another(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, most_queued=2)
    with endpoint:
        assert texts(project.run()) == WHOLE
    assert [len(lines) for lines in endpoint.inputs] == [6, 3, 1, 1, 1, 1, 1, 1]
    assert project.left == {}


def test_a_refused_upload_sends_nothing(tmp_path: Path) -> None:
    upload = Fault(status=400, message="File is too large.")
    endpoint, project = sending(tmp_path, upload=upload)
    with (
        endpoint,
        pytest.raises(EndpointError, match=r"the upload of .*\.jsonl was refused.*File is too large"),
    ):
        project.run()
    assert endpoint.inputs == []


def test_an_output_that_is_gone_is_asked_for_again(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(gone=True))
    with endpoint:
        assert texts(project.run()) == WHOLE
    assert project.steps() == ["lost", "collected"]


def test_a_batch_whose_id_never_came_is_found_by_its_name(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(lost_reply=True))
    with endpoint:
        assert texts(project.run()) == WHOLE
    assert len(endpoint.inputs) == 1


@pytest.mark.parametrize("moment", range(6))
def test_an_exchange_that_breaks_off_sends_no_request_twice(
    tmp_path: Path, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint has heard it, and its reply is lost: see, upload, create, look, look, fetch."""
    endpoint, project = sending(tmp_path, BatchTrouble(polls=1))
    heard = iter(range(100))
    route = endpoint.route

    def cut(method: str, path: str, data: bytes) -> tuple[int, bytes] | None:
        answer = route(method, path, data)
        return (500, b"") if next(heard) == moment else answer

    with endpoint:
        with monkeypatch.context() as broken, contextlib.suppress(EndpointError):
            broken.setattr(endpoint, "route", cut)
            project.run()
        assert texts(project.run()) == WHOLE
    assert endpoint.batched == len(PROMPTS)


def test_a_creation_that_nobody_answers_ends_the_session_and_may_be_found_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, project = sending(tmp_path)
    route = endpoint.route

    def silent(method: str, path: str, data: bytes) -> tuple[int, bytes] | None:
        return (500, b"{}") if (method, path) == ("POST", "/v1/batches") else route(method, path, data)

    with endpoint:
        with monkeypatch.context() as broken:
            broken.setattr(endpoint, "route", silent)
            with pytest.raises(EndpointError, match="no answer to the creation of a batch"):
                project.run()
        assert project.steps() == ["asked"]
        assert texts(project.run()) == WHOLE
    assert len(endpoint.inputs) == 1


def test_a_creation_that_is_refused_ends_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, project = sending(tmp_path)
    route = endpoint.route

    def refusing(method: str, path: str, data: bytes) -> tuple[int, bytes] | None:
        return (400, b"{}") if (method, path) == ("POST", "/v1/batches") else route(method, path, data)

    monkeypatch.setattr(endpoint, "route", refusing)
    with endpoint, pytest.raises(EndpointError, match="the batch was refused"):
        project.run()
    assert project.steps() == ["failed"]


class PowerCutError(BaseException):
    """Stands for a process that is killed."""


@pytest.mark.parametrize("moment", range(4))
@pytest.mark.parametrize("is_written", [False, True])
def test_a_process_that_is_killed_sends_no_request_twice(
    tmp_path: Path, moment: int, is_written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends before or after it has written one of the four steps down: written, asked, sent, collected."""
    endpoint, project = sending(tmp_path)
    steps = iter(range(100))
    note = BatchLedger.note

    def killed(ledger: BatchLedger, entry: BatchRecord) -> BatchRecord:
        is_now = next(steps) == moment
        if is_now and not is_written:
            raise PowerCutError
        noted = note(ledger, entry)
        if is_now:
            raise PowerCutError
        return noted

    with endpoint:
        with monkeypatch.context() as broken:
            broken.setattr(BatchLedger, "note", killed)
            with pytest.raises(PowerCutError):
                project.run()
        assert texts(project.run()) == WHOLE
    assert endpoint.batched == len(PROMPTS)
    assert project.steps() == ["collected"]


def test_a_batch_under_way_is_waited_for_by_whoever_wants_a_part_of_it(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(polls=3))
    with endpoint:
        with pytest.raises(KeyboardInterrupt):
            interrupted(project)
        assert texts(project.run(PROMPTS[:1], name="run-2")) == {PROMPTS[0]: WHOLE[PROMPTS[0]]}
        assert texts(project.run()) == WHOLE
    assert len(endpoint.inputs) == 1
    assert BatchLedger(tmp_path / "batches").batches_of("run-2") == {"batch_1"}


def test_what_is_asked_anew_is_collected_although_there_are_older_answers(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(), BatchTrouble(polls=1))
    with endpoint:
        project.run(name="first")
        project.anew = True
        with pytest.raises(KeyboardInterrupt):
            interrupted(project)
        answers = project.run(name="run-2")
    assert {answer.batch for answer in answers.values()} == {"batch_2"}
    assert len(endpoint.inputs) == 2


def interrupted(project: Sending) -> None:
    async def pressed(_: float) -> None:
        raise KeyboardInterrupt

    project._sleep = pressed  # type: ignore[method-assign]
    try:
        project.run()
    finally:
        del project._sleep


def test_a_batch_that_two_commands_wait_for_is_paid_by_the_first(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(polls=1))

    async def overtaken(_: float) -> None:
        other = BatchLedger(tmp_path / "batches")
        (entry,) = other.records()
        other.note(replace(entry, step="collected", run="run-2"))

    project._sleep = overtaken  # type: ignore[method-assign]
    with endpoint:
        assert texts(project.run()) == WHOLE
    ledger = BatchLedger(tmp_path / "batches")
    assert (ledger.batches_of("run-1"), ledger.batches_of("run-2")) == (set(), {"batch_1"})


def test_only_what_is_wanted_is_told_of_a_batch_that_another_sent(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(polls=1), faults=lambda _: Fault(status=400))
    with endpoint:
        with pytest.raises(KeyboardInterrupt):
            interrupted(project)
        project.run(PROMPTS[:2], name="run-2")
    assert project.left == {"bad_request": 2}


def test_others_batches_are_not_waited_for(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(status="in_progress"))
    with endpoint:
        with pytest.raises(KeyboardInterrupt):
            interrupted(project)
        assert project.run(["something else"]).keys() == {"something else"}
    assert project.steps() == ["sent", "collected"]


def test_looks_become_rarer(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(polls=20))
    with endpoint:
        project.run()
    assert len(project.slept) == 20
    assert project.slept == sorted(project.slept)
    assert project.slept[-1] == 30.0


def test_an_endpoint_that_is_away_for_minutes_is_waited_for(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path, BatchTrouble(polls=2))
    away(endpoint, looks=range(4, 12))
    with endpoint:
        assert texts(project.run()) == WHOLE
    assert len([text for text in project.said if text.endswith("looking again")]) == 1


def test_an_endpoint_that_is_away_for_good_is_not(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path)
    away(endpoint, looks=range(3, 1000))
    with endpoint, pytest.raises(EndpointError, match="failed to the last retry"):
        project.run()
    assert 600 <= sum(project.slept) < 700
    assert project.steps() == ["sent"]


def away(endpoint: BatchEndpoint, *, looks: range) -> None:
    """Some exchanges, counted from the first, meet a server in trouble."""
    route, heard = endpoint.route, iter(range(10_000))

    def answer(method: str, path: str, data: bytes) -> tuple[int, bytes] | None:
        return (503, b"{}") if next(heard) in looks else route(method, path, data)

    endpoint.route = answer  # type: ignore[method-assign]


def test_two_sessions_that_want_the_same_send_it_once(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path)
    ledger = BatchLedger(tmp_path / "batches")
    other = contextlib.ExitStack()

    async def released(_: float) -> None:
        other.close()

    project._sleep = released  # type: ignore[method-assign]
    with endpoint:
        assert other.enter_context(ledger.sending())
        assert texts(project.run()) == WHOLE
    assert project.said[0] == "another command of this project is sending batches: waiting for it"


def test_a_model_that_refuses_log_probabilities_is_asked_without_in_another_batch(tmp_path: Path) -> None:
    def script(body: Mapping[str, Json]) -> Fault | None:
        return Fault(status=400, message="logprobs are not supported") if "logprobs" in body else None

    endpoint, project = sending(tmp_path, faults=script)
    project.sampling = Sampling(top_logprobs=5)
    with endpoint:
        assert texts(project.run()) == WHOLE
    assert [len(lines) for lines in endpoint.inputs] == [6, 6]
    assert project.left == {}


def test_a_prompt_that_no_file_can_hold_is_left(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path)
    with endpoint:
        assert project.run(["half a \ud83d", "whole"]).keys() == {"whole"}
    assert project.left == {"not valid Unicode": 1}


def test_nothing_is_sent_that_may_cost_too_much(tmp_path: Path) -> None:
    def refuse(_: Sequence[Unasked]) -> None:
        raise BudgetError("too much")

    endpoint, project = sending(tmp_path)
    project._allow = refuse  # type: ignore[method-assign]
    with endpoint, pytest.raises(BudgetError):
        project.run()
    assert endpoint.inputs == []


def test_a_record_of_a_newer_version_stops_the_session(tmp_path: Path) -> None:
    endpoint, project = sending(tmp_path)
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches" / "later.json").write_text('{"schema": 2}', encoding="utf-8")
    with endpoint, pytest.raises(StorageError, match=r"later\.json: schema 2, this version knows 1"):
        project.run()
