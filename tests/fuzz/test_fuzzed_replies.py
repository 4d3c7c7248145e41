"""Whatever an endpoint answers: an answer, or a failure with its cause; never a crash, never a hang."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evals.suites import scorer_spec
from harness.models import ChatClient, OpenAIChat
from harness.models.batch_lines import read_line
from harness.models.embeddings import OpenAIEmbedder, read_embedding
from harness.models.exchange import RefusedError
from harness.models.failures import failure_of
from harness.models.openai_chat import read_completion
from harness.models.shutdowns import read_shutdown_dates
from harness.records import Case, Completion, Embedding, Endpoint, Failure, Sampling, Score, TrainingJob
from harness.scorers import build
from harness.serial import from_json, to_json
from harness.training import (
    cancel_job,
    checkpoints_of,
    curve_from_events,
    curve_of,
    job_events,
    list_jobs,
    retrieve_job,
)
from harness.training.progress import measured, told
from harness.training.replies import checkpoint_from, estimated_finish, event_from, job_from, result_files
from tests.fuzz.bounds import bounded, read_or_refused, thinned
from tests.fuzz.test_fuzzed_files import respelt
from tests.fuzz.wire import Wire
from tests.localserver.fuzz.inputs import broken, json_bodies, near, replaced

ENDPOINT = Endpoint(
    label="test", base_url="http://127.0.0.1:9/v1", api_key="a-key-of-no-use", max_retries=0, timeout_s=10
)
CHAT = {
    "id": "x",
    "model": "m",
    "system_fingerprint": "fp",
    "choices": [
        {
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": [{"type": "text", "text": "hi"}],
                "refusal": None,
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}],
                "function_call": {"name": "f", "arguments": "{}"},
            },
            "logprobs": {
                "content": [{"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "b", "logprob": -2}]}]
            },
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}},
}
VECTOR = {"data": [{"embedding": [1.0, 2]}], "usage": {"prompt_tokens": 3}}
ERROR = {"error": {"message": {"detail": [{"msg": "no"}]}, "code": "c", "type": "t", "param": "p"}}
MODELS = {
    "data": [
        {"id": "m", "shutdown_date": "2027-01-01"},
        {"id": "n", "deprecation": {"inference": 1_800_000_000}},
    ]
}
JOB = {
    "object": "fine_tuning.job",
    "id": "ftjob-1",
    "model": "m",
    "created_at": 1,
    "finished_at": 2,
    "fine_tuned_model": "ft:m",
    "status": "succeeded",
    "trained_tokens": 3,
    "hyperparameters": {"n_epochs": 3, "batch_size": "auto"},
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
    "result_files": ["file-1"],
    "error": {"message": "x", "code": "c"},
    "metadata": {"harness_digest": "d"},
    "estimated_finish": 4,
}
EVENT = {
    "object": "fine_tuning.job.event",
    "id": "e",
    "created_at": 1,
    "level": "info",
    "message": "m",
    "type": "metrics",
    "data": {"step": 1, "train_loss": 2.0, "total_steps": 3, "valid_loss": 1.0, "full_valid_loss": 1.0},
}
CHECKPOINT = {
    "object": "fine_tuning.job.checkpoint",
    "id": "c",
    "fine_tuned_model_checkpoint": "ft:c",
    "step_number": 2,
    "metrics": {"step": 2, "train_loss": 1.0},
}
LINE = {"custom_id": "k", "response": {"status_code": 200, "body": CHAT}, "error": None}
FAILED_LINE = {"custom_id": "k", "response": None, "error": {"code": "batch_expired", "message": "late"}}


def check_failure(failure: object) -> None:
    assert isinstance(failure, Failure)
    assert failure.message.isprintable()
    assert len(failure.message) < 1000
    assert ENDPOINT.api_key not in failure.message


def chat(text: str) -> None:
    answer = read_completion(text, key=ENDPOINT.api_key)
    if isinstance(answer, Completion):
        stored = to_json(answer)
        assert to_json(from_json(Completion, stored.encode())) == stored
    else:
        check_failure(answer)


def vector(text: str) -> None:
    answer = read_embedding(text, key=ENDPOINT.api_key)
    if isinstance(answer, Embedding):
        assert from_json(Embedding, to_json(answer)) == answer
    else:
        check_failure(answer)


def error(text: str) -> None:
    for status in (400, 401, 404, 429, 503):
        check_failure(
            failure_of(RefusedError(status, text), model="m", endpoint=ENDPOINT, key=ENDPOINT.api_key)
        )


def batch_line(text: str) -> None:
    answer = read_line(text.encode(), endpoint=ENDPOINT, model="m", batch="b")
    if answer is not None:
        to_json(answer.outcome).encode()
        assert isinstance(answer.outcome, Completion) or check_failure(answer.outcome) is None


def job(text: str) -> None:
    data = _object(text)
    made = job_from(data)
    assert isinstance(from_json(TrainingJob, to_json(made)), TrainingJob)
    result_files(data)
    estimated_finish(data)


def event(text: str) -> None:
    events = [event_from(_object(text))] * 3
    told(events, status="running")
    measured(events, status="running", now=0.0)
    if events[0].metrics is not None:
        curve_from_events([events[0].metrics])


def checkpoint(text: str) -> None:
    to_json(checkpoint_from(_object(text)))


def _object(text: str) -> dict[str, Any]:
    """The client hands objects over, whatever came."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


