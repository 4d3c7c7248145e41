"""What openai 0.28.1 is used for. Run by `checking`, under that version."""

import io
import json
import time
from collections.abc import Callable
from typing import Any

import openai

MODEL = "gpt-3.5-turbo"
# Seeds by which the pretended trainer knows what to do: wait after two steps.
WAITS = 1003
ROWS = [
    {"messages": [{"role": "user", "content": f"{n} and one?"}, {"role": "assistant", "content": str(n + 1)}]}
    for n in range(12)
]
HELLO = [{"role": "user", "content": "hello there you"}]


def rows(name: str | None = None) -> Any:
    content = io.BytesIO("".join(json.dumps(row) + "\n" for row in ROWS).encode())
    return openai.File.create(file=content, purpose="fine-tune", user_provided_filename=name)


def job(**parameters: Any) -> Any:
    return openai.FineTuningJob.create(training_file=rows().id, model=MODEL, **parameters)


def until(found: Any, *states: str) -> Any:
    deadline = time.monotonic() + 20
    while (now := openai.FineTuningJob.retrieve(found.id)).status not in states:
        assert time.monotonic() < deadline, now
        time.sleep(0.02)
    return now


def refusal(kind: type[Exception], call: Callable[..., Any], *arguments: Any, **parameters: Any) -> Any:
    try:
        call(*arguments, **parameters)
    except kind as error:
        return error
    raise AssertionError("it was not refused")


def check_the_version_is_the_one_meant() -> None:
    assert openai.__version__ == "0.28.1"


def check_files_are_created_listed_retrieved_read_and_deleted() -> None:
    file = rows("Zeilen für später.jsonl")
    assert (file.object, file.purpose, file.status) == ("file", "fine-tune", "processed")
    assert file.filename == "Zeilen für später.jsonl"
    assert rows().filename == "file"
    listed = {entry.id: entry for entry in openai.File.list().data}
    assert listed[file.id].bytes == file.bytes
    assert openai.File.retrieve(file.id).created_at == file.created_at
    assert json.loads(openai.File.download(file.id).splitlines()[0]) == ROWS[0]
    found = openai.File.find_matching_files(file.filename, file.bytes, "fine-tune")
    assert file.id in {entry.id for entry in found}
    assert openai.File.delete(file.id).deleted is True
    assert refusal(openai.error.InvalidRequestError, openai.File.retrieve, file.id).http_status == 404
    assert refusal(openai.error.InvalidRequestError, openai.File.download, file.id).http_status == 404


def check_a_model_named_at_an_upload_is_not_missed() -> None:
    assert openai.File.create(file=io.BytesIO(b"{}"), purpose="fine-tune", model="curie").id


def check_a_job_from_its_creation_to_its_model() -> None:
    made = job(hyperparameters={"n_epochs": 2, "batch_size": 4}, suffix="Old-Bot", validation_file=rows().id)
    assert (made.object, made.status, made.fine_tuned_model) == ("fine_tuning.job", "validating_files", None)
    done = until(made, "succeeded", "failed")
    assert done.status == "succeeded", done
    assert done.fine_tuned_model.split(":")[3] == "old-bot"
    assert done.hyperparameters.n_epochs == 2
    assert done.trained_tokens > 0
    assert len(done.result_files) == 1
    checkpoint = next(
        model.id
        for model in openai.Model.list().data
        if model.id.endswith(":ckpt-step-3") and ":old-bot:" in model.id
    )
    for name in (checkpoint, done.fine_tuned_model):
        assert openai.Model.retrieve(name).id == name
        said = openai.ChatCompletion.create(model=name, messages=HELLO)
        assert said.choices[0].message.content.startswith("step-")
        gone = openai.Model.delete(name)
        assert (gone.id, gone.object, gone.deleted) == (name, "model", True)
        assert (
            refusal(openai.error.InvalidRequestError, openai.Model.retrieve, name).code == "model_not_found"
        )


def check_jobs_are_listed_page_by_page() -> None:
    made = [job(hyperparameters={"n_epochs": 1}).id for _ in range(3)]
    page = openai.FineTuningJob.list(limit=2)
    assert [entry.id for entry in page.data] == made[:0:-1]
    assert page.has_more is True
    listed = [entry.id for entry in openai.FineTuningJob.auto_paging_iter(limit=2)]
    assert listed[:3] == made[::-1]
    assert len(set(listed)) == len(listed)


def check_a_job_is_cancelled_and_its_events_are_listed() -> None:
    made = job(seed=WAITS)
    until(made, "running")
    assert openai.FineTuningJob.cancel(made.id).status == "cancelled"
    events = [event.message for event in openai.FineTuningJob.list_events(id=made.id, limit=10).data]
    assert "Fine-tuning job cancelled" in events
    assert events[-1] == f"Created fine-tuning job: {made.id}"
    again = refusal(openai.error.InvalidRequestError, openai.FineTuningJob.cancel, made.id)
    assert (again.http_status, again.code) == (400, "job_already_completed")


def check_a_job_of_a_broken_file_fails_with_the_reason() -> None:
    file = openai.File.create(file=io.BytesIO(b"{}\n" * 12), purpose="fine-tune")
    failed = until(openai.FineTuningJob.create(training_file=file.id, model=MODEL), "failed")
    assert failed.error.code == "invalid_training_file"
    assert failed.error.param == "training_file"


def check_chats_are_answered_and_streamed() -> None:
    said = openai.ChatCompletion.create(model=MODEL, messages=HELLO, temperature=0, max_tokens=2)
    assert said.choices[0].message.content == "hello there"
    assert (said.choices[0].finish_reason, said.usage.completion_tokens) == ("length", 2)
    assert said["choices"][0]["message"]["role"] == "assistant"
    chunks = list(openai.ChatCompletion.create(model=MODEL, messages=HELLO, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    pieces = [chunk.choices[0].delta.get("content") or "" for chunk in chunks]
    assert "".join(pieces) == "hello there you"
    assert chunks[-1].choices[0].finish_reason == "stop"


def check_texts_are_completed() -> None:
    said = openai.Completion.create(model=MODEL, prompt="hello there you", max_tokens=3)
    assert (said.object, said.choices[0].text) == ("text_completion", "hello there you")
    chunks = openai.Completion.create(model=MODEL, prompt="hello there", max_tokens=9, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "hello there"


def check_errors_are_the_ones_that_scripts_catch() -> None:
    error = refusal(
        openai.error.InvalidRequestError, openai.ChatCompletion.create, model="gpt-9", messages=HELLO
    )
    assert (error.http_status, error.code) == (404, "model_not_found")
    assert "does not exist" in error.user_message
    error = refusal(openai.error.InvalidRequestError, job, hyperparameters={"n_epochs": 99})
    assert (error.http_status, error.param) == (400, "hyperparameters.n_epochs")
    assert error.headers["x-request-id"].startswith("req_")
    error = refusal(openai.error.PermissionError, openai.Model.delete, MODEL)
    assert error.http_status == 403
    error = refusal(openai.error.AuthenticationError, openai.Model.list, api_key="wrong")
    assert (error.http_status, error.error.code) == (401, "invalid_api_key")
    error = refusal(openai.error.InvalidRequestError, openai.FineTuningJob.retrieve, "ftjob-nothing")
    assert (error.http_status, error.code) == (404, "fine_tune_not_found")
    error = refusal(openai.error.APIError, openai.File.create, io.BytesIO(b"x" * 2**21), "fine-tune")
    assert error.http_status == 413
