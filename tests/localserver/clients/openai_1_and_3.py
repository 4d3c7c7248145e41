"""What openai 1.x and 3.x are used for: what is asked is the same in both. Run by `checking`."""

import base64
import io
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import openai

MODEL = "gpt-4o-mini-2024-07-18"
# Seeds by which the pretended trainer knows what to do: wait after two steps, fail.
WAITS = 1003
FAILS = 1001
ROWS = [
    {"messages": [{"role": "user", "content": f"{n} and one?"}, {"role": "assistant", "content": str(n + 1)}]}
    for n in range(12)
]
HELLO = [{"role": "user", "content": "hello there you"}]

client = openai.OpenAI(max_retries=0)  # told by the environment where


def lines(values: list[Any]) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def rows() -> Any:
    return client.files.create(file=("rows.jsonl", lines(ROWS)), purpose="fine-tune")


def job(**parameters: Any) -> Any:
    return client.fine_tuning.jobs.create(training_file=rows().id, model=MODEL, **parameters)


def until(found: Any, *states: str) -> Any:
    deadline = time.monotonic() + 20
    while (now := client.fine_tuning.jobs.retrieve(found.id)).status not in states:
        assert time.monotonic() < deadline, now
        time.sleep(0.02)
    return now


def refusal(kind: type[Exception], call: Callable[..., Any], *arguments: Any, **parameters: Any) -> Any:
    try:
        call(*arguments, **parameters)
    except openai.APIStatusError as caught:
        error = caught
    else:
        raise AssertionError("it was not refused")
    assert type(error) is kind, error
    assert error.request_id.startswith("req_")
    return error


def check_files_are_created_listed_retrieved_read_and_deleted() -> None:
    file = client.files.create(file=("Zeilen für später.jsonl", b"{}\n"), purpose="fine-tune")
    assert (file.object, file.bytes, file.status) == ("file", 3, "processed")
    assert file.filename == "Zeilen für später.jsonl"
    assert client.files.create(file=io.BytesIO(b"{}"), purpose="fine-tune").filename == "upload"
    more = [rows().id for _ in range(4)]
    listed = [entry.id for entry in client.files.list(purpose="fine-tune", limit=2)]
    assert listed[:4] == more[::-1]
    assert file.id in listed
    assert [entry.id for entry in client.files.list(order="asc", limit=3)] == [
        entry.id for entry in client.files.list()
    ][::-1]
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id).id == file.id
    assert client.files.content(file.id).read() == b"{}\n"
    gone = client.files.delete(file.id)
    assert (gone.id, gone.object, gone.deleted) == (file.id, "file", True)
    assert refusal(openai.NotFoundError, client.files.retrieve, file.id).status_code == 404


def check_files_may_be_given_an_end() -> None:
    expires_after = {"anchor": "created_at", "seconds": 7200}
    file = client.files.create(file=b"{}", purpose="batch", extra_body={"expires_after": expires_after})
    assert file.expires_at == file.created_at + 7200
    if openai.VERSION >= "3":  # the older one has no parameter for it
        file = client.files.create(file=b"{}", purpose="batch", expires_after=expires_after)
        assert file.expires_at == file.created_at + 7200


def check_a_job_from_its_creation_to_its_model() -> None:
    made = job(
        validation_file=rows().id,
        suffix="New-Bot",
        seed=7,
        metadata={"team": "a"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}},
    )
    assert (made.object, made.status, made.fine_tuned_model) == ("fine_tuning.job", "validating_files", None)
    done = until(made, "succeeded", "failed")
    assert done.status == "succeeded", done
    assert done.fine_tuned_model.split(":")[3] == "new-bot"
    assert (done.seed, done.metadata, done.method.type) == (7, {"team": "a"}, "supervised")
    assert done.hyperparameters.n_epochs == done.method.supervised.hyperparameters.n_epochs == 2
    table = base64.b64decode(client.files.content(done.result_files[0]).read()).decode()
    assert table.startswith("step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,")
    checkpoints = client.fine_tuning.jobs.checkpoints.list(made.id).data
    assert [checkpoint.step_number for checkpoint in checkpoints] == [6, 3]
    assert checkpoints[0].fine_tuned_model_checkpoint == done.fine_tuned_model
    assert len(list(client.fine_tuning.jobs.checkpoints.list(made.id, limit=1))) == 2
    for checkpoint in checkpoints:
        name = checkpoint.fine_tuned_model_checkpoint
        assert client.models.retrieve(name).id == name
        assert name in {model.id for model in client.models.list()}
        said = client.chat.completions.create(model=name, messages=HELLO)
        assert said.choices[0].message.content.startswith("step-")
        gone = client.models.delete(name)
        assert (gone.id, gone.object, gone.deleted) == (name, "model", True)
        assert refusal(openai.NotFoundError, client.models.retrieve, name).code == "model_not_found"


def check_jobs_are_listed_page_by_page_and_by_metadata() -> None:
    halves = [f"{openai.VERSION}, {half}" for half in ("even", "odd")]  # another client's jobs are there too
    made = [job(metadata={"half": halves[n % 2]}, hyperparameters={"n_epochs": 1}).id for n in range(4)]
    page = client.fine_tuning.jobs.list(limit=3)
    assert [entry.id for entry in page.data] == made[:0:-1]
    assert page.has_next_page()
    assert [entry.id for entry in client.fine_tuning.jobs.list(limit=1)][:4] == made[::-1]
    odd = client.fine_tuning.jobs.list(limit=1, metadata={"half": halves[1]})
    assert [entry.id for entry in odd] == made[3::-2]