READERS: dict[str, tuple[Any, Callable[[str], object]]] = {
    "chat": (CHAT, chat),
    "vector": (VECTOR, vector),
    "error": (ERROR, error),
    "models": (MODELS, read_shutdown_dates),
    "batch line": (LINE, batch_line),
    "failed line": (FAILED_LINE, batch_line),
    "job": (JOB, job),
    "event": (EVENT, event),
    "checkpoint": (CHECKPOINT, checkpoint),
}
every_reader = pytest.mark.parametrize("name", READERS)


@every_reader
def test_any_value_of_a_reply_may_be_of_another_kind(name: str) -> None:
    valid, read = READERS[name]
    for other in thinned(replaced(valid), 60):
        read(json.dumps(other))


@every_reader
def test_any_value_of_a_reply_may_be_spelt_as_no_other_program_would(name: str) -> None:
    valid, read = READERS[name]
    for data in thinned(respelt(json.dumps(valid).encode()), 60):
        read(data.decode())


@pytest.mark.parametrize("levels", [90, 150, 900, 100_000])
@every_reader
def test_a_reply_may_be_nested_as_deep_as_it_likes(name: str, levels: int) -> None:
    _, read = READERS[name]
    for deep in ("[" * levels + "]" * levels, '{"message":' * levels + "1" + "}" * levels):
        read(deep)
        read(f'{{"error":{deep},"custom_id":"k","data":[{{"embedding":[{deep}]}}]}}')
        read(f'{{"choices":[{{"message":{{"tool_calls":[{{"function":{{"arguments":{deep}}}}}]}}}}]}}')


