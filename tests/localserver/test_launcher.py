"""Processes: what is started, what is said, and that nothing is left behind."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from openai import NotFoundError, OpenAI, PermissionDeniedError

from harness.errors import EndpointError
from harness.localserver import LocalServer, start
from harness.localserver.launcher import launch
from harness.localserver.state.store import open_store
from tests.localserver import fake_trainer
from tests.localserver.fakes import BASE, Server, running_server, training_rows, wait_for
from tests.localserver.tiny_model import write_tiny_model

FAKE_SERVER = (sys.executable, "-m", "tests.localserver.fake_server")
# Starts a server for itself, says when it is there, and dies without a word to it.
DYING_PARENT = """
import os, subprocess, sys
server = subprocess.Popen([*sys.argv[1:], str(os.getpid())], stdout=subprocess.PIPE, text=True)
print(server.stdout.readline(), server.stdout.readline(), server.pid, flush=True)
os._exit(0)
"""


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[LocalServer]:
    with launch([*FAKE_SERVER, str(tmp_path / "state")], log=tmp_path / "log", timeout_s=30) as server:
        yield server


def training_pid(server: LocalServer, state: Path) -> int:
    """The process of a trainer that waits, on a job just created."""
    with OpenAI(base_url=server.base_url, api_key="any") as client:
        file = client.files.create(file=("rows.jsonl", training_rows()), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model=server.model,
            training_file=file.id,
            seed=fake_trainer.WAITS,
            hyperparameters={"n_epochs": 1},
        )
    pid = state / "jobs" / job.id / "attempt-1" / "pid"
    return int(wait_for(lambda: pid.exists() and pid.read_text()))


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().split()[2]
    except FileNotFoundError:
        return True
    return state == "Z"  # nobody reaps orphans in a container without an init


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")


def test_the_launcher_is_light() -> None:
    heavy = "('torch', 'starlette', 'uvicorn', 'openai', 'pydantic', 'asyncio')"
    code = f"import sys, harness.localserver; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_events_are_relayed_and_the_server_answers(tmp_path: Path) -> None:
    events: list[Mapping[str, object]] = []
    with (
        launch(
            [*FAKE_SERVER, str(tmp_path / "state")], log=tmp_path / "log", on_event=events.append
        ) as server,
        OpenAI(base_url=server.base_url, api_key="any") as client,
    ):
        assert client.models.list().data[0].id == server.model == BASE.name
    assert [event["event"] for event in events] == ["weights", "ready"]
    assert server.weights == BASE.digest
    server.stop()  # a second time


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="ended at once: out of luck"):
        launch([sys.executable, "-c", "import sys; sys.exit('out of luck')"], log=tmp_path / "log")


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="has said nothing"):
        launch([sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log", timeout_s=0.2)


def test_a_state_folder_in_use_is_refused_with_the_servers_own_remedy(tmp_path: Path) -> None:
    with contextlib.closing(open_store(tmp_path)), pytest.raises(EndpointError) as caught:
        start(tmp_path, timeout_s=30)
    assert "another server uses this state folder" in caught.value.problem
    assert "a folder of its own" in caught.value.remedy


@needs_proc
def test_sigterm_ends_the_server_and_its_trainer(tmp_path: Path, launched: LocalServer) -> None:
    trainer = training_pid(launched, tmp_path / "state")
    launched.stop()
    assert is_gone(trainer)


@needs_proc
def test_a_killed_server_does_not_leave_its_trainer_behind(tmp_path: Path) -> None:
    command = [*FAKE_SERVER, str(tmp_path / "state")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        process.stdout.readline()
        ready = json.loads(process.stdout.readline())
        trainer = training_pid(LocalServer(process, ready), tmp_path / "state")
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: is_gone(trainer), within_s=5)


@needs_proc
def test_a_server_ends_when_the_process_it_was_started_for_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DYING_PARENT, *FAKE_SERVER, str(tmp_path / "state")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert '"ready"' in said.stdout
    wait_for(lambda: is_gone(int(said.stdout.split()[-1])), within_s=5)


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [*FAKE_SERVER, str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        server = LocalServer(process, json.loads(process.stdout.readline()))
        with OpenAI(base_url=server.base_url, api_key="any") as client:
            file = client.files.create(file=("rows.jsonl", training_rows()), purpose="fine-tune")
            done = client.fine_tuning.jobs.create(model=server.model, training_file=file.id)
            name = wait_for(lambda: client.fine_tuning.jobs.retrieve(done.id).fine_tuned_model)
            events = client.fine_tuning.jobs.list_events(done.id, limit=100).data
        process.send_signal(signal.SIGKILL)
    with running_server(state) as again:
        assert again.client.files.content(file.id).content == training_rows()
        assert again.client.fine_tuning.jobs.retrieve(done.id).fine_tuned_model == name
        assert again.client.fine_tuning.jobs.list_events(done.id, limit=100).data == events
        assert answer(again, name).startswith("step-")


def answer(server: Server, model: str) -> str:
    said = server.client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
    return said.choices[0].message.content or ""


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (("--host", "0.0.0.0"), "can be reached from other machines", "--api-key-env"),
        (("--host", "203.0.113.9", "--api-key-env", "A_KEY"), "cannot listen on 203.0.113.9", "another port"),
        (("--port", "70000"), "cannot listen on 127.0.0.1:70000", "another port"),
        (("--model", "nowhere"), "nowhere: there is no such model folder or GGUF file", "config.json"),
        (("--name", "a:b"), "'a:b' cannot be the name of a model", "letters"),
        (("--alias", "a/b"), "'a/b' cannot be the name of a model", "letters"),
    ],
)
def test_a_server_that_may_not_begin_says_why(
    tmp_path: Path, arguments: tuple[str, ...], message: str, remedy: str
) -> None:
    command = [sys.executable, "-m", "harness.localserver", "--state", str(tmp_path), *arguments]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30, env=os.environ | {"A_KEY": "s3cret"}
    )
    event = json.loads(ended.stdout)
    assert (ended.returncode, event["event"]) == (1, "error")
    assert message in event["message"]
    assert remedy in event["remedy"]
    assert "s3cret" not in ended.stdout + ended.stderr


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "harness.localserver", "--state", str(tmp_path), "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 1
    assert "Address already in use" in json.loads(ended.stdout)["message"]


def test_a_model_of_ones_own_is_served_under_its_names(tmp_path: Path) -> None:
    weights = write_tiny_model(tmp_path / "Tiny One.gguf")
    command = [
        *(sys.executable, "-m", "harness.localserver", "--state", str(tmp_path / "state")),
        *("--model", str(weights), "--alias", "gpt-0", "--no-training", "--verbose", "--threads", "1"),
    ]
    (tmp_path / "state").mkdir()
    log = tmp_path / "log"
    with launch(command, log=log) as server, OpenAI(base_url=server.base_url, api_key="any") as client:
        assert server.model == "tiny-one"
        assert client.models.retrieve("gpt-0").id == "tiny-one"
        file = client.files.create(file=("rows.jsonl", training_rows()), purpose="fine-tune")
        with pytest.raises(PermissionDeniedError) as caught:
            client.fine_tuning.jobs.create(model="gpt-0", training_file=file.id)
        assert caught.value.code == "training_not_available"
    assert "GET '/v1/models/gpt-0' 200" in log.read_text()


def test_openai_names_are_not_answered_to_unless_asked_for(tmp_path: Path) -> None:
    weights = write_tiny_model(tmp_path / "tiny.gguf")
    with (
        start(tmp_path / "state", model=weights) as server,
        OpenAI(base_url=server.base_url, api_key="any") as client,
        pytest.raises(NotFoundError),
    ):
        client.models.retrieve("gpt-4o")


def test_a_key_variable_that_is_not_set_is_a_usage_error(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "harness.localserver",
        "--state",
        str(tmp_path),
        "--api-key-env",
        "NO_SUCH",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert "NO_SUCH" in ended.stderr
