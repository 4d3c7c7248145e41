"""OpenAI's own client and its own types against the server: a script needs nothing but a base URL."""

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import openai
import pytest
from openai._legacy_response import LegacyAPIResponse
from openai.types import FileDeleted, FileObject
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.localserver.fakes import BASE, EchoEngine, Server, running_server, strictly, training_rows


def raw(response: LegacyAPIResponse[Any]) -> Any:
    return response.http_response.json()


def says(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_whole_fine_tune(server: Server) -> None:
    client = server.client
    training = client.files.create(file=io.BytesIO(training_rows(12)), purpose="fine-tune")
    validation = server.upload(training_rows(3, start=50))
    job = client.fine_tuning.jobs.create(
        model=BASE.name,
        training_file=training.id,
        validation_file=validation.id,
        suffix="AcmeBot",
        seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}},
    )
    assert job.status == "validating_files"
    done = server.wait(job)
    assert done.status == "succeeded"
    assert done.fine_tuned_model.startswith("ft:tiny-base:local:acmebot:")
    assert done.trained_tokens > 0
    assert done.finished_at >= done.created_at
    assert client.models.retrieve(done.fine_tuned_model).id == done.fine_tuned_model
    answer = client.chat.completions.create(
        model=done.fine_tuned_model, messages=[{"role": "user", "content": "hello there"}], max_tokens=10
    )
    assert answer.choices[0].message.content == "step-6 hello there"
    table = base64.b64decode(client.files.content(done.result_files[0]).content).decode()
    assert table.splitlines()[:3] == [
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy",
        "1,2.0,0.5,3.0,0.5",
        "2,1.0,0.66667,,",
    ]
    assert len(table.splitlines()) == 1 + 6


def test_bytes_without_a_name_are_called_upload(server: Server) -> None:
    assert server.client.files.create(file=b"{}", purpose="fine-tune").filename == "upload"


def test_file_objects_are_the_clients_type(server: Server) -> None:
    created = strictly(
        FileObject,
        raw(server.client.files.with_raw_response.create(file=("a.jsonl", b"{}"), purpose="fine-tune")),
    )
    assert (created.bytes, created.filename, created.status) == (2, "a.jsonl", "processed")
    strictly(FileObject, raw(server.client.files.with_raw_response.retrieve(created.id)))
    page = raw(server.client.files.with_raw_response.list())
    assert strictly(FileObject, page["data"][0]) == created
    assert (page["first_id"], page["last_id"], page["has_more"]) == (created.id, created.id, False)
    assert server.client.files.content(created.id).content == b"{}"
    strictly(FileDeleted, raw(server.client.files.with_raw_response.delete(created.id)))
    with pytest.raises(openai.NotFoundError):
        server.client.files.retrieve(created.id)


def test_chat_completions_are_the_clients_type(server: Server) -> None:
    answer = strictly(
        ChatCompletion,
        raw(
            server.client.chat.completions.with_raw_response.create(
                model=BASE.name,
                messages=[
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": "one two three"},
                ],
                max_completion_tokens=2,
                temperature=0,
                top_p=0.5,
                seed=1,
                stop=["."],
                user="u",
                metadata={"a": "b"},
                store=True,
            )
        ),
    )
    assert answer.choices[0].message.content == "one two"
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        5,
        2,
        7,
    )
    assert answer.system_fingerprint == BASE.fingerprint
    request = server.engine.requests[0]
    assert (request.temperature, request.top_p, request.seed, request.stop) == (0, 0.5, 1, (".",))


def test_an_answer_is_parsed_into_a_model(server: Server) -> None:
    class Trip(BaseModel):
        city: str
        days: int | None

    answer = server.client.chat.completions.parse(
        model=BASE.name, messages=says('{"city": "Bern", "days": null}'), response_format=Trip
    )
    assert answer.choices[0].message.parsed == Trip(city="Bern", days=None)
    assert json.loads(server.engine.requests[0].schema or "")["required"] == ["city", "days"]