@pytest.mark.parametrize(
    "piece", ["eyJ-", "://", "bearer ", "sk-", "secret=", " ", "?token", "(" * 50, "\ud800", "\x1b["]
)
def test_words_without_end_are_told_in_short_at_once(piece: str) -> None:
    text = json.dumps({"error": {"message": piece * (2_000_000 // len(piece))}})
    read_or_refused(lambda: error(text))
    read_or_refused(lambda: chat(text))


@bounded(20)
@given(data=st.data())
def test_any_reply_is_an_answer_or_a_failure(data: st.DataObject) -> None:
    valid, read = READERS[data.draw(st.sampled_from(sorted(READERS)))]
    read(data.draw(json_bodies(valid)).decode("utf-8", "replace"))


# --- judges ------------------------------------------------------------------------------------------------

CASE = Case(id="a", messages=({"role": "user", "content": "q"},), expected="a")
ANSWER, OTHER = Completion(text="an answer"), Completion(text="another")
MESSAGES = [{"role": "user", "content": "{{ sample.output_text }}"}]
JUDGES: tuple[dict[str, Any], ...] = (
    {"type": "rubric", "criteria": [{"name": "humour", "levels": {"1": "flat", "5": "funny"}}]},
    {"type": "pairwise", "criteria": "which is better?"},
    {"type": "score_model", "name": "s", "model": "m", "input": MESSAGES, "range": [0, 10]},
    {"type": "label_model", "name": "s", "model": "m", "input": MESSAGES, "labels": ["a", "b"], "passing_labels": ["a"]},
)  # fmt: skip
REPLIES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "Level: 3",
            "level: 9999999",
            "Verdict: A",
            '{"score": 1e400}',
            '{"score": ' + "9" * 400 + "}",
            '{"level": NaN}',
            '{"result": "a", "steps": []}',
            "Score: 3/5",
            "{" * 3000,
            '{"a":' * 900 + "1" + "}" * 900,
        ]
    ),
    near({"steps": [{"description": "d", "conclusion": "c"}], "result": "a", "score": 3, "level": 2}).map(
        json.dumps
    ),
)
LIKELY = st.lists(
    st.dictionaries(st.sampled_from(["1", "5", "A", "x", "\ud800"]), st.floats(), max_size=3), max_size=3
)


def judged(settings: dict[str, Any], reply: Completion) -> Iterator[Score]:
    scorer: Any = build(scorer_spec(settings))
    if hasattr(scorer, "comparisons"):
        asked = scorer.comparisons(CASE, ANSWER, OTHER)
        yield scorer.read_comparison(CASE, ANSWER, {one.name: (reply,) * one.repeats for one in asked})
    elif hasattr(scorer, "questions"):
        asked = scorer.questions(CASE, ANSWER)
        yield scorer.read_all(CASE, ANSWER, {one.name: (reply,) * one.repeats for one in asked})
    else:
        yield scorer.read(CASE, ANSWER, reply)


@bounded(30)
@given(settings=st.sampled_from(JUDGES), text=REPLIES, likely=LIKELY)
def test_any_reply_of_a_judge_is_a_score_or_unscored(
    settings: dict[str, Any], text: str, likely: list[dict[str, float]]
) -> None:
    for score in judged(settings, Completion(text=text, top_logprobs=tuple(likely))):
        assert score.value is None or 0 <= score.value <= 1
        assert to_json(score).encode()


# --- over the wire -----------------------------------------------------------------------------------------

HEADS = (
    b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=no-such\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 200 " + b"O" * 100_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 2_000 + b"\r\n",
    b"HTTP/1.1 999 ?\r\nretry-after: 9e999\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nlocation: http://[::1\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\nconnection: close\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/9.9 200\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"",
)


def ask(wire: Wire) -> tuple[Completion | Failure, Embedding | Failure]:
    async def both() -> tuple[Completion | Failure, Embedding | Failure]:
        client = ChatClient(
            Endpoint(label="wire", base_url=wire.base_url, api_key="none", max_retries=0, timeout_s=10)
        )
        try:
            answer = await OpenAIChat("m", client).complete([{"role": "user", "content": "q"}], Sampling())
            return answer, await OpenAIEmbedder("m", client).embed("q")
        finally:
            await client.close()

    return asyncio.run(both())


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


@pytest.mark.parametrize("head", HEADS, ids=lambda head: repr(head[:60]))
def test_any_way_of_speaking_http_is_an_answer_or_a_failure(wire: Wire, head: bytes) -> None:
    usual, wire.head = wire.head, head
    try:
        for wire.answer in (b"", json.dumps(CHAT).encode(), b"zz\r\n" + b"\xff" * 1000):
            for answer in ask(wire):
                assert isinstance(answer, Completion) or check_failure(answer) is None
    finally:
        wire.head = usual


@bounded(8)
@given(data=st.data())
def test_any_bytes_over_the_wire_are_an_answer_or_a_failure(wire: Wire, data: st.DataObject) -> None:
    wire.answer = data.draw(broken(json.dumps(CHAT).encode()) | st.binary(max_size=80))
    for answer in ask(wire):
        assert isinstance(answer, Completion | Embedding) or check_failure(answer) is None


LISTS = {"object": "list", "data": [JOB, EVENT, CHECKPOINT], "has_more": False}
LOOKS: tuple[Callable[[Endpoint], object], ...] = (
    lambda endpoint: list_jobs(endpoint, at_most=3),
    lambda endpoint: retrieve_job(endpoint, "ftjob-1"),
    lambda endpoint: job_events(endpoint, "ftjob-1"),
    lambda endpoint: checkpoints_of(endpoint, job_from(JOB)),
    lambda endpoint: curve_of(endpoint, job_from(JOB)),
    lambda endpoint: cancel_job(endpoint, "ftjob-1"),
)
ODD_BODIES = (
    b"", b"null", b"[]", b"1", b'"x"', b"{}", b"\xff\xfe", b"<html>", b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"data": ' + b"9" * 5000 + b"}", b'{"data": null}', b'{"data": {}}', b'{"data": [1, null, "x", []]}', b'{"id": NaN, "created_at": Infinity, "data": [{"id": 1}]}',
)  # fmt: skip


@pytest.mark.parametrize("look", LOOKS, ids=["jobs", "job", "events", "checkpoints", "curve", "cancel"])
def test_any_body_of_a_job_is_read_or_refused(wire: Wire, look: Callable[[Endpoint], object]) -> None:
    endpoint = Endpoint(label="wire", base_url=wire.base_url, api_key="none", max_retries=0, timeout_s=10)
    others = (json.dumps(other).encode() for other in thinned(replaced(LISTS), 3))
    bodies = [*thinned(ODD_BODIES, 8), *others]
    for wire.answer in bodies:
        read_or_refused(lambda: look(endpoint))


@bounded(8)
@given(data=st.data())
def test_any_json_of_a_job_is_read_or_refused(wire: Wire, data: st.DataObject) -> None:
    endpoint = Endpoint(label="wire", base_url=wire.base_url, api_key="none", max_retries=0, timeout_s=10)
    wire.answer = data.draw(json_bodies(data.draw(st.sampled_from([JOB, LISTS]))))
    read_or_refused(lambda: data.draw(st.sampled_from(LOOKS))(endpoint))
