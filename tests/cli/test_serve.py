import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.cli import main
from harness.localserver.__main__ import _parser

PYTHON = sys.executable  # tests put a stand-in in its place
READY = """tell(event="ready", base_url="http://127.0.0.1:8123/v1", model="tiny", weights="w", device="cpu", threads=2,
     state="/home/me/state", aliases=18)"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Child":
    monkeypatch.chdir(tmp_path)
    made = Child(tmp_path)
    monkeypatch.setattr(sys, "executable", str(made.path))
    return made


class Child:
    """Stands in for the Python that would run the server: it notes its arguments and follows a script."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "python"
        self.noted = folder / "arguments"

    def does(self, script: str) -> None:
        body = f"""\
            #!{PYTHON}
            import json, pathlib, sys
            pathlib.Path({str(self.noted)!r}).write_text("\\n".join(sys.argv[1:]))
            def tell(**event): print(json.dumps(event), flush=True)
            """
        self.path.write_text(textwrap.dedent(body) + script + "\n", encoding="utf-8")
        self.path.chmod(0o755)

    @property
    def arguments(self) -> list[str]:
        return self.noted.read_text(encoding="utf-8").splitlines()


pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a shebang")


def test_address_and_the_line_to_use_it_are_told(child: Child, capsys: pytest.CaptureFixture[str]) -> None:
    child.does(READY)
    assert main(["serve", "--port", "8123"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "serving tiny at http://127.0.0.1:8123/v1  (Ctrl-C stops)",
        "  weights w on the processor, 2 threads; files, jobs and fine-tunes in /home/me/state",
        "  also answers to 18 other names, so that scripts need not change theirs",
        "  client = OpenAI(base_url='http://127.0.0.1:8123/v1', api_key='local')",
        "  export OPENAI_BASE_URL=http://127.0.0.1:8123/v1 OPENAI_API_KEY=local",
    ]
    assert child.arguments[:2] == ["-m", "harness.localserver"]
    assert Path(".harness/local-server").is_dir()


def test_other_commands_find_the_server_while_it_runs(child: Child) -> None:
    wait = """
import time
address = pathlib.Path(".harness/local-server/server.json")
while not address.exists(): time.sleep(0.01)
pathlib.Path("seen").write_text(address.read_text())
"""
    child.does(READY + wait)
    assert main(["serve"]) == 0
    seen = json.loads(Path("seen").read_text(encoding="utf-8"))
    assert (seen["base_url"], seen["model"], seen["lasting"], seen["keyed"]) == (
        "http://127.0.0.1:8123/v1",
        "tiny",
        True,
        False,
    )
    assert not Path(".harness/local-server/server.json").exists()


def test_machines_are_told_in_json(child: Child, capsys: pytest.CaptureFixture[str]) -> None:
    child.does(READY)
    assert main(["serve", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["base_url"] == "http://127.0.0.1:8123/v1"
    assert "--json" not in child.arguments


def test_flags_reach_the_server(child: Child) -> None:
    child.does("")
    wanted = {
        "--host": "::1",
        "--port": "0",
        "--state": "mine",
        "--model": "models/qwen",
        "--name": "qwen",
        "--threads": "3",
    }
    aliases = ["--alias", "a", "--alias", "b"]
    flags = ["--no-training", "--verbose"]
    main(["serve", *(part for pair in wanted.items() for part in pair), *aliases, *flags])
    given = child.arguments[2:]
    pairs = dict(zip(given[: 2 * 7 : 2], given[1 : 2 * 7 : 2], strict=True))
    assert pairs == wanted | {"--parent-pid": str(os.getpid())}
    assert given[2 * 7 :] == [*aliases, "--openai-names", *flags]


def test_every_flag_is_one_the_server_knows(child: Child) -> None:
    child.does("")
    main(
        [
            "serve",
            "--model",
            "x",
            "--name",
            "x",
            "--alias",
            "x",
            "--no-training",
            "--verbose",
            "--threads",
            "1",
        ]
    )
    parsed = _parser().parse_args(child.arguments[2:])
    assert (parsed.openai_names, parsed.no_training, parsed.alias) == (True, True, ["x"])


def test_openai_names_can_be_left_out(child: Child) -> None:
    child.does("")
    main(["serve", "--no-openai-names"])
    assert "--openai-names" not in child.arguments


def test_key_is_handed_over_by_the_name_of_its_variable(
    child: Child, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVER_KEY", "secret-0123456789")
    child.does(READY)
    assert main(["serve", "--api-key-env", "SERVER_KEY"]) == 0
    said = capsys.readouterr()
    assert "--api-key-env SERVER_KEY" in " ".join(child.arguments)
    assert "api_key=os.environ['SERVER_KEY']" in said.out
    assert "OPENAI_API_KEY=$SERVER_KEY" in said.out
    assert "secret" not in " ".join(child.arguments) + said.out + said.err


def test_variable_that_is_not_set_is_told_before_anything_starts(
    child: Child, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SERVER_KEY", raising=False)
    assert main(["serve", "--api-key-env", "SERVER_KEY"]) == 2
    assert "there is no such variable\n  export SERVER_KEY=..." in capsys.readouterr().err
    assert not child.noted.exists()


def test_weights_are_told_in_one_line_while_they_come(
    child: Child, capsys: pytest.CaptureFixture[str]
) -> None:
    child.does("for n in (0, 45, 90): tell(event='weights', done=n * 10**6, total=90 * 10**6)")
    main(["serve"])
    out = capsys.readouterr().out
    assert out.count("\r") == 3
    assert out.endswith("fetching the model's weights: 90 of 90 MB\n")


def test_server_that_cannot_begin_says_why_and_the_status_is_3(
    child: Child, capsys: pytest.CaptureFixture[str]
) -> None:
    child.does("tell(event='error', message='the port is taken', remedy='choose another'); sys.exit(1)")
    assert main(["serve"]) == 3
    assert capsys.readouterr().err == "harness: the port is taken\n  choose another\n"


def test_server_that_was_killed_is_no_success(child: Child) -> None:
    child.does("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert main(["serve"]) == 3


def test_state_that_cannot_be_written_is_told(child: Child, capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").write_text("a file", encoding="utf-8")
    assert main(["serve", "--state", "taken"]) == 2
    assert "taken: File exists\n  give another folder with --state" in capsys.readouterr().err


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_in_order(child: Child, sent: signal.Signals) -> None:
    """The command alone gets it, from the keyboard or a service manager; the server is told to end and has the time to."""
    script = """\
import signal, time
def leave(number, frame):
    pathlib.Path("ended").write_text(str(number))
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
tell(event="ready", base_url="u", model="m", weights="w", device="cpu", threads=1, state="s", aliases=0)
time.sleep(60)
"""
    child.does(script)
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; from harness.cli import main\n"
        f"sys.executable = {str(child.path)!r}; sys.exit(main(['serve']))"
    )
    with subprocess.Popen(
        [PYTHON, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline().startswith("serving m")
        os.killpg(command.pid, sent)
        assert command.wait(timeout=30) == 0
    assert Path("ended").read_text(encoding="utf-8") == str(int(signal.SIGTERM))