def test_the_stream_helper_puts_the_answer_together(server: Server) -> None:
    with server.client.chat.completions.stream(
        model=BASE.name,
        messages=says("one 你 🙂"),
        n=2,
        logprobs=True,
        stream_options={"include_usage": True},
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta" and event.delta]
        answer = stream.get_final_completion()
    assert sorted(deltas) == sorted(["one", " 你", " 🙂"] * 2)
    assert [choice.message.content for choice in answer.choices] == ["one 你 🙂"] * 2
    assert [len(choice.logprobs.content) for choice in answer.choices] == [3, 3]
    assert answer.usage.completion_tokens == 6


def test_a_raw_response_has_headers_and_the_parsed_answer(server: Server) -> None:
    response = server.client.chat.completions.with_raw_response.create(model=BASE.name, messages=says("hi"))
    assert response.request_id.startswith("req_")
    assert response.parse().choices[0].message.content == "hi"
    with server.client.chat.completions.with_streaming_response.create(
        model=BASE.name, messages=says("one two"), stream=True
    ) as streamed:
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert list(streamed.iter_lines())[-2:] == ["data: [DONE]", ""]


def test_texts_are_continued_at_once_and_piece_by_piece(server: Server) -> None:
    whole = server.client.completions.create(model=BASE.name, prompt="one two", max_tokens=1)
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("one", "length")
    stream = server.client.completions.create(model=BASE.name, prompt="one two", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "one two"


def test_the_asynchronous_client_streams_many_answers_at_once(server: Server) -> None:
    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:

            async def ask(number: int) -> str:
                stream = await client.chat.completions.create(
                    model=BASE.name, messages=says(f"number {number}"), stream=True
                )
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*(ask(number) for number in range(32)))

    assert asyncio.run(ask_all()) == [f"number {number}" for number in range(32)]


def test_a_checkpoint_and_a_fine_tune_are_asked_by_their_names(server: Server) -> None:
    done = server.wait(server.train(hyperparameters={"n_epochs": 2, "batch_size": 4}))
    names = [model.id for model in server.client.models.list()]
    checkpoint = next(name for name in names if name.endswith(":ckpt-step-3"))
    for name, said in ((checkpoint, "step-3 hello"), (done.fine_tuned_model, "step-6 hello")):
        answer = server.client.chat.completions.create(model=name, messages=says("hello"))
        assert (answer.model, answer.choices[0].message.content) == (name, said)
        assert server.client.completions.create(model=name, prompt="hello").choices[0].text == said


def test_errors_arrive_with_code_and_request_id(server: Server) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        server.client.fine_tuning.jobs.create(model="gpt-9", training_file="file-x")
    assert caught.value.code == "model_not_available"
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id.startswith("req_")


def test_lists_are_paged_to_their_end(server: Server) -> None:
    jobs = [server.train(metadata={"half": str(number % 2)}, seed=number) for number in range(5)]
    newest_first = [job.id for job in jobs][::-1]
    assert [job.id for job in server.client.fine_tuning.jobs.list(limit=2)] == newest_first
    odd = server.client.fine_tuning.jobs.list(limit=1, metadata={"half": "1"})
    assert [job.seed for job in odd] == [3, 1]
    files = list(server.client.files.list(limit=2, order="asc", purpose="fine-tune"))
    assert [file.id for file in files] == [job.training_file for job in jobs]
    for job in jobs:
        server.wait(job)
    events = list(server.client.fine_tuning.jobs.list_events(jobs[0].id, limit=3))
    assert len({event.id for event in events}) == len(events) > 6


def test_files_can_be_deleted_while_they_are_listed(server: Server) -> None:
    for number in range(5):
        server.upload(b"{}", name=str(number))
    for file in server.client.files.list(limit=2):
        server.client.files.delete(file.id)
    assert not server.client.files.list().data


def test_sixty_four_requests_reach_the_engine_together(tmp_path: Path) -> None:
    engine = EchoEngine(together=64)

    async def ask_all(base_url: str) -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
            asked = [
                client.chat.completions.create(
                    model=BASE.name, messages=[{"role": "user", "content": f"number {number}"}], timeout=20
                )
                for number in range(64)
            ]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]

    with running_server(tmp_path, engine=engine) as server:
        answers = asyncio.run(ask_all(server.base_url))
    assert answers == [f"number {number}" for number in range(64)]
    assert engine.closed