def check_events_are_listed_page_by_page() -> None:
    made = until(job(hyperparameters={"n_epochs": 2}), "succeeded")
    events = list(client.fine_tuning.jobs.list_events(made.id, limit=2))
    assert len({event.id for event in events}) == len(events) > 6
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message == f"Created fine-tuning job: {made.id}"
    metrics = [event.data for event in events if event.type == "metrics"]
    assert metrics[-1]["step"] == 1


def check_a_job_is_paused_resumed_and_cancelled() -> None:
    made = job(seed=WAITS)
    until(made, "running")
    client.fine_tuning.jobs.pause(made.id)
    until(made, "paused")
    assert client.fine_tuning.jobs.resume(made.id).status != "paused"
    assert until(made, "succeeded", "failed").status == "succeeded"
    other = job(seed=WAITS)
    until(other, "running")
    assert client.fine_tuning.jobs.cancel(other.id).status == "cancelled"
    assert refusal(openai.BadRequestError, client.fine_tuning.jobs.cancel, other.id).status_code == 400


def check_a_job_by_dpo() -> None:
    preferences = [
        {
            "input": {"messages": HELLO},
            "preferred_output": [{"role": "assistant", "content": f"good {n}"}],
            "non_preferred_output": [{"role": "assistant", "content": f"bad {n}"}],
        }
        for n in range(12)
    ]
    file = client.files.create(file=("pairs.jsonl", lines(preferences)), purpose="fine-tune")
    made = client.fine_tuning.jobs.create(
        training_file=file.id,
        model=MODEL,
        method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": 1}}},
    )
    done = until(made, "succeeded", "failed")
    assert done.status == "succeeded", done.error
    assert (done.method.type, done.method.dpo.hyperparameters.beta) == ("dpo", 0.2)


def check_a_job_that_fails_says_why() -> None:
    failed = until(job(seed=FAILS), "failed")
    assert (failed.error.code, failed.error.message) == ("bad_luck", "Not today.")
    broken = client.files.create(file=("rows.jsonl", lines([{}] * 12)), purpose="fine-tune")
    failed = until(client.fine_tuning.jobs.create(training_file=broken.id, model=MODEL), "failed")
    assert (failed.error.code, failed.error.param) == ("invalid_training_file", "training_file")


def check_chats_are_answered() -> None:
    said = client.chat.completions.create(
        model=MODEL, messages=HELLO, n=2, temperature=0, max_tokens=2, logprobs=True, top_logprobs=2
    )
    assert [choice.message.content for choice in said.choices] == ["hello there"] * 2
    assert [choice.finish_reason for choice in said.choices] == ["length"] * 2
    assert [entry.token for entry in said.choices[0].logprobs.content] == ["hello", " there"]
    assert len(said.choices[0].logprobs.content[0].top_logprobs) == 2
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens


def check_chats_are_streamed() -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        == "hello there you"
    )
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == 3


def check_texts_are_completed() -> None:
    said = client.completions.create(model=MODEL, prompt=["hello there", "you"], max_tokens=3)
    assert [choice.text for choice in said.choices] == ["hello there", "you"]
    stream = client.completions.create(model=MODEL, prompt="hello there", max_tokens=9, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "hello there"


def check_batches_are_run_and_read() -> None:
    asked = [
        {
            "custom_id": f"row-{n}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": MODEL, "messages": [{"role": "user", "content": f"number {n}"}]},
        }
        for n in range(3)
    ]
    asked.append({**asked[0], "custom_id": "row-9", "body": {"model": MODEL, "messages": HELLO, "n": 0}})
    file = client.files.create(file=("asked.jsonl", lines(asked)), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"team": "a"},
    )
    assert (batch.object, batch.metadata) == ("batch", {"team": "a"})
    deadline = time.monotonic() + 20
    while (batch := client.batches.retrieve(batch.id)).status not in ("completed", "failed"):
        assert time.monotonic() < deadline, batch
        time.sleep(0.02)
    assert batch.status == "completed", batch.errors
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (4, 3, 1)
    answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    said = {
        answer["custom_id"]: answer["response"]["body"]["choices"][0]["message"]["content"]
        for answer in answers
    }
    assert said == {f"row-{n}": f"number {n}" for n in range(3)}
    errors = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    assert [error["custom_id"] for error in errors] == ["row-9"]
    assert errors[0]["response"]["status_code"] == 400
    assert batch.id in {entry.id for entry in client.batches.list(limit=1)}
    with suppress(openai.BadRequestError, openai.ConflictError):  # it has ended
        client.batches.cancel(batch.id)


def check_errors_are_the_ones_that_scripts_catch() -> None:
    error = refusal(openai.NotFoundError, client.chat.completions.create, model="gpt-9", messages=HELLO)
    assert (error.status_code, error.code, error.type) == (404, "model_not_found", "invalid_request_error")
    assert "does not exist" in error.message
    error = refusal(openai.BadRequestError, job, hyperparameters={"n_epochs": 99})
    assert error.param == "hyperparameters.n_epochs"
    error = refusal(openai.PermissionDeniedError, client.models.delete, MODEL)
    assert error.code == "insufficient_permissions"
    stranger = client.with_options(api_key="wrong")
    assert refusal(openai.AuthenticationError, stranger.models.list).code == "invalid_api_key"
    error = refusal(openai.NotFoundError, client.fine_tuning.jobs.retrieve, "ftjob-nothing")
    assert error.code == "fine_tune_not_found"
    error = refusal(openai.APIStatusError, client.files.create, file=b"x" * 2**21, purpose="fine-tune")
    assert (error.status_code, error.code) == (413, "file_too_large")
    error = refusal(openai.BadRequestError, client.files.create, file=("rows.csv", b""), purpose="fine-tune")
    assert "Must be .jsonl" in error.message
