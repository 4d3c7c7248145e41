"""A small project with two scripted endpoints, for plugin tests through pytester."""

import asyncio
import importlib
import pkgutil
from collections.abc import Callable, Iterator

import pytest

from harness.evals import list_runs, open_run
from harness.models import ChatClient, OpenAIChat
from harness.records import Endpoint, Run, Sampling
from harness.testing.endpoints import FaultyEndpoint

# All that a session may load is loaded before pytester takes its snapshot of the modules, since it forgets what a run
# inside it loads first: numpy and pandas cannot be loaded twice in a process, and the rest would be loaded for each test.
ROOMS = (
    "advice",
    "dataset",
    "evals",
    "experiments",
    "lineup",
    "models",
    "pytest_plugin",
    "report",
    "scorers",
    "training",
    "verdict",
)
for room in ROOMS:
    home = importlib.import_module(f"harness.{room}")
    for module in pkgutil.walk_packages(home.__path__, f"harness.{room}."):
        importlib.import_module(module.name)

CAPITALS = {
    "Capital of France?": "Paris",
    "Capital of Peru?": "Lima",
    "Capital of Chad?": "no idea",
    "Capital of Japan?": "Tokyo",
}
SUITE = """\
name: capitals
role: {role}
scorers: [{{type: exact_match}}]
cases:
  - {{id: france, prompt: "Capital of France?", expected: Paris, required: true, tags: [europe]}}
  - {{id: peru, prompt: "Capital of Peru?", expected: Lima}}
  - {{id: chad, prompt: "Capital of Chad?", expected: N'Djamena}}
  - {{id: japan, prompt: "Capital of Japan?", expected: Tokyo}}
gates:
  - {{metric: exact_match, at_least: 0.5}}
"""


class Project:
    """A folder with suites/, harness.toml and the endpoints it names."""

    def __init__(
        self,
        pytester: pytest.Pytester,
        candidate: FaultyEndpoint | None = None,
        base: FaultyEndpoint | None = None,
    ) -> None:
        self.pytester = pytester
        self.candidate = candidate or FaultyEndpoint(CAPITALS)
        self.base = base or FaultyEndpoint("Berlin")
        (pytester.path / "suites").mkdir()
        self.suite("capitals", SUITE.format(role="target"))

    def suite(self, name: str, text: str) -> None:
        """Write a suite file."""
        (self.pytester.path / "suites" / f"{name}.suite.yaml").write_text(text, encoding="utf-8")

    def configure(self, extra: str = "") -> None:
        """Write harness.toml for the endpoints as they are now."""
        models = "".join(
            f'[models.{name}]\nmodel = "acme/{name}"\nbase_url = "{endpoint.base_url}"\nmax_retries = 1\n'
            f"price = {{input = 1.0, output = 2.0}}\n"
            for name, endpoint in (("tuned", self.candidate), ("plain", self.base))
        )
        text = f'candidate = "tuned"\nbase = "plain"\n{extra}\n{models}'
        (self.pytester.path / "harness.toml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> pytest.RunResult:
        """`pytest suites/` in this process."""
        return self.pytester.runpytest_inprocess("suites", *arguments)

    def stored(self) -> Run:
        """The run on disk that was written last; two of one second are in no order by their names."""
        runs = list_runs(self.pytester.path / "reports")
        return open_run(max(runs, key=lambda run: (run / "manifest.json").stat().st_mtime_ns))

    @property
    def requests(self) -> int:
        """How often either endpoint was asked."""
        return self.candidate.requests + self.base.requests


@pytest.fixture(scope="session", autouse=True)
def _warm_client() -> None:
    """Load what the client imports lazily before pytester restores the modules after each run."""

    async def ask(base_url: str) -> None:
        client = ChatClient(Endpoint(label="warm", base_url=base_url, api_key="none"))
        await OpenAIChat("any", client).complete([{"role": "user", "content": "?"}], Sampling())
        await client.close()

    with FaultyEndpoint(faults=[401]) as endpoint:
        asyncio.run(ask(endpoint.base_url))
        asyncio.run(ask(endpoint.base_url))


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    made = Project(pytester)
    with made.candidate, made.base:
        made.configure()
        yield made


@pytest.fixture
def project_with(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Project]]:
    """A project whose candidate endpoint is another one."""
    entered: list[FaultyEndpoint] = []
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def make(candidate: FaultyEndpoint) -> Project:
        made = Project(pytester, candidate)
        for endpoint in (made.candidate, made.base):
            endpoint.__enter__()
            entered.append(endpoint)
        made.configure()
        return made

    yield make
    for endpoint in entered:
        endpoint.__exit__(None, None, None)
