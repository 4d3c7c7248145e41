"""The check on a cluster of two nodes on this machine; where Ray is not installed, only what is said then."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from harness.cli import main
from harness.dataset.checking import check_file
from harness.dataset.engines import Engine
from harness.dataset.engines.processes import Part
from harness.dataset.lines import Line, Progress
from harness.records import record
from harness.serial import to_json

# Ray 2.60 warns of its own use of what it has deprecated, and leaves files and sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{number % 30}?"},
                {"role": "assistant", "content": "yes"},
            ]
        }
        for number in range(200)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    return path


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("ray.data")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        nodes.add_node(**node)
        nodes.wait_for_nodes()
        yield nodes.address
    finally:
        nodes.shutdown()


@record
class Noting:
    """An engine that also says on which nodes parts were tallied."""

    engine: Engine
    nodes: set[str]

    @property
    def progress(self) -> Progress | None:
        return self.engine.progress

    def parts(self, path: Path, tally: Callable[[Iterable[Line]], Part]) -> Iterator[Part]:
        def tally_here(lines: Iterable[Line]) -> tuple[str, Part]:
            import ray

            return ray.get_runtime_context().get_node_id(), tally(lines)

        for node, part in self.engine.parts(path, tally_here):
            self.nodes.add(node)
            yield part


def test_two_nodes_report_what_one_process_does(cluster: str, file: Path) -> None:
    from harness.dataset.engines.cluster import RayCluster

    told: list[tuple[int, int]] = []
    engine = RayCluster(address=cluster, part_bytes=2048, progress=lambda *done: told.append(done))
    noting = Noting(engine=engine, nodes=set())
    there = check_file(file, model="gpt-4o-mini", engine=noting)
    assert to_json(there) == to_json(check_file(file, model="gpt-4o-mini"))
    assert len(noting.nodes) == 2
    size = file.stat().st_size
    assert told == sorted(told)
    assert told[-1] == (size, size)
    assert len(told) > 5


def test_without_ray_the_command_says_how_to_get_it(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "harness.dataset.engines.cluster", raising=False)
    assert main(["data", "check", str(file), "--engine", "ray"]) == 2
    assert 'pip install "finetune-harness[ray]"' in capsys.readouterr().err


def test_flags_of_one_engine_are_not_those_of_the_other(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(file), "--ray-address", "auto"]) == 2
    assert "--engine ray" in capsys.readouterr().err
    assert main(["data", "check", str(file), "--engine", "ray", "--workers", "2"]) == 2
    assert "--workers" in capsys.readouterr().err
