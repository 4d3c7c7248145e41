import weakref
from pathlib import Path

import pytest
import torch

from harness.errors import StorageError
from harness.localserver.model.adapters import Adapter, Factors, save_adapter
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import read_network
from harness.localserver.model.networks import Networks
from tests.localserver.tiny_model import WIDTH, write_tiny_model


@pytest.fixture
def networks(tmp_path: Path) -> Networks:
    gguf = GgufFile(write_tiny_model(tmp_path / "tiny.gguf"))
    return Networks(gguf, dtype=torch.float32, device=torch.device("cpu"))


def write_adapter(folder: Path, *, value: float = 1.0) -> Path:
    change = Factors(down=torch.full((2, WIDTH), value), up=torch.full((WIDTH, 2), value))
    save_adapter(Adapter(rank=2, alpha=4.0, layers={5: {"self_attn.o_proj": change}}), folder)
    return folder


def test_base_is_loaded_once(networks: Networks) -> None:
    assert networks.network(None) is networks.network(None)


def test_embedding_left_in_the_file_is_the_embedding(networks: Networks, tmp_path: Path) -> None:
    dense = read_network(GgufFile(tmp_path / "tiny.gguf"), dtype=torch.float32, device=torch.device("cpu"))
    ids = torch.tensor([5, 0, 271, 5])
    assert torch.equal(networks.network(None).embedding[ids], dense.embedding[ids])


def test_fine_tune_shares_the_layers_it_does_not_change(networks: Networks, tmp_path: Path) -> None:
    base, tuned = networks.network(None), networks.network(write_adapter(tmp_path / "a"))
    assert [mine is theirs for mine, theirs in zip(tuned.layers, base.layers, strict=True)] == [True] * 5 + [
        False
    ]
    assert tuned.embedding is base.embedding


def test_change_is_scaled_and_added(networks: Networks, tmp_path: Path) -> None:
    base, tuned = networks.network(None), networks.network(write_adapter(tmp_path / "a"))
    rows = torch.eye(WIDTH)
    difference = tuned.layers[5].output(rows) - base.layers[5].output(rows)
    # alpha / rank is 2, and two ranks of ones give 2 everywhere.
    torch.testing.assert_close(difference, torch.full((WIDTH, WIDTH), 4.0), atol=1e-4, rtol=0)


def test_merged_fine_tune_is_kept(networks: Networks, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a")
    assert networks.network(folder) is networks.network(folder)


def test_only_the_latest_are_kept(networks: Networks, tmp_path: Path) -> None:
    folders = [write_adapter(tmp_path / name) for name in "abcd"]
    first, *_, last = [networks.network(folder) for folder in folders]
    assert networks.network(folders[3]) is last
    assert networks.network(folders[0]) is not first


def test_deleted_fine_tune_is_gone(networks: Networks, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a")
    networks.network(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(StorageError, match="there is no fine-tuned model"):
        networks.network(folder)


def test_at_rest_only_the_base_is_kept(networks: Networks, tmp_path: Path) -> None:
    base, tuned = networks.network(None), weakref.ref(networks.network(write_adapter(tmp_path / "a")))
    networks.rest()
    assert tuned() is None
    assert networks.network(None) is base
