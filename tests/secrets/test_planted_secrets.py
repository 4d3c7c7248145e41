"""Keys, passwords and tokens are planted wherever people keep them, and looked for in everything a run writes and says."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

# Loaded before pytester takes its snapshot of the modules: numpy cannot be loaded twice in a process.
import harness.models.official
import harness.pytest_plugin.conclusion
import harness.report.page
import harness.training.curves  # noqa: F401
from harness.cli import main
from harness.config import ModelSettings, Settings, endpoint_of, process_environment
from harness.models.surroundings import address_of
from tests.secrets.tattler import Tattler

PLANTED = {
    "OPENAI_API_KEY": "Planted1+OpenAI/key==",
    "ACME_KEY": "Planted2Acme.key-x_y",
    "OPENAI_CUSTOM_HEADERS": "X-Gate: Planted3GateHeader",
    "DATABASE_PASSWORD": "Planted4DatabasePassword",
}
PASSWORD, TOKEN = "Planted5UserPassword", "Planted6QueryToken"
SUITE = """\
name: sums
scorers: [{type: exact_match}]
cases:
  - {id: two, prompt: "2+2?", expected: "4", required: true}
  - {id: three, prompt: "3+3?", expected: "6"}
"""
TESTS = """
def test_own(candidate):
    assert candidate.ask("2+2?").text == "5"

def test_broken(candidate, request):
    session = request.config
    raise RuntimeError("an error of the test's own")
"""
ROW = json.dumps({"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]})
LOUD = ("-vv", "--showlocals", "-rA", "--junitxml=junit.xml", "--log-level=DEBUG", "-o", "junit_logging=all")


def forms() -> Iterator[str]:
    """Every secret as it is, and as JSON, URLs, Python and Basic authorization spell it."""
    for secret in (*PLANTED.values(), PASSWORD, TOKEN):
        bare = secret.removeprefix("X-Gate: ")
        yield from (bare, quote(bare, safe=""), bare.replace("/", "\\/"), repr(bare)[1:-1])
        for text in (bare, f"ann:{bare}"):
            yield base64.b64encode(text.encode()).decode().rstrip("=")


def leaks(text: str) -> list[str]:
    return [form for form in forms() if form in text]


class Folder:
    """A project that asks the tattler, with secrets in its URL and its surroundings."""

    def __init__(self, pytester: pytest.Pytester, tattler: Tattler) -> None:
        self.path, self.pytester, self.tattler = pytester.path, pytester, tattler
        (self.path / "suites").mkdir()
        (self.path / "suites" / "sums.suite.yaml").write_text(SUITE, encoding="utf-8")
        (self.path / "suites" / "test_own.py").write_text(TESTS, encoding="utf-8")
        (self.path / "train.jsonl").write_text(f"{ROW}\n" * 12, encoding="utf-8")

    def url(self, *, host: str = "") -> str:
        return f"http://ann:{PASSWORD}@{host or f'127.0.0.1:{self.tattler.port}'}/v1?token={TOKEN}"

    def configure(self, url: str, **models: str) -> None:
        tables = "".join(
            f'[models.{name}]\nmodel = "{model}"\nbase_url = "{url}"\napi_key_env = "ACME_KEY"\nmax_retries = 0\n'
            for name, model in models.items()
        )
        names = "".join(f'{name} = "{name}"\n' for name in models)
        (self.path / "harness.toml").write_text(f"{names}{tables}", encoding="utf-8")

    def found(self) -> dict[str, list[str]]:
        """The secrets in each file below the folder, but for the one in which people wrote them."""
        files = [path for path in self.path.rglob("*") if path.is_file() and path.name != "harness.toml"]
        assert files
        read = {path: leaks(path.read_bytes().decode("utf-8", "replace")) for path in files}
        return {str(path): found for path, found in read.items() if found}


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    for name in ("OPENAI_BASE_URL", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    with Tattler() as tattler:
        yield Folder(pytester, tattler)


@pytest.mark.parametrize(
    ("trouble", "custom_headers"),
    [("401", False), ("401", True), ("500", True), ("told", False), ("told", True), ("malformed", False)],
)
def test_no_secret_leaves_a_run(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, trouble: str, custom_headers: bool
) -> None:
    if not custom_headers:  # with some the official client asks, else we do
        monkeypatch.delenv("OPENAI_CUSTOM_HEADERS")
    folder.configure(folder.url(), candidate=trouble, base="good")
    result = folder.pytester.runpytest_inprocess("suites", *LOUD)
    assert result.ret == 1
    assert leaks(result.stdout.str() + result.stderr.str()) == []
    assert folder.found() == {}
    assert list(folder.path.glob("reports/*/index.html"))
    heard = leaks(folder.tattler.heard)
    assert base64.b64encode(f"ann:{PASSWORD}".encode()).decode() in heard
    assert TOKEN in heard


def test_the_key_itself_is_told_to_the_endpoint_and_to_nobody_else(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_CUSTOM_HEADERS")
    folder.configure(f"http://127.0.0.1:{folder.tattler.port}/v1", candidate="told", base="500")
    result = folder.pytester.runpytest_inprocess("suites", *LOUD)
    assert leaks(result.stdout.str()) == []
    assert folder.found() == {}
    assert PLANTED["ACME_KEY"] in folder.tattler.heard


def test_an_address_where_nobody_is_is_named_without_its_user(folder: Folder) -> None:
    folder.configure(folder.url(host="127.0.0.1:9"), candidate="a", base="b")
    result = folder.pytester.runpytest_inprocess("suites", *LOUD)
    text = result.stdout.str()
    assert "127.0.0.1:9" in text
    assert leaks(text) == []
    assert folder.found() == {}


@pytest.mark.parametrize(
    "command",
    [
        ["train", "train.jsonl"],
        ["jobs"],
        ["jobs", "show", "ftjob-401"],
        ["jobs", "events", "ftjob-1"],
        ["models"],
    ],
)
@pytest.mark.parametrize("host", ["", "127.0.0.1:9"])
def test_no_secret_leaves_a_command(
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    command: list[str],
    host: str,
) -> None:
    monkeypatch.chdir(folder.path)
    caplog.set_level("DEBUG")
    folder.configure(folder.url(host=host), base="good")
    assert main(command) in {0, 1, 3}
    told = capfd.readouterr()
    assert leaks(told.out + told.err + caplog.text) == []
    assert folder.found() == {}


def test_an_openai_key_is_not_told_by_who_refuses_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.path)
    assert main(["jobs", "show", "401", "--base-url", f"http://127.0.0.1:{folder.tattler.port}/v1"]) == 3
    told = capfd.readouterr()
    assert "you sent" in told.err
    assert leaks(told.err + told.out) == []
    assert PLANTED["OPENAI_API_KEY"] in folder.tattler.heard


def test_nothing_that_a_traceback_shows_of_values_has_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    environment = process_environment()
    url = f"https://ann:{PASSWORD}@host/v1?token={TOKEN}"
    model = ModelSettings(model="m", base_url=url, api_key_env="ACME_KEY")
    endpoint = endpoint_of(model, environment)
    values = (environment, model, endpoint, address_of(endpoint), Settings(base_url=url, models={"a": model}))
    assert leaks(repr(values)) == []
    assert PLANTED["ACME_KEY"] in str(address_of(endpoint).secrets)
