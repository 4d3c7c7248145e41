"""Scripts written for any of OpenAI's clients go on here: each client in a process of its own against a real socket."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.localserver.api.models import OPENAI_BASES
from tests.localserver.clients.checking import TIMEOUT_S, names, outcomes
from tests.localserver.clients.installation import UnavailableError, installed
from tests.localserver.fakes import BASE, Server, running_server, training_rows

KEY = "sk-of-the-tests"
HERE = Path(__file__).parent
OLD = HERE / "openai_0_28.py"
NEW = HERE / "openai_1_and_3.py"
TUTORIAL = HERE / "tutorial_0_28.py"


def client(version: str) -> Path:
    try:
        return installed(version)
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def openai_0_28() -> Path:
    return client("0.28.1")


@pytest.fixture(scope="session")
def openai_1() -> Path:
    return client("1.109.1")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows the names of OpenAI's models and has a key."""
    base = replace(BASE, aliases=OPENAI_BASES)
    with running_server(tmp_path_factory.mktemp("served"), base=base, api_key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def of_0_28(served: Server, openai_0_28: Path) -> dict[str, str | None]:
    return outcomes(OLD, served.base_url, KEY, client=openai_0_28)


@pytest.fixture(scope="module")
def of_1(served: Server, openai_1: Path) -> dict[str, str | None]:
    return outcomes(NEW, served.base_url, KEY, client=openai_1)


@pytest.fixture(scope="module")
def of_3(served: Server) -> dict[str, str | None]:
    return outcomes(NEW, served.base_url, KEY)


@pytest.mark.parametrize("check", names(OLD))
def test_openai_0_28(of_0_28: dict[str, str | None], check: str) -> None:
    assert of_0_28[check] is None, of_0_28[check]


@pytest.mark.parametrize("check", names(NEW))
def test_openai_1(of_1: dict[str, str | None], check: str) -> None:
    assert of_1[check] is None, of_1[check]


@pytest.mark.parametrize("check", names(NEW))
def test_openai_3(of_3: dict[str, str | None], check: str) -> None:
    assert of_3[check] is None, of_3[check]


def test_the_tutorials_script_runs_as_it_is(served: Server, openai_0_28: Path, tmp_path: Path) -> None:
    rows = tmp_path / "train.jsonl"
    rows.write_bytes(training_rows(12))
    ended = subprocess.run(
        [sys.executable, str(TUTORIAL), served.base_url, KEY, str(rows)],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        env={"PYTHONPATH": str(openai_0_28)},
    )
    assert ended.returncode == 0, ended.stderr
    assert "The job has successfully completed" in ended.stdout
    assert '"content": "step-' in ended.stdout
    assert '"status": "cancelled"' in ended.stdout
    assert ended.stdout.rstrip().endswith('"deleted": true\n}')


def test_a_client_that_cannot_be_had_is_told_in_pips_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.localserver.clients.installation.CACHE", tmp_path)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(
        UnavailableError, match=r"pip cannot install openai 0\.28\.1: .*No matching distribution"
    ):
        installed("0.28.1")
    assert not list(tmp_path.rglob("client"))
