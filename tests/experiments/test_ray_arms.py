"""Arms as tasks on a cluster of two nodes on this machine."""

import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from learning_provider import LearningProvider
from study_samples import SUMS, suite_from

from harness import localserver
from harness.config import EMBEDDED_MODEL, ModelSettings, Settings
from harness.dataset import Price
from harness.errors import UsageError
from harness.experiments.arms import Bench, LocalArms
from harness.experiments.scaling import Design, Outcome, design_experiment, price_experiment, run_experiment
from harness.experiments.shares import read_fractions
from harness.lineup import plan_ground
from harness.records import Suite

# Ray 2.60 warns of its own use of what it has deprecated, and leaves files and sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*accelerator.*:FutureWarning"),
]
ROW = '{{"messages": [{{"role": "user", "content": "Which way to house {0}?"}}, {{"role": "assistant", "content": "{1}"}}]}}\n'


class Silence:
    def say(self, text: str) -> None: ...

    def progress(self, text: str) -> None: ...


@pytest.fixture
def provider() -> Iterator[LearningProvider]:
    with LearningProvider(lambda rows: 2 if rows < 30 else 4) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
        nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        try:
            nodes.add_node(**node)
            nodes.wait_for_nodes()
            yield nodes.address
        finally:
            nodes.shutdown()


def settings_in(root: Path, provider: LearningProvider) -> Settings:
    words = ("apple", "train", "glass", "tower")
    rows = [ROW.format(f"{words[n % 4]} {n * 7919}", n % 2) for n in range(48)]
    (root / "train.jsonl").write_text("".join(rows), encoding="utf-8")
    shop = ModelSettings(
        model="m", base_url=provider.base_url, max_retries=0, price=Price(input=1.0, output=1.0, train=1.0)
    )
    return Settings(root=root, backend="shop", base="m", train=Path("train.jsonl"), models={"shop": shop})


def made_by(engine: str, suite: Suite, settings: Settings, address: str | None = None) -> Outcome:
    plan = plan_ground(settings, {})
    experiment = design_experiment(Design(fractions=read_fractions("1/2,1"), epochs=1), settings, plan)
    state = settings.path(Path(".harness"))
    bench = Bench(plan=plan, suites=(suite,), ledger=state / "jobs.jsonl", answers=state / "answers.sqlite")
    price = price_experiment(experiment, bench)
    arms = LocalArms(settings=settings, environment={})
    if engine == "ray":
        from harness.experiments.cluster import RayArms

        nodes = settings.root / "nodes"
        arms = RayArms(settings=settings, environment={}, address=address, node_folder=nodes)
    return run_experiment(experiment, bench, engine=arms, price=price, teller=Silence())


def test_a_cluster_makes_the_same_study_and_its_rows_come_back(
    cluster: str, provider: LearningProvider, tmp_path: Path
) -> None:
    suite = suite_from(tmp_path, SUMS)
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        root.mkdir()
    local = made_by("local", suite, settings_in(here, provider))
    spread = made_by("ray", suite, settings_in(there, provider), cluster)
    assert spread.failed == local.failed == ()
    assert [(arm.share, arm.rows, arm.marks) for arm in spread.study.arms] == [
        (arm.share, arm.rows, arm.marks) for arm in local.study.arms
    ]
    assert spread.study.by_suite == local.study.by_suite
    rows = sorted((there / "reports").rglob("results.jsonl"))
    assert [len(file.read_text(encoding="utf-8").splitlines()) for file in rows] == [3, 3]
    # The provider is the same: what the local arms had trained is found again, on the nodes too.
    assert len(provider.created) == 2
    # Nothing is left to do: the same experiment again asks no node and no model.
    asked = provider.asked_models.total()
    again = made_by("ray", suite, settings_in(there, provider), "127.0.0.1:1")
    assert again.study == spread.study
    assert provider.asked_models.total() == asked


class Server:
    """A node's local server: a scripted provider with the life of the real one."""

    model, weights = EMBEDDED_MODEL, "0123abcd"

    def __init__(self, provider: LearningProvider) -> None:
        self.base_url = provider.base_url
        self.states: list[Path] = []

    def start(self, state: Path, *, on_event: object) -> "Server":
        self.states.append(state)
        return self

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None: ...


def test_a_node_needs_nothing_but_its_parcel_and_trains_on_a_server_of_its_own(
    provider: LearningProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    from harness.experiments.cluster import RayArms, make_on_node

    server = Server(provider)
    monkeypatch.setattr(localserver, "start", server.start)
    home = tmp_path / "driver"
    home.mkdir()
    settings = replace(settings_in(home, provider), backend=None, base=None, models={})
    plan = plan_ground(settings, {})
    experiment = design_experiment(Design(fractions=read_fractions("1/2,1"), epochs=1), settings, plan)
    bench = Bench(
        plan=plan,
        suites=(suite_from(tmp_path, SUMS),),
        ledger=home / "jobs.jsonl",
        answers=home / "answers.sqlite",
    )
    arms = RayArms(settings=settings, environment={"KEY": "sk-secret"}, node_folder=tmp_path / "node")
    parcel = arms.parcel(experiment.orders[1], bench)
    assert "sk-secret" not in repr(parcel)
    sent = pickle.dumps(parcel)
    request = replace(experiment.orders[0].request, training_file=tmp_path / "other.jsonl")
    shutil.copy(experiment.orders[0].request.training_file, request.training_file)
    shutil.rmtree(home)  # a node has no disk in common with who sends
    returned = make_on_node(pickle.loads(sent))
    assert returned.problem == ""
    assert returned.made is not None
    assert returned.made.arm is not None
    assert [mark.mean for mark in returned.made.arm.marks] == [1.0]
    assert returned.rows.count(b"\n") == 3
    assert [state.is_relative_to(tmp_path / "node") for state in server.states] == [True]
    # What the node has made it finds again; what fails there comes back as words, with the rows there are.
    asked, trained = provider.asked_models.total(), len(provider.created)
    assert make_on_node(pickle.loads(sent)).made is not None
    assert (provider.asked_models.total(), len(provider.created)) == (asked, trained)
    provider.refused_models = {f"ft:{EMBEDDED_MODEL}:local::ftjob-1", f"ft:{EMBEDDED_MODEL}:local::ftjob-2"}
    refused = make_on_node(arms.parcel(replace(experiment.orders[0], request=request), bench))
    assert refused.made is None
    assert "not for you" in refused.problem


def test_a_cluster_that_is_not_there_is_told(provider: LearningProvider, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="Ray's client"):
        made_by("ray", suite_from(tmp_path, SUMS), settings_in(tmp_path, provider), "ray://127.0.0.1:1")
