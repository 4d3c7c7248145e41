from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import (
    FEWEST_ROWS,
    FrozenMatrix,
    Network,
    attend_causally,
    bias_for,
    causal_bias,
    next_token_logits,
    read_network,
    rotation_at,
)
from tests.localserver.tiny_model import HEADS, KV_HEADS, WIDTH, reference_logits, write_tiny_model

CPU = torch.device("cpu")
IDS = [1, 9, 40, 77, 120, 3, 255, 31, 8, 64, 200]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf"))


@pytest.fixture(scope="module")
def network(gguf: GgufFile) -> Network:
    return read_network(gguf, dtype=torch.float32, device=CPU)


class OneRow:
    """Attention of a single row."""

    def __call__(
        self, _layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        bias = causal_bias(len(queries), len(keys), like=queries)
        return attend_causally(queries, keys, values, bias=bias)


def logits_of(network: Network, ids: list[int], **options: torch.Tensor) -> torch.Tensor:
    return next_token_logits(network, ids, positions=range(len(ids)), attention=OneRow(), **options)


def test_logits_are_those_of_the_plain_computation(gguf: GgufFile, network: Network) -> None:
    expected = reference_logits(gguf, IDS)
    assert np.abs(expected).max() > 1  # the comparison is not one of zeros
    np.testing.assert_allclose(logits_of(network, IDS).numpy(), expected, atol=2e-4)


def test_bfloat16_is_the_same_network(gguf: GgufFile) -> None:
    network = read_network(gguf, dtype=torch.bfloat16, device=CPU)
    found = logits_of(network, IDS).float().numpy()
    assert np.corrcoef(found.ravel(), reference_logits(gguf, IDS).ravel())[0, 1] > 0.995


@pytest.mark.parametrize("kept", [[10], [3, 10], [0, 1, 2, 3, 4, 5]])
def test_kept_tokens_are_the_same_as_without_keeping(network: Network, kept: list[int]) -> None:
    found = logits_of(network, IDS, keep=torch.tensor(kept))
    torch.testing.assert_close(found, logits_of(network, IDS)[kept], atol=1e-5, rtol=1e-5)


def test_matrix_multiplies_as_it_is_written() -> None:
    weight, rows = torch.randn(96, 64), torch.randn(10, 64)
    torch.testing.assert_close(FrozenMatrix(weight)(rows), rows @ weight.T, atol=1e-4, rtol=1e-4)


def test_transposed_matrix_need_not_be_copied_first() -> None:
    weight, rows = torch.randn(96, 64), torch.randn(10, 96)
    torch.testing.assert_close(FrozenMatrix(weight.T)(rows), rows @ weight, atol=1e-4, rtol=1e-4)


def test_product_of_a_row_does_not_depend_on_the_other_rows() -> None:
    matrix, rows = FrozenMatrix(torch.randn(96, 64)), torch.randn(70, 64)
    whole = matrix(rows)
    for count in (FEWEST_ROWS, 5, 16, 33, 64):
        torch.testing.assert_close(matrix(rows[3 : 3 + count]), whole[3 : 3 + count], atol=1e-6, rtol=0)


@pytest.mark.parametrize("known", [0, 5, 29])
def test_fused_and_plain_attention_agree(known: int) -> None:
    tokens, width = 30, WIDTH // HEADS
    queries = torch.randn(tokens - known, HEADS, width)
    keys, values = torch.randn(tokens, KV_HEADS, width), torch.randn(tokens, KV_HEADS, width)
    plain = attend_causally(queries, keys, values, bias=causal_bias(tokens - known, tokens, like=keys))
    torch.testing.assert_close(attend_causally(queries, keys, values, bias=None), plain, atol=1e-5, rtol=1e-5)


def test_attention_does_not_look_ahead() -> None:
    tokens, width = 12, WIDTH // HEADS
    queries, keys, values = (torch.randn(tokens, heads, width) for heads in (HEADS, KV_HEADS, KV_HEADS))
    bias = causal_bias(tokens, tokens, like=keys)
    before = attend_causally(queries, keys, values, bias=bias)
    keys[8:], values[8:] = 9.0, 9.0
    after = attend_causally(queries, keys, values, bias=bias)
    assert torch.equal(before[:8], after[:8])
    assert not torch.equal(before[8:], after[8:])


def test_long_rows_do_without_a_bias() -> None:
    assert bias_for(600, 600, like=torch.zeros(0)) is None
    assert bias_for(60, 60, like=torch.zeros(0)) is not None


def test_rotation_keeps_lengths_and_depends_on_distance_alone(network: Network) -> None:
    head = torch.randn(1, 1, WIDTH // HEADS)
    rotation = rotation_at(torch.arange(20), network.shape, dtype=torch.float32)
    turned = rotation.turn(head.expand(20, 1, -1))
    torch.testing.assert_close(turned.norm(dim=-1), head.norm(dim=-1).expand(20, 1))
    products = functional.cosine_similarity(turned[:-4], turned[4:], dim=-1)
    torch.testing.assert_close(products, products[:1].expand_as(products), atol=1e-5, rtol=1e-5)


def test_other_weights_give_other_logits(tmp_path: Path, network: Network) -> None:
    other = GgufFile(write_tiny_model(tmp_path / "other.gguf", seed=1))
    assert not torch.allclose(
        logits_of(network, IDS), logits_of(read_network(other, dtype=torch.float32, device=CPU), IDS)
    )
